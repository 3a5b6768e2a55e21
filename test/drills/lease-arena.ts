import { type ChildProcess, fork } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { setTimeout as delay } from 'node:timers/promises';
import { startAgent } from '../support/agents.js';
import { type Person, registerUser } from '../support/people.js';
import { type ArenaSettings, VARIABLES } from './arena.js';
import type { Ground } from './ground.js';
import { Instance } from './instance.js';
import type { LeaseEvidence } from './lease-checker.js';
import type { AgentOrders, AgentRecord, WorkEvent, WorkRow } from './lease-records.js';
import type { Random } from './random.js';
import { readRecords } from './records.js';

/** A process of agents, which is started again when it was killed. */
interface Crew {
  readonly name: string;
  readonly agents: AgentOrders['agents'];
  readonly file: string;
  child: ChildProcess;
}

const TYPE = 'job';
const CREWS = 8;
const AGENTS_PER_CREW = 8;
export const TTL_SECONDS = 2;
const BATCH = 100;
/** So that what agents leave behind is not dead before somebody does it. */
const ATTEMPTS = 100;
const CLOCK = pathToFileURL(join(import.meta.dirname, 'shifting-clock.mjs')).href;
const POLL_MS = 200;

/** Two instances, and 64 agents in eight processes who do what there is to be done. */
export class LeaseArena {
  readonly instances: Instance[] = [];
  readonly crews: Crew[] = [];
  faults = 0;
  private owner: Person;

  private constructor(
    readonly ground: Ground,
    readonly settings: ArenaSettings,
    readonly database: string,
    private readonly folder: string,
  ) {}

  get random(): Random {
    return this.settings.random;
  }

  /** Brings everything up, with so many items to be done, and sets the agents to work. */
  static async open(ground: Ground, settings: ArenaSettings, items: number): Promise<LeaseArena> {
    const folder = join(ground.folder, settings.name);
    mkdirSync(folder, { recursive: true });
    const arena = new LeaseArena(ground, settings, await ground.createDatabase(), folder);
    try {
      await arena.startInstances();
      await arena.makeItems(items);
      await arena.hire();
      return arena;
    } catch (error) {
      for (const { name, output } of arena.instances) settings.log(`${name}: ${output.slice(-2_000)}`);
      await arena.close();
      throw error;
    }
  }

  private async startInstances(): Promise<void> {
    for (const name of ['i0', 'i1']) {
      const clock = { NODE_OPTIONS: `--import ${CLOCK}` };
      const variables = { ...VARIABLES, ...clock, DATA_DIR: join(this.folder, name) };
      const options = { database: this.database, main: this.settings.main, variables };
      const instance = await Instance.prepare(name, this.ground, options);
      this.instances.push(instance);
      await instance.start();
    }
  }

  private async makeItems(items: number): Promise<void> {
    const { instances } = this;
    this.owner = await registerUser(instances[0]);
    const type = { type: TYPE, attempts: ATTEMPTS };
    await this.owner.http.call('PUT', '/v1/leases/types', { json: type });
    for (let made = 0; made < items; made += BATCH) {
      const operations = Array.from({ length: Math.min(BATCH, items - made) }, (_, n) => ({
        op: 'create',
        item: { title: `Job ${made + n}`, type: TYPE, data: {} },
      }));
      const { status, text } = await this.owner.http.post('/v1/items/batch', { operations });
      if (status !== 200) throw new Error(`the batch was answered ${status}: ${text}`);
    }
  }

  private async hire(): Promise<void> {
    const hired: { id: string; token: string }[] = [];
    // One after another, since each takes the lock of the workspace; and nobody works before all are there.
    for (let n = 0; n < CREWS * AGENTS_PER_CREW; n++) {
      const { agent, token } = await startAgent(this.instances[0], this.owner, ['leases', 'items:write']);
      hired.push({ id: agent.id, token });
    }
    for (let n = 0; n < CREWS; n++) {
      const agents = hired.slice(n * AGENTS_PER_CREW, (n + 1) * AGENTS_PER_CREW);
      const crew = { name: `crew ${n}`, agents, file: join(this.folder, `crew-${n}.jsonl`) };
      this.crews.push({ ...crew, child: this.spawn(crew) });
    }
  }

