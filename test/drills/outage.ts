import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Person, registerUser } from '../support/people.js';
import { type ArenaSettings, VARIABLES } from './arena.js';
import type { Violation } from './checker.js';
import type { Outcome, OwnDrill } from './drill.js';
import type { Ground } from './ground.js';
import { type DatabaseServer, Instance } from './instance.js';
import { Pulse } from './pulse.js';

/** What callers may notice of a fault. */
export interface Terms {
  /** Whether they may be answered 503 while it lasts. */
  readonly mayRefuse: boolean;
  /** What an answer may take at most, in ms, beyond what the machine holds up. */
  readonly slowestMs: number;
  /** What half of the refusals may take at most, in the same way. */
  readonly refusedWithinMs?: number;
}

/** One instance under steady requests, to which something is done that it has to live through. */
export interface OutageDrill extends Pick<OwnDrill, 'name' | 'about'>, Terms {
  readonly variables?: Readonly<Record<string, string>>;
  /** What the instance stands on, if not the ground; `undefined`: it cannot be had here, and the drill is left out. */
  readonly prepare?: (ground: Ground) => Promise<Place | undefined>;
  /** Does the fault, says when it is over ({@link Outage.over}), and resolves some time after that. */
  readonly strike: (outage: Outage) => Promise<void>;
}

/** A server with a database, for one drill. */
export interface Place {
  readonly server: DatabaseServer;
  readonly database: string;
  readonly variables?: Readonly<Record<string, string>>;
  /** One statement in the database, wherever it is by then. */
  ask<Row extends object>(statement: string): Promise<Row[]>;
  close(): Promise<void>;
}

interface Answer {
  readonly path: string;
  readonly sentAt: number;
  readonly ms: number;
  /** 0: none. */
  readonly status: number;
  readonly isTold: boolean;
  readonly said: string;
}

const CALLERS = 16;
const PAUSE_MS = 10;
const ANSWER_MS = 20_000;
/** After a fault is over: how long until everything is as before. */
export const RECOVERY_MS = 5_000;
/** How long everything is as before, and looked at, in the end. */
const AFTER_MS = 2_000;

/** A fault, whoever calls meanwhile, and what they were answered. */
export class Outage {
  /** What the drill has to say in figures. */
  readonly figures: Record<string, number> = {};
  readonly violations: Violation[] = [];
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
  private readonly answers: Answer[] = [];
  private readonly acknowledged: string[] = [];
  private stopped = false;
  private overAt = Infinity;
  private recoveredAt = Infinity;
  private calling: Promise<unknown> = Promise.resolve();
  private readonly pulse: Pulse;

  constructor(
    readonly ground: Ground,
    readonly settings: ArenaSettings,
    readonly instance: Instance,
    readonly place: Place,
    readonly person: Person,
  ) {
    this.pulse = new Pulse((statement) => place.ask(statement));
  }

  note(said: string): void {
    this.settings.log(said);
  }

  wait(ms: number): Promise<void> {
    return delay(ms);
  }

  broken(promise: string, evidence: string): void {
    this.violations.push({ promise, evidence });
  }

  /** How many of these were answered 503 so far. */
  refusals(path: string): number {
    return this.answers.filter((answer) => answer.path === path && answer.status === 503).length;
  }

  /** From now on, everything has to become as before. */
  over(said: string): void {
    this.note(said);
    this.overAt = performance.now();
  }

  begin(): void {
    this.pulse.begin();
    this.calling = Promise.all(Array.from({ length: CALLERS }, (_, n) => this.call(n)));
  }

  /** Waits until writes are done again, and a little longer. */
  async settle(): Promise<void> {
    const deadline = this.overAt + 4 * RECOVERY_MS;
    while (this.recoveredAt === Infinity && performance.now() < deadline) await delay(20);
    await delay(AFTER_MS);
  }

  /** Calls no more, and waits for the answers. */
  async stop(): Promise<void> {
    this.stopped = true;
    await this.calling;
    await this.pulse.end();
    this.agent.destroy();
  }

