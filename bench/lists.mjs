// `npm run bench:lists`: lists of a workspace with a million items, through Atrium's service, without HTTP. By what
// index each hot list is read; page 1 beside page 1,000; a filter of `data` beside the same by hand-written SQL, all in
// interleaved rounds on one database.
import { parse } from 'node:querystring';
import { parseArgs } from 'node:util';
import { TEAM, userId } from './data.mjs';
import { inside } from './inside.mjs';
import { median } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    items: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '15' },
    page: { type: 'string', default: '1000' },
  },
});
const DEEP = Number(options.page);
const LISTS = ['', 'sort=-updatedAt', 'filter[type]=type7', 'sort=title', 'sort=-data.n'];
const FILTERED = 'filter[data.code]=c77';
const PLANNED = [
  ...LISTS.slice(1),
  FILTERED,
  'filter[data.tags][contains]=t55',
  'filter[data.n][gte]=999000&filter[type]=type7',
  'q=word77',
];
/** What somebody would write who needs only this; planned for its values, as Atrium's is. */
const HAND_WRITTEN = `SELECT s.head::text, i.id::text, i.workspace_id::text, i.type, i.title, i.data::text, i.version::text,
      i.created_at::text, i.created_by::text, i.updated_at::text, i.updated_by::text
    FROM memberships m JOIN streams s ON s.id = m.workspace_id JOIN items i ON i.workspace_id = m.workspace_id
    WHERE m.principal_id = $1 AND m.workspace_id = $2 AND i.workspace_id = $2 AND i.data @> $3
    ORDER BY i.id DESC LIMIT 21`;

await inside(async ({ app, connect, load }) => {
  const { ItemLists } = await load('items/item-lists.service.js');
  const { readItemListQuery } = await load('items/item-list.query.js');
  const { listStatement } = await load('items/item-list.sql.js');
  const client = await connect();
  await fill(client, Number(options.items));
  const lists = app.get(ItemLists);
  const caller = { kind: 'user', id: userId(1), sessionId: userId(1), expiresAt: Date.now() + 36e5 };
  const queryOf = (text, cursor) => {
    const query = [`workspaceId=${TEAM}`, text, cursor && `cursor=${encodeURIComponent(cursor)}`]
      .filter(Boolean)
      .join('&');
    return readItemListQuery({ url: `/v1/items?${query}`, query: parse(query) });
  };
  const page = async (text, cursor) => JSON.parse((await lists.page(caller, queryOf(text, cursor))).json);

  console.log('plans, by EXPLAIN (ANALYZE)');
  for (const text of PLANNED) {
    const built = listStatement(caller.id, { id: TEAM, languages: ['simple'] }, queryOf(text), undefined);
    const { rows } = await client.query(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${built.text}`,
      built.values,
    );
    const [{ Plan: plan, 'Execution Time': ms }] = rows[0]['QUERY PLAN'];
    const nodes = nodesOf(plan);
    const scans = nodes.filter(
      (node) => node['Relation Name'] === 'items' || node['Index Name']?.startsWith('items_'),
    );
    const how = [...new Set(scans.map((node) => node['Index Name'] ?? node['Node Type']))].join(', ');
    const blocks = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    console.log(`  ${text.padEnd(48)} ${how}; ${blocks} blocks, ${ms.toFixed(1)} ms`);
  }

  console.log(`page 1 beside page ${DEEP.toLocaleString('en')} of 20 items`);
  for (const text of LISTS) {
    let cursor;
    try {
      for (let n = 1; n < DEEP; n++) ({ nextCursor: cursor } = await page(text, cursor));
    } catch (error) {
      console.log(`  ${(text || 'newest first').padEnd(48)} refused: ${error.code}`);
      continue;
    }
    const [first, deep] = await interleaved([() => page(text), () => page(text, cursor)]);
    console.log(`  ${(text || 'newest first').padEnd(48)} ${share(deep, first)} of its time`);
  }

  const values = [caller.id, TEAM, JSON.stringify({ code: 'c77' })];
  const [ours, theirs] = await interleaved([
    () => page(FILTERED),
    async () => toPage((await client.query(HAND_WRITTEN, values)).rows),
  ]);
  console.log(`${FILTERED}: Atrium takes ${share(ours, theirs)} of the time of hand-written SQL`);
});

/** A workspace of that many items, indexed at the end, which is faster. */
async function fill(client, items) {
  const { rows } = await client.query(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'items' AND indexname <> 'items_pkey'`,
  );
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
  await client.query(
    `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by, updated_at)
     SELECT ('01a00000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, $1, 'type' || n % 20, 'item ' || n,
       jsonb_build_object('n', n, 'code', 'c' || n % 50000, 'tags', jsonb_build_array('t' || n % 30000),
         'text', 'word' || n % 25000 || ' common'),
       $2, $2, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
     FROM generate_series(1, $3::int) n`,
    [TEAM, userId(1), items],
  );
  for (const { definition } of rows) await client.query(definition);
  await client.query('VACUUM ANALYZE items');
}

/** Milliseconds of each way, one after another in every round. */
async function interleaved(ways) {
  const times = ways.map(() => []);
  for (let round = 0; round < Number(options.rounds); round++)
    for (const [n, way] of ways.entries()) {
      const started = performance.now();
      await way();
      times[n].push(performance.now() - started);
    }
  return times;
}

function share(some, others) {
  return `${Math.round((100 * median(some)) / median(others))} %`;
}

function nodesOf(node) {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}

/** As Atrium's answer, read by the same reader. */
function toPage(rows) {
  const items = rows
    .slice(0, 20)
    .map(
      (row) =>
        `{"id":"${row.id}","workspaceId":"${row.workspace_id}","type":${JSON.stringify(row.type)},"title":${JSON.stringify(row.title)},"data":${row.data},"version":${row.version},"createdAt":"${row.created_at}","createdBy":"${row.created_by}","updatedAt":"${row.updated_at}","updatedBy":"${row.updated_by}"}`,
    );
  return JSON.parse(`{"data":[${items.join(',')}],"nextCursor":null}`);
}