  private spawn({ agents, file }: Omit<Crew, 'child'>): ChildProcess {
    const child = fork(join(import.meta.dirname, 'lease-agents.ts'), {
      execArgv: ['--no-warnings', '--import', CLOCK],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.ground.guard(child);
    child.on('error', () => undefined);
    const orders: AgentOrders = {
      file,
      agents,
      seed: Math.floor(this.random.next() * 2 ** 31),
      urls: this.instances.map(({ url }) => url),
      type: TYPE,
      ttlSeconds: TTL_SECONDS,
    };
    child.send(orders);
    return child;
  }

  /** `kill -9`, and another one with the same agents, who know nothing of what they held. */
  replace(crew: Crew): void {
    crew.child.kill('SIGKILL');
    crew.child = this.spawn(crew);
  }

  async wait(fromMs: number, toMs = fromMs): Promise<void> {
    await delay(this.random.between(fromMs, toMs));
  }

  /** Says what was just done. */
  struck(text: string): void {
    this.faults++;
    this.settings.log(text);
  }

  private ask<Row extends object>(text: string): Promise<Row[]> {
    return this.ground.ask<Row>(this.database, text);
  }

  /** How many items are not done and not dead. */
  async left(): Promise<number> {
    const [row] = await this.ask<{ count: string }>(
      `SELECT count(*) FROM lease_states WHERE state NOT IN ('done', 'dead')`,
    );
    return Number(row.count);
  }

  /** Waits until all items are done, for as long as some come to be done. What then is left is the checker's to say. */
  async settle(): Promise<void> {
    let least = Infinity;
    for (let deadline = 0; least > 0;) {
      // What has failed waits for minutes before it is tried again, and nobody wants to wait for that here.
      await this.ask(`UPDATE lease_states SET due_at = now() WHERE state = 'ready' AND due_at > now()`);
      const left = await this.left();
      if (left < least) deadline = performance.now() + this.settings.patienceMs;
      least = Math.min(least, left);
      if (performance.now() > deadline) return;
      await delay(POLL_MS);
    }
  }

  /** Everything that was recorded, once the agents have ended, and the tables. */
  async evidence(items: number): Promise<LeaseEvidence> {
    for (const { child } of this.crews) child.kill('SIGKILL');
    const [{ head, count }] = await this.ask<{ head: string; count: string }>(
      `SELECT max(s.head) AS head, count(*) FROM streams s JOIN events e ON e.stream_id = s.id`,
    );
    const rows = await this.ask<WorkRow>(
      `SELECT i.id AS item, i.version, l.state, l.reason FROM items i JOIN lease_states l ON l.item_id = i.id`,
    );
    return {
      records: this.crews.flatMap(({ file }) => readRecords<AgentRecord>(file)),
      head: Number(head),
      count: Number(count),
      events: (await this.ask<EventRow>(EVENTS)).map(toWorkEvent),
      rows,
      items,
    };
  }

  get output(): string {
    return this.instances.map(({ name, output }) => `${name}:\n${output}`).join('\n');
  }

  async close(): Promise<void> {
    for (const { child } of this.crews) child.kill('SIGKILL');
    await Promise.all(this.instances.map((each) => each.close()));
    await this.ground.dropDatabase(this.database);
  }
}

interface EventRow {
  readonly seq: string;
  readonly type: string;
  readonly subject: string;
  readonly principal_id: string;
  readonly ms: string;
  readonly data: {
    readonly id: string;
    readonly version?: number;
    readonly data?: { readonly write?: string };
    readonly fence?: number;
    readonly attempt?: number;
    readonly dueAt?: string;
    readonly reason?: string | null;
  };
}

const EVENTS = `SELECT seq, type, subject, principal_id, extract(epoch FROM "time") * 1000 AS ms, data FROM events
  WHERE subject LIKE 'items/%' ORDER BY seq`;

function toWorkEvent({ seq, type, subject, principal_id, ms, data }: EventRow): WorkEvent {
  const about = { seq: Number(seq), type, item: subject.slice('items/'.length), principal: principal_id };
  const event = { ...about, time: Number(ms) };
  if (type.startsWith('item.')) return { ...event, version: data.version, key: data.data?.write };
  const { id: lease, fence, attempt, dueAt, reason } = data;
  return { ...event, lease, fence, attempt, dueAt: Date.parse(dueAt ?? ''), reason };
}
