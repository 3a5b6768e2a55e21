import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { until } from '../support/until.js';
import type { Ground } from './ground.js';
import { Instance } from './instance.js';
import type { Random } from './random.js';
import { Redis } from './redis.js';
import { readRecords, recorder, type Sighting, type WriteRecord } from './records.js';
import { type People, settle, type Somebody } from './settlers.js';
import type { ClientOrders, Orders, Positions } from './subscriber.js';
import { readTable } from './table.js';
import { Writers } from './writers.js';
import type { Evidence } from './checker.js';

/** What a drill needs to be different. */
export interface ArenaOptions {
  readonly instances?: number;
  readonly subscribers?: number;
  readonly writesPerSecond?: number;
  /** Characters that make each event heavier. */
  readonly padding?: number;
  /** Of sockets. */
  readonly heartbeatMs?: number;
  /** Whether subscribers connect without a proxy, whose buffers would take what theirs do not. */
  readonly direct?: boolean;
  /** Whether instances hear of each other by Redis. */
  readonly redis?: boolean;
  /** Done to the empty, migrated database. */
  readonly arrange?: readonly string[];
}

/** What a run gives every arena. */
export interface ArenaSettings {
  readonly name: string;
  readonly random: Random;
  readonly seconds: number;
  /** The compiled `main.js`. */
  readonly main: string;
  /** How long every event may take to reach every reader once nothing stands in its way. */
  readonly patienceMs: number;
  readonly log: (line: string) => void;
  /** Of drills of leases: how much there is to do, if it was said; and whether the run has little time. */
  readonly items?: number;
  readonly isShort?: boolean;
}

/** One process of subscribers. */
export interface SubscriberProcess {
  readonly name: string;
  readonly child: ChildProcess;
  readonly file: string;
}

const POLL_MS = 100;
const HEARTBEAT_MS = 1_000;

/** Somebody has lost something, which is the checker's to say: it must not come by a later write. */
export class Unsettled extends Error {}

/** Where a drill takes place: instances on a database of their own, writers and subscribers around them. */
export class Arena {
  readonly instances: Instance[] = [];
  readonly subscribers: SubscriberProcess[] = [];
  redis: Redis | undefined;
  people: People;
  writers: Writers;
  /** How often something was done to the instances. */
  faults = 0;
  private deadline = 0;
  private readonly writesFile: string;

  private constructor(
    readonly ground: Ground,
    readonly settings: ArenaSettings,
    readonly database: string,
    /** For records. */
    readonly folder: string,
  ) {
    this.writesFile = join(folder, 'writes.jsonl');
  }

  get random(): Random {
    return this.settings.random;
  }

  /** Brings everything up; writers wait. */
  static async open(ground: Ground, settings: ArenaSettings, options: ArenaOptions): Promise<Arena> {
    const folder = join(ground.folder, settings.name);
    mkdirSync(folder, { recursive: true });
    const arena = new Arena(ground, settings, await ground.createDatabase(), folder);
    try {
      if (options.redis) arena.redis = await Redis.prepare(ground);
      await arena.startInstances(options);
      for (const text of options.arrange ?? []) await arena.ask(text);
      arena.people = await settle(arena.instances[0], (text, values) => arena.ask(text, values));
      await arena.startSubscribers(options);
      arena.writers = arena.prepareWriters(options);
      arena.deadline = performance.now() + 1_000 * settings.seconds;
      return arena;
    } catch (error) {
      for (const { name, output } of arena.instances) settings.log(`${name}: ${output.slice(-2_000)}`);
      await arena.close();
      throw error;
    }
  }

  private async startInstances({ instances = 2, heartbeatMs = HEARTBEAT_MS }: ArenaOptions): Promise<void> {
    for (let n = 0; n < instances; n++) {
      const variables = {
        ...VARIABLES,
        DATA_DIR: join(this.folder, `data-${n}`),
        SOCKET_HEARTBEAT_MS: String(heartbeatMs),
        ...(this.redis && { REDIS_URL: this.redis.url }),
      };
      const options = { database: this.database, main: this.settings.main, variables };
      this.instances.push(await Instance.prepare(`i${n}`, this.ground, options));
    }
    const [first, ...others] = this.instances;
    await first?.start(); // migrates
    await Promise.all(others.map((each) => each.start()));
  }

