// Stands in for curl where there is none, for as much of it as README.md uses: curl [-s] [-i] [-X METHOD] [-H HEADER]… [-d BODY] URL
import { parseArgs } from 'node:util';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    silent: { type: 'boolean', short: 's' },
    include: { type: 'boolean', short: 'i' },
    request: { type: 'string', short: 'X' },
    header: { type: 'string', short: 'H', multiple: true },
    data: { type: 'string', short: 'd' },
  },
});
const [url] = positionals;
if (positionals.length !== 1) throw new Error(`One URL, please, not ${positionals.join(' ')}`);

const response = await fetch(url, {
  method: values.request ?? (values.data === undefined ? 'GET' : 'POST'),
  headers: (values.header ?? []).map((line) => line.split(/:\s*(.*)/s, 2)),
  body: values.data,
});
if (values.include) {
  process.stdout.write(`HTTP/1.1 ${response.status} ${response.statusText}\r\n`);
  for (const [name, value] of response.headers) process.stdout.write(`${name}: ${value}\r\n`);
  process.stdout.write('\r\n');
}
process.stdout.write(await response.text());
