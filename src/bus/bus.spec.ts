import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Bus } from './bus.js';
import type { BusConnection, BusHandlers } from './bus-connection.js';

/** What connects the buses of a test: everybody hears everything, unless it is cut. */
class Wire {
  readonly connections = new Set<BusHandlers>();
  readonly sent: string[] = [];
  cut = false;
  /** When set, nothing that is sent arrives before it is let through. */
  held: (() => void)[] | undefined;

  readonly driver = (handlers: BusHandlers): BusConnection => ({
    open: () => {
      if (this.cut) return Promise.reject(new Error('cut'));
      this.connections.add(handlers);
      return Promise.resolve();
    },
    send: async (text) => {
      this.sent.push(text);
      if (this.held) await new Promise<void>((resolve) => this.held?.push(resolve));
      for (const handlers of this.connections) handlers.heard(text);
    },
    close: () => {
      this.connections.delete(handlers);
      return Promise.resolve();
    },
  });

  break(): void {
    this.cut = true;
    for (const handlers of [...this.connections]) handlers.lost(new Error('cut'));
  }
}

class Notes {
  readonly heard: string[] = [];
  missedCount = 0;
  told(entries: ReadonlyMap<string, string>): void {
    for (const [key, value] of entries) this.heard.push(`${key}=${value}`);
  }
  missed(): void {
    this.missedCount++;
  }
}

describe('A bus', () => {
  let wire: Wire;
  let buses: Bus[];
  beforeEach(() => {
    jest.useFakeTimers({ doNotFake: ['performance', 'nextTick'] });
    Logger.overrideLogger(false);
    wire = new Wire();
    buses = [];
  });
  afterEach(async () => {
    jest.restoreAllMocks();
    const ended = Promise.all(buses.map((bus) => bus.onApplicationShutdown()));
    await pass(10_000); // past every patience
    await ended;
    jest.useRealTimers();
    Logger.overrideLogger(['log', 'error', 'warn', 'debug', 'verbose', 'fatal']);
  });

  const pass = (ms = 1) => jest.advanceTimersByTimeAsync(ms);
  const start = async () => {
    const bus = new Bus(wire.driver);
    const notes = new Notes();
    bus.subscribe('things', notes);
    bus.onApplicationBootstrap();
    buses.push(bus);
    await pass();
    return { bus, notes };
  };

  it('tells every other instance, and not itself', async () => {
    const [one, two, three] = [await start(), await start(), await start()];
    expect([one, two, three].map(({ bus }) => bus.peerCount)).toEqual([2, 2, 2]);
    one.bus.publish('things', 'a', '1');
    two.bus.publish('nobody listens', 'a', '1');
    await pass();
    expect([one, two, three].map(({ notes }) => notes.heard)).toEqual([[], ['a=1'], ['a=1']]);
  });

  it('that is alone sends nothing but that it is there', async () => {
    const { bus } = await start();
    const before = wire.sent.length;
    for (let n = 0; n < 100; n++) bus.publish('things', `${n}`);
    await pass();
    expect(wire.sent.length).toBe(before);
  });

  it('has one message under way; what comes meanwhile goes with the next', async () => {
    const [one, two] = [await start(), await start()];
    wire.held = [];
    one.bus.publish('things', 'a', '1');
    await pass();
    const before = wire.sent.length;
    for (let n = 1; n <= 100; n++) {
      one.bus.publish('things', 'b', `${n}`);
      await pass(0);
    }
    expect(wire.sent.length).toBe(before);
    const [first] = wire.held;
    wire.held = undefined;
    first?.();
    await pass();
    expect(wire.sent.length).toBe(before + 1);
    expect(two.notes.heard).toEqual(['a=1', 'b=100']);
  });

  it('that was cut is back by itself, says so once each, and has its listeners look at everything', async () => {
    const [one, two] = [await start(), await start()];
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const log = jest.spyOn(Logger.prototype, 'log').mockReturnValue();
    wire.break();
    expect(one.bus.isUp).toBe(false);
    one.bus.publish('things', 'lost', '1');
    await pass(60_000);
    expect(warn).toHaveBeenCalledTimes(2); // one each
    expect(log).not.toHaveBeenCalled();
    wire.cut = false;
    await pass(5_000);
    expect(log).toHaveBeenCalledTimes(2);
    expect([one.notes.missedCount, two.notes.missedCount]).toEqual([1, 1]);
    one.bus.publish('things', 'after', '1');
    await pass();
    expect(two.notes.heard).toEqual(['after=1']);
  });

  it('that hangs while it sends is cut and tried again', async () => {
    const [one, two] = [await start(), await start()];
    wire.held = [];
    one.bus.publish('things', 'a', '1');
    await pass(5_001);
    wire.held = undefined;
    await pass(10_000);
    expect(one.bus.isUp).toBe(true);
    one.bus.publish('things', 'b', '1');
    await pass();
    expect(two.notes.heard).toContain('b=1');
  });

  it('survives whatever arrives, and a listener at fault', async () => {
    const [one, two] = [await start(), await start()];
    const bad = jest.fn(() => {
      throw new Error('a listener at fault');
    });
    const after = new Notes();
    two.bus.subscribe('things', { told: bad, missed: bad });
    two.bus.subscribe('things', after);
    for (const text of ['', 'x', '[]', '["stranger",[["things",[["a"]]]]]'])
      for (const handlers of wire.connections) handlers.heard(text);
    one.bus.publish('things', 'a', '1');
    await pass();
    expect(bad).toHaveBeenCalledTimes(1);
    expect(after.heard).toEqual(['a=1']);
  });

  it('forgets instances that are gone', async () => {
    const [one, two] = [await start(), await start()];
    const ended = two.bus.onApplicationShutdown();
    await pass();
    await ended;
    const real = performance.now.bind(performance);
    const later = jest.spyOn(performance, 'now').mockImplementation(() => real() + 16_000);
    await pass(5_000); // is heard by itself again
    later.mockImplementation(() => real() + 32_000);
    await pass(5_000);
    expect(one.bus.peerCount).toBe(0);
  });

  it('ends with what was published sent', async () => {
    const [one, two] = [await start(), await start()];
    one.bus.publish('things', 'last', '1');
    const ended = one.bus.onApplicationShutdown();
    await pass();
    await ended;
    expect(two.notes.heard).toEqual(['last=1']);
    expect(wire.connections.size).toBe(1);
  });
});
