// `npm run bench`: Atrium beside plain servers that do the same work on the same database, in interleaved rounds.
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import pg from 'pg';
import { itemId, seed, sessionId, userId, workspaceId } from './data.mjs';
import {
  cores,
  cpuOf,
  cpuOfFamily,
  cpuOfMachine,
  freePort,
  isUsed,
  pinSelf,
  startNode,
  stop,
  stopAll,
  untilQuiet,
  untilReady,
} from './processes.mjs';
import { median, printRooms, printRest, printStart } from './report.mjs';
import { sign } from './tokens.mjs';

const here = import.meta.dirname;
const root = resolve(here, '..');
const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string', default: 'get,list,post,patch,rooms,start' },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    connections: { type: 'string', default: '32' },
    json: { type: 'string' },
    /** `name=folder`: another checkout of Atrium, built, to compare with. */
    also: { type: 'string', multiple: true, default: [] },
    'no-build': { type: 'boolean', default: false },
    /** Wait for a quiet machine before each slice, this many seconds at most. */
    patience: { type: 'string', default: '0' },
    /** Write V8 processor profiles of Atrium into this folder. */
    profile: { type: 'string' },
  },
});
const only = new Set(options.only.split(','));
const rounds = Number(options.rounds ?? 3);
/** Rounds are dropped, not shortened, when a busy machine makes everything else slow; not when they were asked for. */
const isBounded = options.rounds === undefined && options.also.length === 0 && options.patience === '0';
const budgetSeconds = isBounded ? (options.quick ? 85 : 285) : Infinity;

/** Counts rounds up to their number, or to the last that fits into this part of the budget; the first always does. */
function* roundsWithin(part) {
  for (let round = 0, longest = 0; round < rounds; round++) {
    const started = performance.now();
    if (round > 0 && started + longest > part * budgetSeconds * 1_000) {
      console.log(
        `Out of time after ${round} of ${rounds} rounds: the machine is busy, and the ratios are rough.`,
      );
      return;
    }
    yield round;
    longest = Math.max(longest, performance.now() - started);
  }
}
const seconds = Number(options.seconds ?? (options.quick ? 0.6 : 2.2));
const warmSeconds = options.quick ? 0.2 : 0.4;
const secret = randomBytes(32).toString('base64url');

const OPERATIONS = ['get', 'list', 'post-spread', 'post-one', 'patch-spread', 'patch-one'].filter((name) =>
  only.has(name.split('-')[0]),
);
const SUBSCRIBERS = 1_000;
const PHASES = {
  saturation: { inFlight: 32 },
  single: { inFlight: 1 },
  rate: { rate: 20 },
};
const roomSeconds = options.quick ? 0.6 : 2;

if (options.profile) mkdirSync(options.profile, { recursive: true });
const { startEmbedded, removeEmbedded } = await load('database/embedded.js');
// Nothing is awaited from here until the handlers below are set.
const folder = mkdtempSync(join(tmpdir(), 'atrium-bench-'));
chmodSync(folder, 0o755); // PostgreSQL may have to run as another user
let postgres, postmaster;
/** The embedded server's start, which an interruption has to wait for before it can undo it. */
let starting = Promise.resolve();

function load(path) {
  if (!options['no-build']) {
    const nest = createRequire(import.meta.url).resolve('@nestjs/cli/bin/nest.js');
    const built = spawnSync(process.execPath, [nest, 'build'], { cwd: root, stdio: 'inherit' });
    if (built.status !== 0) process.exit(built.status ?? 1);
  }
  return import(pathToFileURL(join(root, 'dist/src', path)));
}

let cleaning;
const cleanUp = () =>
  (cleaning ??= (async () => {
    await stopAll();
    await starting.catch(() => undefined);
    await postgres?.stop();
    await removeFolder();
  })());

