// `npm run bench:lists`: lists of a workspace with a million items, over HTTP, on one database. By what index each hot
// list is read; page 1 beside page 1,000; lists with a filter of `data` beside a plain server with hand-written SQL. What
// is compared takes turns, in one run.
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import { join } from 'node:path';
import { parse } from 'node:querystring';
import { parseArgs } from 'node:util';
import { seed, sessionId, TEAM, userId } from './data.mjs';
import { onDatabase } from './inside.mjs';
import { cores, freePort, pinSelf, startNode, stopAll, untilReady } from './processes.mjs';
import { median } from './report.mjs';
import { sign } from './tokens.mjs';

const { values: options } = parseArgs({
  options: {
    items: { type: 'string', default: '1000000' },
    rounds: { type: 'string', default: '7' },
    page: { type: 'string', default: '1000' },
    /** Requests of each kind in a round, by so many connections at once; and how many of those. */
    requests: { type: 'string', default: '60' },
    connections: { type: 'string', default: '16' },
  },
});
const [ITEMS, ROUNDS, DEEP, REQUESTS, CONNECTIONS] = [
  ...[options.items, options.rounds, options.page, options.requests, options.connections],
].map(Number);
/** So that a filter finds a page of them. */
const CODES = Math.max(100, Math.ceil(ITEMS / 20));
/** Whose pages an index serves. */
const LISTS = ['', 'sort=-updatedAt', 'filter[type]=type7'];
const FILTERED = ['filter[data.code]=c77', 'filter[data.tags][contains]=t55'];
const PLANNED = [
  ...LISTS.slice(1),
  ...['sort=title', 'sort=-data.n'],
  ...FILTERED,
  `filter[data.n][gte]=${Math.round(ITEMS * 0.999)}&filter[type]=type7`,
  'q=word77',
];
const ME = userId(1);
const secret = randomBytes(32).toString('base64url');
const agent = new http.Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const headers = { Authorization: `Bearer ${sign(secret, ME, sessionId(1))}` };

if (!cores) console.log('Not pinned (that needs taskset and two cores): the ratios will be rough.');
pinSelf();
await onDatabase(async ({ url, folder, root, connect, load }) => {
  const start = async (script, env) => {
    const port = await freePort();
    const child = startNode([script], { core: 'server', cwd: folder, env: { PORT: String(port), ...env } });
    await untilReady(child, port, '/health/ready');
    return port;
  };
  const shared = { DATABASE_URL: url, TOKEN_SECRET: secret };
  try {
    const atrium = await start(join(root, 'dist/src/main.js'), {
      ...shared,
      HOST: '127.0.0.1',
      DATA_DIR: folder,
      RATE_LIMIT: 'off',
      LOG_LEVEL: 'warn',
    });
    const client = await connect();
    await seed(client, 0);
    await fill(client, ITEMS);
    await explain(client, load);
    const plain = await start(join(import.meta.dirname, 'plain-lists.mjs'), shared);
    await comparePages(atrium);
    await compareFilters(atrium, plain);
  } finally {
    agent.destroy();
    await stopAll();
  }
});

/** By what each hot list is read. */
async function explain(client, load) {
  const { readItemListQuery } = await load('items/item-list.query.js');
  const { listStatement } = await load('items/item-list.sql.js');
  console.log(`plans of ${ITEMS.toLocaleString('en')} items, by EXPLAIN (ANALYZE)`);
  for (const text of PLANNED) {
    const query = `workspaceId=${TEAM}&${text}`;
    const list = readItemListQuery({ url: `/v1/items?${query}`, query: parse(query) });
    const built = listStatement(ME, { id: TEAM, languages: ['simple'] }, list, undefined);
    const { rows } = await client.query(
      `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${built.text}`,
      built.values,
    );
    const [{ Plan: plan, 'Execution Time': ms }] = rows[0]['QUERY PLAN'];
    const scans = nodesOf(plan).filter(
      (node) => node['Relation Name'] === 'items' || node['Index Name']?.startsWith('items_'),
    );
    const how = [...new Set(scans.map((node) => node['Index Name'] ?? node['Node Type']))].join(', ');
    const blocks = plan['Shared Hit Blocks'] + plan['Shared Read Blocks'];
    console.log(`  ${text.padEnd(48)} ${how}; ${blocks} blocks, ${ms.toFixed(1)} ms`);
  }
}

