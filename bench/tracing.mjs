// `npm run build && node bench/tracing.mjs`: what recording traces costs of the processor's time, per request: with none,
// with one in a hundred and with all of them, sent to a receiver that throws them away. The instances share a database
// and are measured in turn, in rounds whose order is shuffled. `--also NAME=FOLDER` adds another built checkout.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cpuOf, freePort, startNode, stopAll, untilReady } from './processes.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    seconds: { type: 'string', default: '2' },
    connections: { type: 'string', default: '16' },
    also: { type: 'string', multiple: true, default: [] },
  },
});
const [ROUNDS, SECONDS, CONNECTIONS] = [options.rounds, options.seconds, options.connections].map(Number);
const here = resolve(import.meta.dirname, '..');
const DATA = JSON.stringify({
  title: 'A task',
  type: 'task',
  data: { status: 'open', notes: 'x'.repeat(400) },
});

const folder = mkdtempSync(join(tmpdir(), 'atrium-bench-'));
const receiver = http.createServer((request, response) => request.resume().on('end', () => response.end()));
receiver.listen(0, '127.0.0.1');
await once(receiver, 'listening');
const tracing = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${receiver.address().port}` };
const some = { ...tracing, OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.01' };
const kinds = [
  ...options.also.map((each) => ({ name: each.split('=')[0], root: each.split('=')[1], env: {} })),
  { name: 'none', root: here, env: {} },
  { name: '1 %', root: here, env: some },
  { name: '100 %', root: here, env: tracing },
];

const connect = () => new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
let agent = connect();
function send(port, method, path, token, body) {
  const { promise, resolve: answered, reject } = Promise.withResolvers();
  const headers = { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) };
  const request = http.request({ port, host: '127.0.0.1', method, path, agent, headers }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part) => (text += part));
    response.on('end', () => answered(JSON.parse(text)));
  });
  request.on('error', reject).end(body);
  return promise;
}

try {
  const servers = [];
  for (const { name, root, env } of kinds) {
    const port = await freePort();
    const common = { PORT: String(port), DATA_DIR: folder, RATE_LIMIT: 'off', OVERLOAD_DELAY_MS: '0' };
    const child = startNode([join(root, 'dist/src/main.js')], { core: 'server', env: { ...common, ...env } });
    child.stdout.resume();
    await untilReady(child, port, '/health/ready');
    servers.push({ name, port, pid: child.pid });
  }
  const account = JSON.stringify({ email: 'ada@example.com', password: 'correct horse battery' });
  const { accessToken } = await send(servers[0].port, 'POST', '/v1/auth/register', undefined, account);
  const { id } = await send(servers[0].port, 'POST', '/v1/items', accessToken, DATA);
  const operations = {
    'GET /v1/items/:id': (port) => send(port, 'GET', `/v1/items/${id}`, accessToken),
    'POST /v1/items': (port) => send(port, 'POST', '/v1/items', accessToken, DATA),
  };

  const slice = async ({ port, pid }, operation, seconds) => {
    // What was kept open in the meantime may be closed by now.
    agent.destroy();
    agent = connect();
    const until = performance.now() + seconds * 1_000;
    let count = 0;
    const before = cpuOf(pid);
    const client = async () => {
      for (; performance.now() < until; count++) await operation(port);
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, client));
    return ((cpuOf(pid) - before) * 1e6) / count;
  };
  for (const [name, operation] of Object.entries(operations)) {
    const costs = new Map(servers.map((server) => [server, []]));
    for (const server of servers) await slice(server, operation, 3);
    for (let round = 0; round < ROUNDS; round++)
      for (const server of servers.toSorted(() => Math.random() - 0.5))
        costs.get(server).push(await slice(server, operation, SECONDS));
    // What else the machine does only adds to it: the least says most.
    for (const [server, found] of costs) {
      const [least, ...more] = found.map(Math.round).sort((a, b) => a - b);
      console.log(`${name.padEnd(20)} ${server.name.padEnd(8)} ${least} µs (${more.join(' ')})`);
    }
  }
} finally {
  await stopAll();
  receiver.close();
  receiver.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
}
