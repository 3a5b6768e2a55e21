import { spawnSync } from 'node:child_process';
import { chownSync, closeSync, mkdirSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RawConnection } from '../support/raw-connection.js';
import { REPLICA_NAME, StreamingServer } from '../support/replication.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';
import type { OwnDrill } from './drill.js';
import type { Ground } from './ground.js';
import { outage, type Outage, type Place } from './outage.js';
import { Redis } from './redis.js';

const DATABASE = 'drill_outage';
/** Past what a statement that was sent may take: its time limit here, 3 s, or that of a lock, and a second. */
const QUICK_MS = 5_000;
const CLOCK = pathToFileURL(join(import.meta.dirname, 'shifting-clock.mjs')).href;
const IDLE_SOCKETS = { long: 10_000, short: 1_000 };
const CONNECTED_AT_ONCE = 100;
const SLOW_CLIENTS = 300;
const SLOW_MS = 1_000;
const DISK = '64m';

/** A primary with a synchronous replica: what is acknowledged is at both. */
interface Pair extends Place {
  readonly primary: StreamingServer;
  readonly replica: StreamingServer;
}

let pair: Pair | undefined;

async function preparePair(ground: Ground): Promise<Place> {
  const primary = await StreamingServer.start();
  const pids = [await primary.pid()];
  ground.watch(pids[0]);
  const replica = await primary.startReplica();
  pids.push(await replica.pid());
  ground.watch(pids[1]);
  await primary.ask(`CREATE DATABASE ${DATABASE} TEMPLATE template0`);
  await primary.ask(`ALTER SYSTEM SET synchronous_standby_names = '${REPLICA_NAME}'`);
  await primary.ask('SELECT pg_reload_conf()');
  await until('the replica is synchronous', async () => {
    const [row] = await primary.ask<{ state: string }>('SELECT sync_state AS state FROM pg_stat_replication');
    return row?.state === 'sync';
  });
  pair = {
    primary,
    replica,
    server: primary,
    database: DATABASE,
    ask: (statement) => replica.ask(statement, DATABASE),
    close: async () => {
      await primary.remove();
      await replica.remove();
      for (const pid of pids) ground.unwatch(pid);
    },
  };
  return pair;
}

async function failOver(it: Outage): Promise<void> {
  if (!pair) throw new Error('There is no pair');
  const socket = await connect(it.instance, { token: it.person.token });
  const room = `workspaces/${it.person.workspaceId}`;
  await socket.join(room);
  await pair.primary.crash();
  it.note('the primary has crashed');
  await it.wait(1_500);
  await pair.replica.ask('SELECT pg_promote()');
  it.instance.database.redirect(pair.replica.port);
  it.over('the replica is the primary');
  const isTold = () =>
    socket.frames.some(({ event, data }) => event === 'left' && data['code'] === 'epoch_changed');
  await until('the socket is told', isTold, 15_000).catch(() =>
    it.broken('who follows is told of another history', JSON.stringify(socket.frames.at(-1))),
  );
  await closeSockets();
}

