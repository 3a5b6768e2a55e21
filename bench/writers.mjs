// `npm run bench:writers`: 32 writers who create items in one workspace, event included, through Atrium's services,
// beside 32 connections that insert the same rows as lone transactions without any order. No HTTP on either side, in
// one process, in interleaved rounds: what ordering costs, and what combining gains.
import { parseArgs } from 'node:util';
import { TEAM, userId } from './data.mjs';
import { inside } from './inside.mjs';
import { median } from './report.mjs';

const WRITERS = 32;
/** The item and an event with a random number, in one statement and so in one transaction and one round trip. */
const LONE = {
  name: 'lone',
  text: `WITH w AS (INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
      SELECT $1::uuid, m.workspace_id, 'task', 'An item', $4::jsonb, m.principal_id, m.principal_id FROM memberships m
      WHERE m.workspace_id = $3 AND m.principal_id = $2 AND m.role IN ('owner', 'admin', 'member') RETURNING *)
    INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    SELECT w.workspace_id, (1e15 + random() * 1e15)::bigint, $5::uuid, 'item.created', 'items/' || w.id, w.created_by,
      jsonb_build_object('id', w.id, 'workspaceId', w.workspace_id, 'type', w.type, 'title', w.title, 'data', w.data,
        'version', w.version, 'createdAt', w.created_at, 'createdBy', w.created_by, 'updatedAt', w.updated_at,
        'updatedBy', w.updated_by) FROM w`,
};
const values = (newId, data) => [newId(), userId(1), TEAM, JSON.stringify(data), newId()];

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '2' } },
});
await inside(async ({ app, connect, load }) => {
  const { ItemsService } = await load('items/items.service.js');
  const { newId } = await load('common/identifiers.js');
  const clients = await Promise.all(Array.from({ length: WRITERS }, connect));
  const items = app.get(ItemsService);
  const data = { status: 'open', priority: 3, notes: 'x'.repeat(400) };
  const caller = { kind: 'user', id: userId(1), sessionId: newId(), expiresAt: Date.now() + 3_600_000 };
  const ways = {
    Atrium: () => items.create(caller, { title: 'An item', type: 'task', data, workspaceId: TEAM }),
    'lone transactions, unordered': (writer) =>
      clients[writer].query({ ...LONE, values: values(newId, data) }),
  };
  const rates = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (const name of Object.keys(ways)) await measure(ways[name], 0.5);
  for (let round = 0; round < Number(options.rounds); round++) {
    const order = Object.keys(ways).sort(() => Math.random() - 0.5);
    for (const name of order) rates[name].push(await measure(ways[name], Number(options.seconds)));
  }
  const [ours, lone] = Object.values(rates);
  const ratios = ours.map((rate, n) => (100 * rate) / lone[n]);
  for (const [name, each] of Object.entries(rates))
    console.log(`${name.padEnd(30)} ${Math.round(median(each)).toLocaleString('en').padStart(8)} writes/s`);
  const [worst, best] = [Math.min(...ratios), Math.max(...ratios)].map(Math.round);
  const share = Math.round((100 * median(ours)) / median(lone));
  console.log(
    `Atrium writes ${share} % (${worst} to ${best} %) of lone, unordered transactions; target 150 %`,
  );
});

/** Writes per second of so many writers, each of whom waits for its answer before the next. */
async function measure(write, seconds) {
  const end = performance.now() + seconds * 1_000;
  const started = performance.now();
  let count = 0;
  await Promise.all(
    Array.from({ length: WRITERS }, async (_, writer) => {
      while (performance.now() < end) {
        await write(writer);
        count++;
      }
    }),
  );
  return (1_000 * count) / (performance.now() - started);
}
