// What a run says in the end: medians, the share of the plain server, and the target it has to reach.

export function median(list) {
  const ascending = [...list].sort((a, b) => a - b);
  const middle = Math.floor(ascending.length / 2);
  return ascending.length % 2 === 1 ? ascending[middle] : (ascending[middle - 1] + ascending[middle]) / 2;
}

/** Of a list in any order. */
export function percentile(list, percent) {
  const ascending = [...list].sort((a, b) => a - b);
  return ascending[Math.min(ascending.length - 1, Math.floor((ascending.length * percent) / 100))];
}

const TARGETS = { get: 60, list: 60, post: 100, patch: 90, saturation: 75 };
const LABELS = {
  get: 'GET an item',
  list: 'LIST 20 items',
  'post-spread': 'POST, 1,000 workspaces',
  'post-one': 'POST, one workspace',
  'patch-spread': 'PATCH, 1,000 workspaces',
  'patch-one': 'PATCH, one workspace',
  saturation: '32 messages under way',
  single: 'one message at a time',
  rate: '20 messages a second',
};

const number = (value, digits = 0) =>
  value.toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits });

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  const line = (row) =>
    row.map((cell, n) => (n < 2 ? cell.padEnd(widths[n]) : cell.padStart(widths[n]))).join('  ');
  for (const row of rows) console.log(line(row).trimEnd());
}

const medianOf = (runs, pick) => median(runs.map(pick));

/** The share of `plain` in per cent, by medians, and its range over the rounds. */
function share(atrium, plain) {
  const percent = (a, b) => (100 * a) / b;
  const each = atrium.map((run, n) => percent(run.perSecond, plain[n].perSecond));
  return {
    percent: percent(
      medianOf(atrium, (run) => run.perSecond),
      medianOf(plain, (run) => run.perSecond),
    ),
    range: `${number(Math.min(...each))}–${number(Math.max(...each))}`,
  };
}

function verdict(percent, target) {
  if (target === undefined) return '';
  return `≥ ${target} % ${percent >= target ? 'reached' : 'MISSED'}`;
}

function rows(results, targetOf) {
  return Object.entries(results).flatMap(([operation, byServer]) => {
    const { plain } = byServer;
    return Object.entries(byServer).map(([name, runs], n) => {
      const { percent, range } = share(runs, plain);
      const atrium = name === 'Atrium';
      // At a given rate the latency counts.
      const isShared = runs !== plain && operation !== 'rate';
      return [
        n === 0 ? LABELS[operation] : '',
        name,
        `${number(medianOf(runs, (run) => run.perSecond))}/s`,
        number(
          medianOf(runs, (run) => run.p50),
          2,
        ),
        number(
          medianOf(runs, (run) => run.p99),
          2,
        ),
        number(
          medianOf(runs, (run) => (1e6 * run.cores.server) / run.perSecond),
          results.saturation ? 2 : 0,
        ),
        ...['server', 'postgres', 'load', 'others'].map((who) =>
          number(
            medianOf(runs, (run) => run.cores[who]),
            2,
          ),
        ),
        isShared ? `${number(percent)} %` : '',
        isShared ? range : '',
        atrium ? verdict(percent, targetOf(operation)) : '',
      ];
    });
  });
}

/** Rows in the order Atrium, then the others. */
const inOrder = (results) =>
  Object.fromEntries(
    Object.entries(results).map(([operation, byServer]) => [
      operation,
      Object.fromEntries(
        Object.entries(byServer).sort(
          ([a], [b]) => Number(b === 'Atrium') - Number(a === 'Atrium') || (a < b ? -1 : 1),
        ),
      ),
    ]),
  );

const HEADS = [
  'p50 ms',
  'p99 ms',
  'server µs',
  'server',
  'postgres',
  'load',
  'others',
  'of plain',
  'range',
  'target',
];

export function printRest(results) {
  console.log(
    '\nREST: requests per second (medians), server time for one, cores used, share of the plain server',
  );
  table([
    ['', '', 'rate', ...HEADS],
    ...rows(inOrder(results), (operation) => TARGETS[operation.split('-')[0]]),
  ]);
}

export function printRooms(results) {
  console.log('\nRooms: messages delivered per second to 1,000 subscribers of one room, as above');
  table([['', '', 'rate', ...HEADS], ...rows(inOrder(results), (phase) => TARGETS[phase])]);
  const bytes = Object.entries(results.saturation).map(
    ([name, [{ bytesPerFrame }]]) => `${name} ${bytesPerFrame}`,
  );
  console.log(`Bytes of a frame: ${bytes.join(', ')}`);
}

export function printStart({ firstMs, secondMs, nodeMs }) {
  console.log('\nStart to ready, on the embedded PostgreSQL');
  const times = number(secondMs / nodeMs, 1);
  console.log(
    `first ${number(firstMs)} ms, second ${number(secondMs)} ms = ${times} times \`node -e 0\` (${number(nodeMs)} ms)`,
  );
}