/** The first page beside a deep one, each the answer to a request. */
async function comparePages(port) {
  console.log(`page ${DEEP.toLocaleString('en')} of 20 items, as a share of the time of page 1`);
  const get = async (text, cursor) => {
    const page = await ask(port, cursor ? `${text}&cursor=${encodeURIComponent(cursor)}` : text);
    if (page.status !== 200) throw new Error(page.body.code);
    return page.body;
  };
  for (const text of LISTS) {
    let cursor;
    let n = 1;
    try {
      for (let next; n < DEEP; n++, cursor = next) {
        next = (await get(text, cursor)).nextCursor;
        if (next === null) break;
      }
    } catch (error) {
      console.log(`  ${(text || 'newest first').padEnd(48)} refused: ${error.message}`);
      continue;
    }
    const [first, deep] = await interleaved([() => get(text), () => get(text, cursor)], REQUESTS / 10, 1);
    const reached = n < DEEP ? ` (page ${n}, the last)` : '';
    console.log(`  ${(text || 'newest first').padEnd(48)} ${share(deep, first)}${reached}`);
  }
}

/** Atrium beside the plain server: one request at a time, and many at once. */
async function compareFilters(atrium, plain) {
  console.log(`a filter of data beside a plain server, ${REQUESTS} requests in each of ${ROUNDS} rounds`);
  for (const text of FILTERED) {
    const [ours, theirs] = [await ask(atrium, text), await ask(plain, text)];
    const found = ours.body.data.length;
    if (found === 0 || JSON.stringify(sorted(ours.body.data)) !== JSON.stringify(sorted(theirs.body.data)))
      throw new Error(`${text}: the servers do not answer alike; the run is void`);
    const ways = [() => ask(atrium, text), () => ask(plain, text)];
    const [alone, plainAlone] = await interleaved(ways, REQUESTS, 1);
    const [busy, plainBusy] = await interleaved(ways, REQUESTS, CONNECTIONS);
    console.log(
      `  ${text.padEnd(40)} ${found} items; one at a time ${share(plainAlone, alone)} of plain's rate ` +
        `(${median(alone).toFixed(2)} and ${median(plainAlone).toFixed(2)} ms each), ` +
        `${CONNECTIONS} at once ${share(plainBusy, busy)}`,
    );
  }
}

/** A workspace of that many items, indexed at the end, which is faster. */
async function fill(client, items) {
  const { rows } = await client.query(
    `SELECT indexname AS name, indexdef AS definition FROM pg_indexes WHERE tablename = 'items' AND indexname <> 'items_pkey'`,
  );
  for (const { name } of rows) await client.query(`DROP INDEX ${name}`);
  await client.query(
    `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by, updated_at)
     SELECT ('01a00000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, $1, 'type' || n % 20, 'item ' || n,
       jsonb_build_object('n', n, 'code', 'c' || n % $4, 'tags', jsonb_build_array('t' || n % $4),
         'text', 'word' || n % 25000 || ' common'),
       $2, $2, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
     FROM generate_series(1, $3::int) n`,
    [TEAM, ME, items, CODES],
  );
  for (const { definition } of rows) await client.query(definition);
  await client.query('VACUUM ANALYZE items');
}

/** Milliseconds for one request of each way, turn by turn: so many requests in a round, so many at once. */
async function interleaved(ways, requests, connections) {
  const times = ways.map(() => []);
  // The first round warms up.
  for (let round = -1; round < ROUNDS; round++)
    for (const [n, way] of ways.entries()) {
      let left = Math.ceil(requests);
      const total = left;
      const started = performance.now();
      const one = async () => {
        while (left-- > 0) await way();
      };
      await Promise.all(Array.from({ length: connections }, one));
      if (round >= 0) times[n].push((performance.now() - started) / total);
    }
  return times;
}

/** A page of the list, read to its end; once more over a connection that was closed while it was idle. */
function ask(port, text) {
  const path = `/v1/items?workspaceId=${TEAM}${text ? `&${text}` : ''}`;
  return new Promise((resolve, reject) => {
    const request = http.get({ port, host: '127.0.0.1', path, headers, agent }, (response) => {
      const parts = [];
      response.on('data', (part) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode, body: JSON.parse(Buffer.concat(parts).toString()) }),
      );
    });
    request.on('error', (error) => {
      if (request.reusedSocket && error.code === 'ECONNRESET') resolve(ask(port, text));
      else reject(error);
    });
  });
}

function share(some, others) {
  return `${Math.round((100 * median(some)) / median(others))} %`;
}

/** The same members in the same order, however a server writes them. */
function sorted(value) {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sorted(value[key])]),
  );
}

function nodesOf(node) {
  return [node, ...(node.Plans ?? []).flatMap(nodesOf)];
}
