import { EventEmitter } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { Client, PoolClient } from 'pg';
import { BoundedPool } from './bounded-pool.js';
import { databaseRefused } from './database-observations.js';
import { DatabaseBusyError, DatabaseUnavailableError } from './errors.js';

type Connected = (error?: Error) => void;

/** Stands for the database: opens a connection at once, unless it is slow: then when the test says so. */
let isSlow: boolean;
let opening: Connected[];
class FakeClient extends EventEmitter {
  readonly _queryable = true;
  connect(done: Connected): void {
    if (isSlow) opening.push(done);
    else process.nextTick(done);
  }
  end(done?: () => void): void {
    if (done) process.nextTick(done);
  }
}

/** What became of somebody who asks for a connection. */
interface Asked {
  outcome: 'waits' | 'lent' | 'busy' | 'unavailable';
  client?: PoolClient;
}

const MOST = 2;
let pool: BoundedPool;
let refusals: string[];
let stopListening: () => void;
beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'queueMicrotask', 'setImmediate'] });
  isSlow = false;
  opening = [];
  refusals = [];
  stopListening = databaseRefused.listen(({ way }) => refusals.push(way));
  pool = new BoundedPool({ way: 'reads', max: MOST, Client: FakeClient as unknown as typeof Client });
});
afterEach(() => {
  stopListening();
  jest.useRealTimers();
});

/** Asks so many times, and lets whatever can happen without time happen. */
async function ask(count = 1): Promise<Asked[]> {
  const all = Array.from({ length: count }, () => {
    const asked: Asked = { outcome: 'waits' };
    pool.connect().then(
      (client) => Object.assign(asked, { outcome: 'lent', client }),
      (error: unknown) => {
        if (error instanceof DatabaseBusyError) asked.outcome = 'busy';
        if (error instanceof DatabaseUnavailableError) asked.outcome = 'unavailable';
      },
    );
    return asked;
  });
  await setImmediate();
  return all;
}

async function pass(ms: number): Promise<void> {
  jest.advanceTimersByTime(ms);
  await setImmediate();
}

async function letGo(...all: readonly Asked[]): Promise<void> {
  for (const { client } of all) client?.release();
  await setImmediate();
}

const outcomes = (all: readonly Asked[]) => all.map(({ outcome }) => outcome);

describe('A pool all of whose connections are in use', () => {
  it('refuses who waits when none is let go, then everybody at once, and lends again when one is let go', async () => {
    const held = await ask(MOST);
    expect(outcomes(held)).toEqual(['lent', 'lent']);
    const before = await ask(2);
    await pass(900);
    expect(outcomes(before)).toEqual(['waits', 'waits']);
    const late = await ask();
    await pass(300);
    expect(outcomes([...before, ...late])).toEqual(['busy', 'busy', 'busy']);
    expect(outcomes(await ask(2))).toEqual(['busy', 'busy']);
    expect(refusals).toEqual(Array.from({ length: 5 }, () => 'reads'));
    expect(pool.use).toEqual({ open: 2, idle: 0, waiting: 0 });

    await letGo(held[0]);
    const [next, waiting] = await ask(2);
    expect([next.outcome, waiting.outcome]).toEqual(['lent', 'waits']);
    await letGo(next);
    expect(waiting.outcome).toBe('lent');
  });

  it('gives everybody of a burst a turn, in the order in which they came, while they are let go', async () => {
    const held = await ask(MOST);
    const burst = await ask(20);
    for (let n = 0; n < burst.length; n += MOST) {
      await pass(150);
      await letGo(...held.splice(0));
      held.push(...burst.slice(n, n + MOST));
      expect(outcomes(burst.slice(0, n + MOST + 1))).toEqual([
        ...Array.from({ length: n + MOST }, () => 'lent'),
        ...(n + MOST < burst.length ? ['waits'] : []),
      ]);
    }
    expect(refusals).toEqual([]);
  });

  it('refuses whoever waits for too long in spite of that, and whoever comes then, until it has caught up', async () => {
    const held = await ask(MOST);
    const early = await ask(4);
    for (const each of early.slice(0, 3)) {
      await pass(800);
      await letGo(held.shift() as Asked);
      held.push(each);
    }
    const late = await ask();
    await pass(800);
    expect(outcomes([...early, ...late])).toEqual(['lent', 'lent', 'lent', 'busy', 'waits']);
    expect(outcomes(await ask())).toEqual(['busy']);
    await letGo(held[0]);
    expect(outcomes([...late, ...(await ask())])).toEqual(['lent', 'busy']);
    await letGo(held[1]);
    expect(outcomes(await ask())).toEqual(['lent']);
  });

  it('lets no more wait than it has turns for', async () => {
    const held = await ask(MOST);
    const waiting = await ask(100);
    expect(pool.use.waiting).toBe(100);
    expect(outcomes(await ask())).toEqual(['busy']);
    await letGo(...held);
    for (const each of waiting) await letGo(each);
    expect(new Set(outcomes(waiting))).toEqual(new Set(['lent']));
  });
});

describe('A pool whose connections are slow to open', () => {
  it('has whoever comes wait for them longer than for those in use, and keeps those that come too late', async () => {
    isSlow = true;
    const first = await ask(MOST);
    const behind = await ask();
    await pass(2_500);
    expect(outcomes([...first, ...behind])).toEqual(['waits', 'waits', 'waits']);
    await pass(1_000);
    expect(outcomes([...first, ...behind])).toEqual(['waits', 'waits', 'busy']);
    await pass(2_000);
    expect(outcomes(first)).toEqual(['unavailable', 'unavailable']);

    opening.forEach((done) => done());
    await setImmediate();
    expect(pool.use).toEqual({ open: 2, idle: 2, waiting: 0 });
    expect(outcomes(await ask(MOST))).toEqual(['lent', 'lent']);
  });

  it('hands what could not be opened on as a failure, and tries again for the next', async () => {
    isSlow = true;
    const first = await ask(MOST);
    const behind = await ask();
    opening.forEach((done) => done(new DatabaseUnavailableError('refused')));
    await setImmediate();
    expect(outcomes([...first, ...behind])).toEqual(['unavailable', 'unavailable', 'waits']);
    opening.at(-1)?.();
    await setImmediate();
    expect(outcomes(behind)).toEqual(['lent']);
  });
});

describe('A connection that breaks while it is lent', () => {
  it('makes room for another', async () => {
    const [held] = await ask(MOST);
    const [waiting] = await ask();
    held.client?.release(new Error('broken'));
    await setImmediate();
    expect(waiting.outcome).toBe('lent');
    expect(pool.use.open).toBe(2);
  });
});