  judge({ mayRefuse, ...terms }: Terms, kept: ReadonlySet<string>): Outcome {
    const { heldUpMs } = this.pulse;
    const slowestMs = terms.slowestMs + heldUpMs;
    const recoveryMs = RECOVERY_MS + heldUpMs;
    if (this.instance.hasDied) this.broken('the process lives', this.instance.output.slice(-500));
    const refused = this.answers.filter(({ status }) => status === 503);
    for (const { path, status, isTold, ms, sentAt, said } of this.answers) {
      const what = `${path} was answered ${status} after ${Math.round(ms)} ms: ${said}`;
      if (status !== 503 && !isOk(status)) this.broken('nothing but 503 is answered', what);
      if (status === 503 && !isTold) this.broken('503 says when to come again', what);
      if (status === 503 && !mayRefuse) this.broken('nobody notices', what);
      if (ms > slowestMs) this.broken(`answers take no more than ${slowestMs} ms`, what);
      if (sentAt > this.overAt + recoveryMs && !isOk(status))
        this.broken(`recovered within ${recoveryMs} ms`, what);
    }
    const recoveredMs = Math.max(0, this.recoveredAt - this.overAt);
    if (recoveredMs > recoveryMs) this.broken(`recovered within ${recoveryMs} ms`, `${recoveredMs} ms`);
    const refusedAfter = median(refused.map(({ ms }) => ms));
    if (terms.refusedWithinMs !== undefined && refusedAfter > terms.refusedWithinMs + heldUpMs)
      this.broken(
        `refusals take no more than ${terms.refusedWithinMs} ms`,
        `half of them ${refusedAfter} ms`,
      );
    const lost = this.acknowledged.filter((id) => !kept.has(id));
    for (const id of lost) this.broken('what was acknowledged is kept', `item ${id} is gone`);
    return {
      counts: {
        answers: this.answers.length,
        acknowledged: this.acknowledged.length,
        lost: lost.length,
        refused: refused.length,
        'refused after ms (median)': refusedAfter,
        'slowest ms': Math.round(Math.max(...this.answers.map(({ ms }) => ms))),
        'recovered ms': Math.round(recoveredMs),
        'machine held up ms': heldUpMs,
        ...this.figures,
      },
      violations: this.violations,
      output: this.instance.output,
    };
  }

  private async call(n: number): Promise<void> {
    const read = ['/v1/me', '/v1/items', '/v1/items?filter[type]=drill'][n % 3] ?? '/v1/me';
    for (let turn = n; !this.stopped; turn++) {
      if (turn % 2 === 0) await this.send('GET', read);
      else await this.send('POST', '/v1/items', { title: `n${n}-${turn}`, type: 'drill', data: PADDING });
      await delay(PAUSE_MS);
    }
  }

  private async send(method: string, path: string, json?: object): Promise<void> {
    const sentAt = performance.now();
    const { status, isTold, said } = await this.ask(method, path, json).catch((error: unknown) => ({
      status: 0,
      isTold: false,
      said: String(error),
    }));
    const now = performance.now();
    this.answers.push({
      path: `${method} ${path}`,
      sentAt,
      ms: now - sentAt,
      status,
      isTold,
      said: said.slice(0, 200),
    });
    if (status !== 201) return;
    this.acknowledged.push((JSON.parse(said) as { id: string }).id);
    if (sentAt > this.overAt) this.recoveredAt = Math.min(this.recoveredAt, now);
  }

  private ask(
    method: string,
    path: string,
    json?: object,
  ): Promise<{ status: number; isTold: boolean; said: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{
      status: number;
      isTold: boolean;
      said: string;
    }>();
    const headers = {
      Authorization: `Bearer ${this.person.token}`,
      ...(json && { 'Content-Type': 'application/json' }),
    };
    const options = { method, headers, agent: this.agent, timeout: ANSWER_MS };
    const sent = request(new URL(path, this.instance.url), options, (response) => {
      const isTold = response.headers['retry-after'] !== undefined;
      text(response).then((said) => resolve({ status: response.statusCode ?? 0, isTold, said }), reject);
    });
    sent.once('error', reject).once('timeout', () => sent.destroy(new Error('no answer')));
    sent.end(json && JSON.stringify(json));
    return promise;
  }
}

/** Has a place for itself, so that a disk fills up. */
const PADDING = { text: 'x'.repeat(1_000) };
const isOk = (status: number): boolean => status >= 200 && status < 300;

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? 0);
}

/** The ground's own server, with a database of the drill's. */
async function onGround(ground: Ground): Promise<Place> {
  const database = await ground.createDatabase();
  return {
    server: ground,
    database,
    ask: (statement) => ground.ask(database, statement),
    close: () => ground.dropDatabase(database),
  };
}

/** A drill of a run, of this. */
export const outage = (drill: OutageDrill): OwnDrill => ({
  name: drill.name,
  about: drill.about,
  seconds: 10,
  conduct: async (ground, settings) => {
    const place = await (drill.prepare ?? onGround)(ground);
    if (!place) {
      settings.log('left out: it cannot be done on this machine');
      return { counts: {}, violations: [], output: '' };
    }
    const instance = await Instance.prepare('o0', ground, {
      database: place.database,
      server: place.server,
      main: settings.main,
      variables: {
        ...VARIABLES,
        PASSWORD_HASH_MEMORY_KIB: '64',
        DATA_DIR: join(ground.folder, settings.name),
        ...drill.variables,
        ...place.variables,
      },
    });
    let it: Outage | undefined;
    try {
      await instance.start();
      it = new Outage(ground, settings, instance, place, await registerUser(instance));
      it.begin();
      await it.wait(1_000);
      await drill.strike(it);
      await it.settle();
      await it.stop();
      const items = await place.ask<{ id: string }>('SELECT id FROM items');
      return it.judge(drill, new Set(items.map(({ id }) => id)));
    } finally {
      await it?.stop();
      await instance.close();
      await place.close();
    }
  },
});
