// `npm run bench:leases`: agents who claim items, and say that they are done, through Atrium's services, beside workers
// with a connection each who claim the same items of the same table in a loop as one would write it by hand: in a
// transaction that selects, locks and updates, in one that also asks for the membership and writes an event row as live
// updates need it, though in no order, and by one statement that tells nobody. No HTTP on any side, in one process, in
// interleaved rounds. Then how long a new item waits for a waiting agent.
import { parseArgs } from 'node:util';
import { TEAM, userId } from './data.mjs';
import { inside } from './inside.mjs';
import { plainWorker } from './plain-leases.mjs';
import { median, percentile } from './report.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '1.5' },
    agents: { type: 'string', default: '1,8,64' },
    /** New items to wait for, and how many come in a second. */
    items: { type: 'string', default: '300' },
    rate: { type: 'string', default: '20' },
  },
});
const [ROUNDS, SECONDS, ITEMS, RATE] = [options.rounds, options.seconds, options.items, options.rate].map(
  Number,
);
const CLAIMERS = options.agents.split(',').map(Number);
const TARGET = 60;
const TYPE = 'job';
/** As many as no slice uses up. */
const JOBS = 40_000;
const TTL_SECONDS = 600;
const WORK = { workspaceId: TEAM, type: TYPE, ttlSeconds: TTL_SECONDS };
/** That nobody claims. */
const OTHER_ITEMS = 10_000;
/** An agent may hold so many; whoever claims without an end goes on as the next agent. */
const LEASE_LIMIT = 100;
const POLL_MS = 50;
/** For the last of the new items. */
const MOST_WAIT_MS = 60_000;
/** How many wait for new items. */
const WAITING = [1, 8];
/** Loops by hand. */
const PLAIN = ['told transactions', 'transactions', 'statements'];
const JOB_DATA = { status: 'open', priority: 3, notes: 'x'.repeat(400) };
const FILL = `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
  SELECT gen_random_uuid(), $1, $2, 'A job', $3::jsonb, $4, $4 FROM generate_series(1, $5::int)`;
/** As if nobody had claimed anything. */
const RESET = [
  `UPDATE lease_states SET state = 'ready', attempts = 0, due_at = now(), lease_id = NULL, agent_id = NULL
   WHERE state <> 'ready'`,
  `VACUUM lease_states`,
];

