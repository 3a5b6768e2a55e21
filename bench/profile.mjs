// Sums up a V8 processor profile: where the time was spent, by package or folder, by function, and with what it called.
// node bench/profile.mjs FILE.cpuprofile [rows]
import { readFileSync } from 'node:fs';

const [file, rows = '25'] = process.argv.slice(2);
const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
const byId = new Map(nodes.map((node) => [node.id, node]));
for (const node of nodes) for (const child of node.children ?? []) byId.get(child).parent = node;

const IDLE = new Set(['(idle)', '(program)', '(root)']);

function placeOf({ functionName, url }) {
  if (functionName === '(garbage collector)') return 'garbage collection';
  if (url === '') return 'V8 built in';
  if (url.startsWith('node:')) return url.replace(/^(node:(internal\/)?[\w]+).*/, '$1');
  const modules = /node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url.slice(url.lastIndexOf('node_modules')));
  return modules ? modules[1] : (/dist\/(src\/\w+)/.exec(url)?.[1] ?? 'other');
}

/** The profiler's own work. */
function isOwn(node) {
  for (let at = node; at; at = at.parent) if (at.callFrame.url.endsWith('/bench/profiler.mjs')) return true;
  return false;
}

const name = ({ functionName, url, lineNumber }) =>
  `${functionName || '(anonymous)'} ${url.replace(/^.*(node_modules|dist)\//, '')}:${lineNumber + 1}`;

const sums = { place: new Map(), self: new Map(), inclusive: new Map() };
const add = (map, key, time) => map.set(key, (map.get(key) ?? 0) + time);
let busy = 0;
samples.forEach((id, n) => {
  const node = byId.get(id);
  const time = timeDeltas[n];
  if (IDLE.has(node.callFrame.functionName) || isOwn(node)) return;
  busy += time;
  add(sums.place, placeOf(node.callFrame), time);
  add(sums.self, name(node.callFrame), time);
  const seen = new Set();
  for (let at = node; at; at = at.parent) seen.add(name(at.callFrame));
  for (const each of seen) add(sums.inclusive, each, time);
});

for (const [title, map] of Object.entries(sums)) {
  console.log(`\n${title}, per cent of the busy time`);
  const top = [...map].sort((a, b) => b[1] - a[1]).slice(0, Number(rows));
  for (const [key, time] of top) console.log(`${((100 * time) / busy).toFixed(1).padStart(6)}  ${key}`);
}