  private async startSubscribers({
    subscribers: count = 3,
    heartbeatMs = HEARTBEAT_MS,
    direct = false,
  }: ArenaOptions): Promise<void> {
    const { workspaces, items, rooms: custom, owner, guest } = this.people;
    const rooms = workspaces.map((id) => `workspaces/${id}`);
    const customRooms = custom.map(({ id }) => `rooms/${id}`);
    for (let n = 0; n < count; n++) {
      const name = `s${n}`;
      const file = join(this.folder, `${name}.jsonl`);
      const child = fork(join(import.meta.dirname, 'subscriber.ts'), {
        execArgv: ['--no-warnings', '--import', '@swc-node/register/esm-register'],
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      this.ground.guard(child);
      child.on('error', () => undefined);
      const reads = (what: string, { id, token }: Somebody, rooms: readonly string[]): ClientOrders => ({
        name: `${name}-${what}`,
        principal: id,
        token,
        rooms,
        by: 'socket',
      });
      const clients: ClientOrders[] = [
        reads('workspaces', owner, rooms),
        reads(
          'items',
          owner,
          items.map(({ id }) => `items/${id}`),
        ),
        reads('guest', guest, rooms),
        reads('rooms', n % 2 ? owner : guest, customRooms),
        { ...reads('stream', n % 2 ? owner : guest, rooms.slice(0, 1)), by: 'stream' },
      ];
      const seed = Math.floor(this.random.next() * 2 ** 31);
      const urls = this.instances.map(({ url, frontUrl }) => (direct ? url : frontUrl));
      child.send({ file, seed, urls, heartbeatMs, clients } satisfies Orders);
      this.subscribers.push({ name, child, file });
    }
    const due = count * (2 * workspaces.length + items.length + custom.length + 1);
    await until('every subscriber has joined', async () => {
      const positions = await this.positions();
      const joined = positions.flatMap((of) => Object.values(of).flatMap((rooms) => Object.keys(rooms)));
      return joined.length === due;
    });
  }

  private prepareWriters({ writesPerSecond = 120, padding = 0 }: ArenaOptions): Writers {
    const { workspaces, items, rooms, owner, viewer } = this.people;
    return new Writers({
      instances: this.instances,
      perInstance: 4,
      writesPerSecond,
      padding: 'x'.repeat(padding),
      workspaces,
      items,
      rooms,
      token: owner.token,
      viewerToken: viewer.token,
      random: this.random.fork(),
      record: recorder(this.writesFile),
    });
  }

  /** Whether there is time. */
  get goesOn(): boolean {
    return performance.now() < this.deadline;
  }

  async wait(fromMs: number, toMs = fromMs): Promise<void> {
    await delay(this.random.between(fromMs, toMs));
  }

  note(text: string): void {
    this.settings.log(text);
  }

  /** Says what was just done to the instances. */
  struck(text: string): void {
    this.faults++;
    this.note(text);
  }

  /** One statement in the drill's database, past every proxy. */
  ask<Row extends object>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.ground.ask<Row>(this.database, text, values);
  }

  private async positions(): Promise<Positions[]> {
    return Promise.all(
      this.subscribers.map(async ({ child }) => {
        child.send('positions');
        const [answer] = (await once(child, 'message')) as [Positions];
        return answer;
      }),
    );
  }

  /**
   * Waits, while nobody writes, until every reader has all that is in the log.
   * @throws {Unsettled} if one still has not when patience is at an end
   */
  async settle(): Promise<void> {
    await this.writers.pause();
    const rows = await this.ask<{ room: string; seq: string }>(
      `SELECT 'workspaces/' || stream_id AS room, max(seq) AS seq FROM events
       WHERE subject NOT LIKE 'rooms/%' GROUP BY stream_id
       UNION ALL SELECT subject, max(seq) FROM events WHERE subject ~ '^(items|rooms)/' GROUP BY subject`,
    );
    const due = new Map(rows.map(({ room, seq }) => [room, Number(seq)]));
    const deadline = performance.now() + this.settings.patienceMs;
    for (;;) {
      const positions = await this.positions();
      const behind = positions.flatMap((of) =>
        Object.entries(of).flatMap(([client, rooms]) =>
          Object.entries(rooms).flatMap(([room, seq]) =>
            seq < (due.get(room) ?? 0) ? [`${client} is at ${seq} of ${due.get(room)} in ${room}`] : [],
          ),
        ),
      );
      if (behind.length === 0) return;
      if (performance.now() > deadline) {
        throw new Unsettled(
          `${this.settings.patienceMs} ms of quiet, and ${behind.slice(0, 3).join('; ')}${behind.length > 3 ? ' …' : ''}`,
        );
      }
      await delay(POLL_MS);
    }
  }

  /** Everything that was recorded, and the table. For the end, after {@link settle}. */
  async evidence(): Promise<Evidence> {
    return {
      writes: readRecords<WriteRecord>(this.writesFile),
      sightings: this.subscribers.flatMap(({ file }) => readRecords<Sighting>(file)),
      table: await readTable((text) => this.ask(text)),
    };
  }

  /** What the instances printed: how they took it. */
  get output(): string {
    return this.instances.map(({ name, output }) => `${name}:\n${output}`).join('\n');
  }

  async close(): Promise<void> {
    for (const { child } of this.subscribers) child.kill('SIGKILL');
    await this.redis?.kill();
    await Promise.all(this.instances.map((each) => each.close()));
    await this.ground.dropDatabase(this.database);
  }
}

/** Short enough for a drill to see the end of what hangs. */
export const VARIABLES = {
  NODE_ENV: 'test',
  HOST: '127.0.0.1',
  LOG_LEVEL: 'warn',
  TOKEN_SECRET: 'the-secret-of-the-drills-0123456789abcdef',
  ACCESS_TOKEN_TTL_SECONDS: '86400',
  RATE_LIMIT: 'off',
  DATABASE_POOL_SIZE: '4',
  DATABASE_STATEMENT_TIMEOUT_MS: '3000',
  DRAIN_TIMEOUT_MS: '5000',
};