/** A disk of its own for the tables; the log of the server is elsewhere, since without that no server lives. */
async function prepareDisk(ground: Ground): Promise<Place | undefined> {
  const folder = join(ground.folder, 'disk');
  mkdirSync(folder, { recursive: true });
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK},mode=755`, 'tmpfs', folder]).status !== 0)
    return undefined;
  const unmount = () => void spawnSync('umount', ['-l', folder]);
  process.once('exit', unmount);
  const tables = join(folder, 'tables');
  mkdirSync(tables, { mode: 0o700 });
  const { account } = ground;
  if (account) chownSync(tables, account.uid, account.gid);
  await ground.ask('postgres', `CREATE TABLESPACE small LOCATION '${tables}'`);
  await ground.ask('postgres', `CREATE DATABASE ${DATABASE} TEMPLATE template0 TABLESPACE small`);
  return {
    server: ground,
    database: DATABASE,
    ask: (statement) => ground.ask(DATABASE, statement),
    close: async () => {
      await ground.dropDatabase(DATABASE);
      await ground.ask('postgres', 'DROP TABLESPACE small');
      unmount();
      process.off('exit', unmount);
    },
  };
}

async function fillDisk(it: Outage): Promise<void> {
  const ballast = join(it.ground.folder, 'disk', 'ballast');
  const file = openSync(ballast, 'w');
  for (const piece of [Buffer.alloc(65_536), Buffer.alloc(4_096)]) fill(file, piece);
  closeSync(file);
  it.note('the disk is full');
  const refused = () => it.refusals('POST /v1/items') > 20;
  await until('writes are refused', refused, 30_000);
  await it.wait(2_000);
  rmSync(ballast);
  it.over('there is room again');
}

function fill(file: number, piece: Buffer): void {
  try {
    for (;;) writeSync(file, piece);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
  }
}

async function exhaustPool(it: Outage): Promise<void> {
  const client = await it.ground.connect(it.place.database);
  try {
    await client.query('BEGIN');
    await client.query('LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE');
    it.note('whatever asks for a membership waits');
    await it.wait(8_000);
    await client.query('COMMIT');
    it.over('nothing waits');
  } finally {
    await client.end();
  }
}

async function restartDatabase(it: Outage): Promise<void> {
  await it.ground.crash();
  it.note('PostgreSQL has crashed');
  await it.wait(3_000);
  await it.ground.recover();
  it.over('PostgreSQL is back');
}

let redis: Redis | undefined;

async function prepareRedis(ground: Ground): Promise<Place | undefined> {
  if (!Redis.isInstalled) return undefined;
  redis = await Redis.prepare(ground);
  const database = await ground.createDatabase();
  return {
    server: ground,
    database,
    variables: { REDIS_URL: redis.url, RATE_LIMIT: 'on', RATE_LIMIT_PER_MINUTE: '1000000' },
    ask: (statement) => ground.ask(database, statement),
    close: async () => {
      await redis?.kill();
      await ground.dropDatabase(database);
    },
  };
}

async function loseRedis(it: Outage): Promise<void> {
  redis?.pause();
  it.note('Redis does not answer');
  await it.wait(3_000);
  redis?.resume();
  await it.wait(1_000);
  await redis?.kill();
  it.note('Redis was killed');
  await it.wait(2_000);
  await redis?.start();
  it.over('Redis is back');
}

async function jumpClock(it: Outage): Promise<void> {
  for (const where of ['an hour ahead', 'an hour back', 'home']) {
    it.instance.shiftClock();
    it.note(`the clock has jumped: ${where}`);
    await it.wait(1_500);
  }
  it.over('the clock is right');
}

/** Half of them send headers, half a body, a byte now and then, and never come to an end. */
async function dawdle(it: Outage): Promise<void> {
  const { token } = it.person;
  const head = `POST /v1/items HTTP/1.1\r\nHost: atrium\r\nAuthorization: Bearer ${token}\r\n`;
  const body = `${head}Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{`;
  const clients = await Promise.all(
    Array.from({ length: SLOW_CLIENTS }, async (_, n) => {
      const client = await RawConnection.open(it.instance.url);
      client.dawdle(n % 2 ? head : body);
      return client;
    }),
  );
  const started = performance.now();
  it.note(`${SLOW_CLIENTS} clients dawdle`);
  const isOver = () => clients.every(({ isClosed }) => isClosed);
  await until('all are sent away', isOver, 20_000).catch(() => {
    const { received } = clients.find(({ isClosed }) => !isClosed) ?? {};
    it.broken('who dawdles is sent away', JSON.stringify(received));
  });
  it.figures['sent away after ms'] = Math.round(performance.now() - started);
  const untold = clients.filter(({ received }) => !received.startsWith('HTTP/1.1 408 ')).length;
  if (untold > 0) it.broken('who dawdles is told so', `${untold} were not`);
  for (const client of clients) client.close();
  it.over('nobody dawdles');
}

async function idle(it: Outage): Promise<void> {
  const count = it.settings.isShort ? IDLE_SOCKETS.short : IDLE_SOCKETS.long;
  const before = memoryOf(it.instance.pid);
  const started = performance.now();
  let refused = 0;
  for (let n = 0; n < count; n += CONNECTED_AT_ONCE)
    await Promise.all(
      Array.from({ length: CONNECTED_AT_ONCE }, () =>
        connect(it.instance, { token: it.person.token }).catch(() => refused++),
      ),
    );
  it.figures['sockets'] = count - refused;
  it.figures['connected after ms'] = Math.round(performance.now() - started);
  if (refused > 0) it.broken('everybody is connected', `${refused} were refused`);
  await it.wait(3_000);
  it.figures['KiB for each'] = Math.round((memoryOf(it.instance.pid) - before) / count);
  it.note(`${count} sockets are idle`);
  await closeSockets();
  it.over('all have gone at once');
}

/** In KiB. */
function memoryOf(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]);
}

/** What one instance has to live through. */
export const outages: readonly OwnDrill[] = [
  outage({
    name: 'failover',
    about: 'the primary crashes, and its synchronous replica takes over',
    mayRefuse: true,
    slowestMs: QUICK_MS,
    prepare: preparePair,
    strike: failOver,
  }),
  outage({
    name: 'disk-full',
    about: 'the disk of the tables is full for a while',
    mayRefuse: true,
    slowestMs: QUICK_MS,
    prepare: prepareDisk,
    strike: fillDisk,
  }),
  outage({
    name: 'pool-exhausted',
    about: 'a lock has everything that asks for a membership wait for eight seconds',
    mayRefuse: true,
    slowestMs: QUICK_MS,
    refusedWithinMs: 1_000,
    // As in production: what waits for the lock waits for as long as it does there.
    variables: { DATABASE_STATEMENT_TIMEOUT_MS: '15000' },
    strike: exhaustPool,
  }),
  outage({
    name: 'postgres-away',
    about: 'PostgreSQL crashes and is away for three seconds',
    mayRefuse: true,
    slowestMs: QUICK_MS,
    strike: restartDatabase,
  }),
  outage({
    name: 'redis-away',
    about: 'Redis does not answer, and is killed: nobody notices',
    mayRefuse: false,
    slowestMs: 2_500,
    prepare: prepareRedis,
    strike: loseRedis,
  }),
  outage({
    name: 'clock-jumps',
    about: 'the clock of an instance jumps by an hour, there and back: nobody notices',
    mayRefuse: false,
    slowestMs: 2_500,
    variables: { NODE_OPTIONS: `--import ${CLOCK}` },
    strike: jumpClock,
  }),
  outage({
    name: 'slow-clients',
    about: `${SLOW_CLIENTS} clients send headers and bodies a byte at a time: nobody else notices`,
    mayRefuse: false,
    slowestMs: 2_500,
    variables: { HEADERS_TIMEOUT_MS: String(SLOW_MS), BODY_TIMEOUT_MS: String(SLOW_MS) },
    strike: dawdle,
  }),
  outage({
    name: 'idle-sockets',
    about: `${IDLE_SOCKETS.long.toLocaleString('en')} sockets come, are idle, and go at once: nobody else notices`,
    mayRefuse: false,
    slowestMs: 4_000,
    strike: idle,
  }),
];