await inside(async ({ app, connect, load }) => {
  const { LeaseClaims } = await load('leases/lease-claims.js');
  const { LeasesService } = await load('leases/leases.service.js');
  const { LeaseTypes } = await load('leases/lease-types.js');
  const { ItemsService } = await load('items/items.service.js');
  const { newId } = await load('common/identifiers.js');
  const [claims, leases, items] = [LeaseClaims, LeasesService, ItemsService].map((service) =>
    app.get(service),
  );
  const client = await connect();
  await app.get(LeaseTypes).ensure(TEAM, [TYPE, 'awaited', 'polled']);
  await client.query(FILL, [TEAM, TYPE, JSON.stringify(JOB_DATA), userId(1), JOBS]);
  await client.query('ANALYZE items, lease_states');
  await client.query('CREATE SEQUENCE bench_told START 1000000000');
  const most = Math.max(...CLAIMERS, ...WAITING);
  const connections = await Promise.all(Array.from({ length: most }, connect));
  const agents = await addAgents(client, 2_000, newId);

  const nobodyLeaves = new AbortController().signal;
  const request = { types: [TYPE], limit: 1, ttlSeconds: TTL_SECONDS };
  const claim = async (agent) => {
    const { json } = await claims.claim(agent, request, nobodyLeaves);
    const [lease] = JSON.parse(json).data;
    if (!lease) throw new Error('There was nothing to claim: the run is void');
    return lease;
  };
  const plain = connections.map((connection, n) => plainWorker(connection, agents[n].id, WORK));
  let next = 0;
  /** Somebody who claims with an end: an agent that has claimed as many as it may is followed by another. */
  const endless = () => {
    let agent;
    let count = 0;
    return () => {
      if (count++ % LEASE_LIMIT === 0) agent = agents[next++ % agents.length];
      return claim(agent);
    };
  };
  const ways = {
    'claim and complete': {
      Atrium: (worker) => async () => {
        const { id } = await claim(agents[worker]);
        await leases.complete(agents[worker], id, undefined);
      },
      'told transactions': (worker) => async () =>
        plain[worker].completeAndTell(await plain[worker].claimAndTell()),
      transactions: (worker) => async () => plain[worker].complete(await plain[worker].claimInTransaction()),
      statements: (worker) => async () => plain[worker].complete(await plain[worker].claim()),
    },
    'claim alone': {
      Atrium: endless,
      'told transactions': (worker) => plain[worker].claimAndTell,
      transactions: (worker) => plain[worker].claimInTransaction,
      statements: (worker) => plain[worker].claim,
    },
  };

  const contests = Object.keys(ways).flatMap((what) => CLAIMERS.map((count) => ({ what, count })));
  const contenders = ['Atrium', ...PLAIN];
  const rates = contests.map(() => Object.fromEntries(contenders.map((name) => [name, []])));
  for (let round = -1; round < ROUNDS; round++)
    for (const [n, { what, count }] of shuffled([...contests.entries()]))
      for (const name of shuffled(contenders)) {
        for (const statement of RESET) await client.query(statement);
        const workers = Array.from({ length: count }, (_, worker) => ways[what][name](worker));
        const rate = await measure(workers, round < 0 ? 0.3 : SECONDS);
        if (round >= 0) rates[n][name].push(rate); // the first is for warming up
      }
  console.log('claims per second (medians); share of a plain loop, range of the rounds');
  for (const [n, { what, count }] of contests.entries()) {
    const ours = rates[n].Atrium;
    console.log(`${what.padEnd(20)}${String(count).padStart(3)} agents  Atrium ${figure(median(ours))}`);
    for (const name of PLAIN) {
      const plain = rates[n][name];
      const share = Math.round((100 * median(ours)) / median(plain));
      const each = ours.map((rate, round) => Math.round((100 * rate) / plain[round]));
      const verdict = share >= TARGET ? 'reached' : 'MISSED';
      console.log(
        `${name.padStart(30)} ${figure(median(plain))}  ${String(share).padStart(4)} %  ` +
          `(${Math.min(...each)} to ${Math.max(...each)} %)  ≥ ${TARGET} % ${verdict}`,
      );
    }
  }

  // Who held more than an agent may by a loop by hand would be given nothing.
  for (const statement of RESET) await client.query(statement);
  console.log(`from a new item to its claim by a waiting agent, ${RATE} new items a second, in ms`);
  for (const count of WAITING) {
    const arrivals = new Map();
    const create = async (type) => {
      const { json } = await items.create(
        { kind: 'user', id: userId(1), sessionId: newId(), expiresAt: Date.now() + 3_600_000 },
        { title: 'A job', type, data: JOB_DATA, workspaceId: TEAM },
      );
      return JSON.parse(json).id;
    };
    const awaited = { types: ['awaited'], limit: 1, ttlSeconds: TTL_SECONDS, waitSeconds: 30 };
    const polling = connections.map((connection, n) =>
      plainWorker(connection, agents[n].id, { ...WORK, type: 'polled' }),
    );
    const ends = new AbortController();
    const way = {
      Atrium: async (worker) => {
        const { json } = await claims.claim(agents[worker], awaited, ends.signal);
        for (const { id, item } of JSON.parse(json).data) {
          arrivals.set(item.id, performance.now());
          await leases.complete(agents[worker], id, undefined);
        }
      },
      plain: async (worker) => {
        const lease = await polling[worker].claim();
        if (!lease) return pause(POLL_MS);
        arrivals.set(lease.item, performance.now());
        await polling[worker].complete(lease);
      },
    };
    for (const [name, type] of [
      ['Atrium', 'awaited'],
      ['plain', 'polled'],
    ]) {
      let over = false;
      const waiting = Array.from({ length: count }, async (_, worker) => {
        await pause((worker * POLL_MS) / count);
        while (!over) await way[name](worker);
      });
      await pause(200);
      const made = [];
      for (let n = 0; n < ITEMS; n++) {
        await pause((1_000 / RATE) * (0.5 + Math.random()));
        made.push(create(type).then((id) => ({ id, at: performance.now() })));
      }
      const born = await Promise.all(made);
      for (const last = performance.now(); born.some(({ id }) => !arrivals.has(id)); await pause(5))
        if (performance.now() - last > MOST_WAIT_MS)
          throw new Error('New items were not claimed: the run is void');
      over = true;
      ends.abort();
      await Promise.all(waiting);
      const waits = born.map(({ id, at }) => Math.max(0, arrivals.get(id) - at));
      const [p50, p99] = [50, 99].map((p) => percentile(waits, p).toFixed(1).padStart(6));
      const how = name === 'Atrium' ? 'Atrium, long poll' : `plain, polls every ${POLL_MS} ms`;
      console.log(`${String(count).padStart(3)} waiting  ${how.padEnd(28)} p50 ${p50}  p99 ${p99}`);
    }
  }
}, OTHER_ITEMS);

/** Agents of the team, as the routes make them, but without credentials. */
async function addAgents(client, count, newId) {
  const ids = Array.from({ length: count }, newId);
  await client.query(
    `INSERT INTO agents (id, workspace_id, name, kind, created_by, updated_by)
     SELECT id, $2, 'An agent', 'worker', $3, $3 FROM unnest($1::uuid[]) id`,
    [ids, TEAM, userId(1)],
  );
  await client.query(
    `INSERT INTO memberships (workspace_id, principal_id, role) SELECT $2, id, 'agent' FROM unnest($1::uuid[]) id`,
    [ids, TEAM],
  );
  const claims = { workspaceId: TEAM, tokenId: newId(), clientId: newId(), scopes: ['leases'] };
  const until = Date.now() + 3_600_000;
  return ids.map((id) => ({ kind: 'agent', id, sessionId: newId(), expiresAt: until, agent: claims }));
}

/** How often per second all of them together come round. */
async function measure(workers, seconds) {
  const started = performance.now();
  const end = started + seconds * 1_000;
  let count = 0;
  await Promise.all(
    workers.map(async (work) => {
      while (performance.now() < end) {
        await work();
        count++;
      }
    }),
  );
  return (1_000 * count) / (performance.now() - started);
}

function shuffled(list) {
  return list
    .map((each) => [Math.random(), each])
    .sort(([a], [b]) => a - b)
    .map(([, each]) => each);
}

function figure(value) {
  return Math.round(value).toLocaleString('en').padStart(7);
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
