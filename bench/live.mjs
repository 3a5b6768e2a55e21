// `node bench/live.mjs`: from commit to delivery, memory of idle sockets, and a storm of reconnecting readers, beside
// a plain `ws` server. Needs a build (`npm run build`).
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { WebSocket } from 'ws';
import { seed, sessionId, userId, USERS, workspaceId } from './data.mjs';
import { freePort, pinSelf, startNode, stopAll, untilReady } from './processes.mjs';
import { sign } from './tokens.mjs';

const { values: options } = parseArgs({
  options: {
    sockets: { type: 'string', default: '10000' },
    storm: { type: 'string', default: '5000' },
    only: { type: 'string', default: 'delivery,idle,storm' },
    /** Writes a second, and for how long, of the first measurement. */
    rate: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '10' },
  },
});
const only = new Set(options.only.split(','));
const root = resolve(import.meta.dirname, '..');
const { startEmbedded, removeEmbedded } = await import(
  pathToFileURL(join(root, 'dist/src/database/embedded.js'))
);
const secret = randomBytes(32).toString('base64url');
const token = (user) => sign(secret, userId(user), sessionId(user));
const room = (user) => `workspaces/${workspaceId(user)}`;
/** Events that each reader of the storm has missed. */
const MISSED = 10;
const AT_ONCE = 500;
const WRITERS = 32;
const pause = (ms) => new Promise((go) => setTimeout(go, ms));
const now = () => performance.timeOrigin + performance.now();

const folder = mkdtempSync(join(tmpdir(), 'atrium-live-'));
chmodSync(folder, 0o755); // PostgreSQL may have to run as another user
let postgres;
let cleaning;
const cleanUp = () =>
  (cleaning ??= (async () => {
    await stopAll();
    await postgres?.stop();
    await removeEmbedded(folder);
    rmSync(folder, { recursive: true, force: true });
  })());
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.once(signal, () => void cleanUp().finally(() => process.exit(130)));
process.on('uncaughtException', (error) => {
  if (!cleaning) console.error(error);
  void cleanUp().finally(() => process.exit(1));
});

async function start(name, script, env) {
  const port = await freePort();
  const variables = {
    PORT: String(port),
    HOST: '127.0.0.1',
    DATABASE_URL: postgres.url,
    DATA_DIR: join(folder, name),
    TOKEN_SECRET: secret,
    LOG_LEVEL: 'warn',
    RATE_LIMIT: 'off',
    ...env,
  };
  const child = startNode([script], { core: 'server', cwd: folder, env: variables, ipc: name === 'plain' });
  await untilReady(child, port, '/health/ready');
  return { name, port, child };
}

/** Connects, joins a room, and resolves with the socket once it is in. Events go to `took`. */
async function enter(server, user, { after, took = () => undefined } = {}) {
  const headers = { Authorization: `Bearer ${token(user)}` };
  const socket = new WebSocket(`ws://127.0.0.1:${server.port}/ws`, { headers, perMessageDeflate: false });
  const joined = Promise.withResolvers();
  joined.promise.catch(() => undefined); // told by `open` as well
  socket.on('message', (bytes) => {
    const { event, data } = JSON.parse(bytes.toString());
    if (event === 'event') took(data);
    else if (event === 'joined') joined.resolve(data.cursor);
    else if (event === 'error') joined.reject(new Error(JSON.stringify(data)));
  });
  socket.on('close', (code) => joined.reject(new Error(`${server.name} closed with ${code}`)));
  socket.on('error', (error) => joined.reject(error));
  await once(socket, 'open');
  socket.send(JSON.stringify({ event: 'join', data: { room: room(user), after }, id: 1 }));
  return { socket, cursor: await joined.promise };
}

/** Runs `work` for each number below `count`, so many at once. */
async function each(count, work, atOnce = AT_ONCE) {
  const results = [];
  let next = 0;
  const walk = async () => {
    while (next < count) {
      const n = next++;
      results[n] = await work(n);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, walk));
  return results;
}

const leave = (entered) =>
  Promise.all(
    entered.map(({ socket }) => {
      socket.terminate();
      return socket.readyState === socket.CLOSED ? undefined : once(socket, 'close');
    }),
  );