/** A start that was cut off may leave initdb or a server on its way up: try until nothing works in the folder. */
async function removeFolder() {
  for (let attempt = 0; attempt < 40; attempt++) {
    try {
      for (const name of ['database', 'start'])
        if (existsSync(join(folder, name))) await removeEmbedded(join(folder, name));
      if (!isUsed(folder)) return rmSync(folder, { recursive: true, force: true });
    } catch {
      // It changed under our hands.
    }
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  console.error(`Could not remove ${folder}`);
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
  process.on(signal, () => void cleanUp().finally(() => process.exit(130)));

process.on('uncaughtException', (error) => {
  if (!cleaning) console.error(error);
  void cleanUp().finally(() => process.exit(1));
});

const atriumEnv = (port, url) => ({
  PORT: String(port),
  HOST: '127.0.0.1',
  ...(url ? { DATABASE_URL: url } : {}),
  DATA_DIR: join(folder, 'start'),
  TOKEN_SECRET: secret,
  // Limits that would otherwise be what is measured: one socket publishes for all.
  RATE_LIMIT: 'off',
  SOCKET_FRAME_RATE: '100000',
});

async function startAtrium(name, checkout) {
  const port = await freePort();
  const flags = options.profile ? ['--import', join(here, 'profiler.mjs')] : [];
  const child = startNode([...flags, join(checkout, 'dist/src/main.js')], {
    core: 'server',
    cwd: folder,
    ipc: options.profile !== undefined,
    env: atriumEnv(port, postgres.url),
  });
  await untilReady(child, port, '/health/ready');
  return { name, port, child, isProfiled: options.profile !== undefined };
}

async function startPlain(name, script, env) {
  const port = await freePort();
  const child = startNode([join(here, script)], {
    core: 'server',
    cwd: folder,
    ipc: true,
    env: {
      PORT: String(port),
      DATABASE_URL: postgres.url,
      TOKEN_SECRET: secret,
      NODE_ENV: 'production',
      ...env,
    },
  });
  await untilReady(child, port, '/health/ready');
  return { name, port, child };
}

async function startLoad(script) {
  const child = startNode([join(here, script)], {
    core: 'rest',
    cwd: folder,
    ipc: true,
    env: { TOKEN_SECRET: secret },
  });
  await once(child, 'message');
  return child;
}

/** Gives the load an order; answers with its results, each with who used how many cores while it counted. */
async function drive(loadProcess, server, order) {
  if (cleaning) await new Promise(() => undefined); // interrupted: nothing more is started
  const used = () => ({
    at: performance.now(),
    server: cpuOf(server.child.pid),
    postgres: cpuOfFamily(postmaster),
    load: cpuOf(loadProcess.pid),
    machine: cpuOfMachine(),
  });
  const shares = [];
  let before;
  const profile = async (what) => {
    if (!server.isProfiled) return;
    if (what === 'start') return server.child.send({ profile: what });
    const name = `${server.name}-${order.operation ?? Object.keys(PHASES)[shares.length - 1]}.cpuprofile`;
    server.child.send({ profile: what, file: resolve(options.profile, name) });
    await once(server.child, 'message');
  };
  let profiled;
  return new Promise((done, failed) => {
    const exited = () => failed(new Error(`The load ended early:\n${loadProcess.said}`));
    loadProcess.once('exit', exited);
    const listen = async ({ event, result }) => {
      if (event === 'counting') {
        before = used();
        await profile('start');
      }
      if (event === 'counted') {
        shares.push(difference(before, used()));
        profiled = profile('stop');
      }
      if (event !== 'done') return;
      await profiled;
      loadProcess.off('message', listen).off('exit', exited);
      done([result].flat().map((each, n) => ({ ...each, cores: shares[n] })));
    };
    loadProcess.on('message', listen);
    loadProcess.send(order, (error) => error && failed(error));
  });
}

function difference(before, after) {
  const span = (after.at - before.at) / 1_000;
  const share = (name) => (after[name] - before[name]) / span;
  const known = { server: share('server'), postgres: share('postgres'), load: share('load') };
  return { ...known, others: Math.max(0, share('machine') - known.server - known.postgres - known.load) };
}

function shuffled(list) {
  const left = [...list];
  return list.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}

/** Both answer alike, or the comparison is worth nothing. */
async function compareAnswers(servers) {
  const headers = { Authorization: `Bearer ${sign(secret, userId(7), sessionId(7))}` };
  const paths = [`/v1/items/${itemId(7)}`, `/v1/items?workspaceId=${workspaceId(8)}&limit=20`];
  for (const path of paths) {
    const answers = await Promise.all(
      servers.map(async ({ name, port }) => {
        const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
        const body = sorted(await response.json());
        const etag = response.headers.get('etag');
        return {
          name,
          said: JSON.stringify([response.status, etag, response.headers.get('content-type'), body]),
        };
      }),
    );
    const odd = answers.find(({ said }) => said !== answers[0].said);
    if (odd)
      throw new Error(`${odd.name} answers ${odd.said}\n${answers[0].name} answers ${answers[0].said}`);
    if (!answers[0].said.startsWith('[200,')) throw new Error(`GET ${path} answers ${answers[0].said}`);
  }
}

function sorted(value) {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  const keys = Object.keys(value).sort();
  return Object.fromEntries(keys.map((key) => [key, sorted(value[key])]));
}

async function measureRest(atriums) {
  const ordered = await startPlain('plain', 'plain.mjs', { MODE: 'ordered' });
  const unordered = await startPlain('plain, unordered', 'plain.mjs', { MODE: 'unordered' });
  const loadProcess = await startLoad('load.mjs');
  const reading = [...atriums, ordered];
  const writing = [...reading, unordered];
  await compareAnswers(reading);
  const slice = async (operation, server, span, warm) => {
    const connections = Number(options.connections);
    const order = { port: server.port, operation, connections, warmSeconds: warm, seconds: span };
    const [result] = await drive(loadProcess, server, order);
    if (result.errors > 0)
      throw new Error(
        `${server.name}, ${operation}: ${result.errors} errors, the run is void. ${result.sample}`,
      );
    return result;
  };
  const of = (operation) => (operation === 'get' || operation === 'list' ? reading : writing);
  for (const operation of OPERATIONS)
    for (const server of of(operation)) await slice(operation, server, options.quick ? 0.3 : 0.8, 0);
  const results = {};
  for (const round of roundsWithin(only.has('rooms') ? 0.7 : 1)) {
    for (const operation of OPERATIONS) {
      for (const server of shuffled(of(operation))) {
        await untilQuiet(Number(options.patience) * 1_000);
        const result = await slice(operation, server, seconds, warmSeconds);
        ((results[operation] ??= {})[server.name] ??= []).push(result);
        progress(round, operation, server.name, result);
      }
    }
  }
  await Promise.all([ordered.child, unordered.child, loadProcess].map((child) => stop(child)));
  return results;
}

async function measureRooms(atriums) {
  const servers = [...atriums, await startPlain('plain', 'plain-rooms.mjs', {})];
  const loadProcess = await startLoad('rooms-load.mjs');
  const phases = Object.values(PHASES).map((phase) => ({ ...phase, warmSeconds, seconds: roomSeconds }));
  const results = {};
  for (const round of roundsWithin(1)) {
    for (const server of shuffled(servers)) {
      await untilQuiet(Number(options.patience) * 1_000);
      const found = await drive(loadProcess, server, { port: server.port, subscribers: SUBSCRIBERS, phases });
      Object.keys(PHASES).forEach((phase, n) => {
        if (found[n].errors > 0)
          throw new Error(`${server.name}, rooms, ${phase}: ${found[n].sample}; the run is void`);
        ((results[phase] ??= {})[server.name] ??= []).push(found[n]);
        progress(round, `rooms-${phase}`, server.name, found[n]);
      });
    }
  }
  await Promise.all([servers.at(-1).child, loadProcess].map((child) => stop(child)));
  return results;
}

/** From spawn to the first 200 of /health/ready, with the embedded database that an earlier start left. */
async function measureStart() {
  const port = await freePort();
  const once_ = async () => {
    const started = performance.now();
    const child = startNode([join(root, 'dist/src/main.js')], {
      core: 'both',
      cwd: folder,
      env: atriumEnv(port),
    });
    await untilReady(child, port, '/health/ready', 5);
    const span = performance.now() - started;
    await stop(child, 20_000);
    return span;
  };
  const first = await once_();
  const second = [];
  const unit = [];
  for (let n = 0; n < (options.quick ? 1 : 3); n++) {
    second.push(await once_());
    for (let k = 0; k < 2; k++) {
      const started = performance.now();
      await once(startNode(['-e', '0'], { core: 'both', cwd: folder }), 'exit');
      unit.push(performance.now() - started);
    }
  }
  return { firstMs: first, secondMs: median(second), nodeMs: median(unit) };
}

function progress(round, operation, name, { perSecond, p50, p99, cores: used }) {
  const share = Object.entries(used)
    .map(([who, n]) => `${who} ${n.toFixed(2)}`)
    .join(', ');
  const rate = Math.round(perSecond).toLocaleString('en').padStart(9);
  const label = `round ${round + 1}  ${operation.padEnd(16)} ${name.padEnd(17)}`;
  console.log(`${label} ${rate}/s  p50 ${p50.toFixed(2)} p99 ${p99.toFixed(2)} ms  cores: ${share}`);
}

async function main() {
  const results = { node: process.version, pinned: cores !== undefined, seconds, rounds };
  if (!cores) console.log('Not pinned (that needs taskset and two cores): the ratios will be rough.');
  if (only.has('start')) results.start = await measureStart();
  if (OPERATIONS.length > 0 || only.has('rooms')) {
    pinSelf();
    starting = startEmbedded({ dataDir: join(folder, 'database'), log: () => undefined });
    postgres = await starting;
    postmaster = Number(
      readFileSync(join(folder, 'database/postgres/data/postmaster.pid'), 'utf8').split('\n')[0],
    );
    const checkouts = [['Atrium', root], ...options.also.map((each) => each.split('='))];
    const atriums = [await startAtrium(...checkouts[0])]; // migrates
    const client = new pg.Client({ connectionString: postgres.url });
    client.on('error', () => undefined); // its statement tells, and an interruption cuts it off
    await client.connect();
    await seed(client);
    await client.end();
    for (const checkout of checkouts.slice(1)) atriums.push(await startAtrium(...checkout));
    if (OPERATIONS.length > 0) results.rest = await measureRest(atriums);
    if (only.has('rooms')) results.rooms = await measureRooms(atriums);
  }
  if (results.rest) printRest(results.rest);
  if (results.rooms) printRooms(results.rooms);
  if (results.start) printStart(results.start);
  if (options.json) writeFileSync(options.json, JSON.stringify(results, undefined, 2));
}

try {
  await main();
} catch (error) {
  if (!cleaning) console.error(error.message);
  process.exitCode = 1;
} finally {
  await cleanUp();
}