function post(server, user, title) {
  return fetch(`http://127.0.0.1:${server.port}/v1/items`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token(user)}`, 'Content-Type': 'application/json' },
    body: JSON.stringify({ title, type: 'task', data: { n: 1 }, workspaceId: workspaceId(user) }),
  }).then(async (answer) => {
    if (answer.status !== 201) throw new Error(`POST answered ${answer.status}: ${await answer.text()}`);
    await answer.arrayBuffer();
  });
}

const quantile = (list, q) => [...list].sort((a, b) => a - b)[Math.floor(q * (list.length - 1))];
const spread = (list) =>
  `p50 ${quantile(list, 0.5).toFixed(2)} ms, p99 ${quantile(list, 0.99).toFixed(2)} ms (${list.length})`;

/** From the time that PostgreSQL gives the commit, or a plain publisher its message, to the reader's socket. */
async function measureDelivery(client, [first, second], plain) {
  const count = Number(options.rate) * Number(options.seconds);
  const arrived = new Map([first, second].map(({ name }) => [name, new Map()]));
  const readers = await Promise.all(
    [first, second].map((server) =>
      enter(server, 0, { took: ({ event }) => arrived.get(server.name).set(event.id, now()) }),
    ),
  );
  const sent = [];
  for (let n = 0; n < count; n++) {
    sent.push(post(first, 0, `Item ${n}`));
    await pause(1_000 / Number(options.rate));
  }
  await Promise.all(sent);
  await pause(1_500);
  await leave(readers);
  const { rows } = await client.query(
    `SELECT id, extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000 AS at FROM events WHERE stream_id = $1`,
    [workspaceId(0)],
  );
  for (const [name, times] of arrived)
    console.log(
      `${name}: ${spread(rows.map(({ id, at }) => times.get(id) - Number(at)))} from commit to delivery`,
    );

  const received = [];
  const reader = await enter(plain, 0, { took: ({ event }) => received.push(now() - event.data.at) });
  const publisher = await enter(plain, 1);
  for (let n = 0; n < count; n++) {
    const data = { room: room(0), type: 'message.posted', data: { at: now() } };
    publisher.socket.send(JSON.stringify({ event: 'publish', data, id: 2 }));
    await pause(1_000 / Number(options.rate));
  }
  await pause(200);
  await leave([reader, publisher]);
  console.log(`plain: ${spread(received)} from publishing to delivery, without a database`);
}

const memoryOf = ({ child: { pid } }) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1_024;

async function measureIdle(server) {
  const count = Number(options.sockets);
  // The first ones bring what is only needed once.
  await leave(await each(200, (n) => enter(server, n % USERS)));
  await pause(2_000);
  const before = memoryOf(server);
  const entered = await each(count, (n) => enter(server, n % USERS));
  await pause(5_000);
  const bytes = (memoryOf(server) - before) / count;
  console.log(
    `${server.name}: ${count} idle sockets, each in a room, ${(bytes / 1_024).toFixed(1)} KiB a socket`,
  );
  await leave(entered);
  await pause(1_000);
}

async function measureStorm(server, missed) {
  const count = Number(options.storm);
  const entered = await each(count, (n) => enter(server, n % USERS));
  await leave(entered);
  // At the instance itself, a few at a time.
  if (missed > 0) await each(USERS * missed, (n) => post(server, n % USERS, `Missed ${n}`), WRITERS);
  const started = performance.now();
  let wrong = 0;
  const again = await each(count, async (n) => {
    const all = Promise.withResolvers();
    let received = 0;
    const took = () => {
      if (++received === missed) all.resolve();
    };
    const reader = await enter(server, n % USERS, { after: entered[n].cursor, took });
    if (missed > 0) await all.promise;
    if (received !== missed) wrong++;
    return reader;
  });
  const span = performance.now() - started;
  console.log(
    `${server.name}: ${count} reconnect, ${missed} missed events each, all live after ${(span / 1_000).toFixed(1)} s` +
      (wrong > 0 ? `, ${wrong} WRONG` : ''),
  );
  await leave(again);
}

try {
  pinSelf();
  postgres = await startEmbedded({
    dataDir: folder,
    log: () => undefined,
    settings: { track_commit_timestamp: 'on' },
  });
  const main = join(root, 'dist/src/main.js');
  const same = await start('same instance', main, { SOCKETS_PER_ADDRESS: '100000' });
  const client = new pg.Client({ connectionString: postgres.url });
  await client.connect();
  await seed(client);
  const other = await start('other instance', main);
  const plain = await start('plain', join(import.meta.dirname, 'plain-rooms.mjs'));
  if (only.has('delivery')) await measureDelivery(client, [same, other], plain);
  await client.end();
  if (only.has('idle')) for (const server of [same, plain]) await measureIdle(server);
  if (only.has('storm')) await measureStorm(same, MISSED);
  if (only.has('storm')) await measureStorm(plain, 0);
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
