import { describe, expect, it } from '@jest/globals';
import { Outbox, type OutboxTarget } from './outbox.js';

class Target implements OutboxTarget {
  pending: OutboxTarget['pending'];
  readonly writes: Buffer[] = [];

  flush(bytes: Buffer): void {
    this.writes.push(bytes);
  }

  get text(): string {
    return Buffer.concat(this.writes).toString();
  }
}

const frame = (text: string): Buffer => Buffer.from(text);
/** The end of this turn of the event loop. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const a = frame('a');
const b = frame('b');
const c = frame('c');

describe('An outbox', () => {
  it('writes what a turn brings for a socket at once, in order, when the turn ends', async () => {
    const outbox = new Outbox();
    const target = new Target();
    for (const each of [a, b, a, c]) outbox.push(target, each);
    expect(target.writes).toEqual([]);
    await turn();
    expect(target.writes).toEqual([frame('abac')]);
    outbox.push(target, b);
    await turn();
    expect(target.writes).toEqual([frame('abac'), b]);
  });

  it('gives sockets with the same frames the same bytes, joined once', async () => {
    const outbox = new Outbox();
    const targets = Array.from({ length: 100 }, () => new Target());
    for (const each of [a, b, c]) for (const target of targets) outbox.push(target, each);
    await turn();
    const [first] = targets[0]?.writes ?? [];
    expect(first?.toString()).toBe('abc');
    for (const target of targets) {
      expect(target.writes).toHaveLength(1);
      expect(target.writes[0]).toBe(first);
    }
  });

  it('passes a lone frame on as it is, without a copy', async () => {
    const outbox = new Outbox();
    const target = new Target();
    outbox.push(target, a);
    await turn();
    expect(target.writes[0]).toBe(a);
  });

  it('gives each socket its own, whatever the others get', async () => {
    const outbox = new Outbox();
    const targets = Array.from({ length: 50 }, () => new Target());
    const frames = Array.from({ length: 20 }, (_, n) => frame(`${n},`));
    const expected = targets.map(() => '');
    for (const [n, each] of frames.entries())
      for (const [at, target] of targets.entries()) {
        if ((at * 7 + n * 3) % 5 < 2) continue;
        outbox.push(target, each);
        expected[at] += each.toString();
        if ((at + n) % 3 > 0) continue;
        const own = frame(`[${at}]`);
        outbox.push(target, own);
        expected[at] += own.toString();
      }
    await turn();
    expect(targets.map(({ text }) => text)).toEqual(expected);
    for (const { writes } of targets) expect(writes).toHaveLength(1);
  });

  it('writes before the end of the turn where it must, and nothing twice', async () => {
    const outbox = new Outbox();
    const [closing, other] = [new Target(), new Target()];
    outbox.push(closing, a);
    outbox.push(other, a);
    outbox.flush(closing);
    expect(closing.text).toBe('a');
    outbox.push(closing, b);
    await turn();
    expect(closing.text).toBe('ab');
    expect(other.text).toBe('a');
    expect(closing.pending).toBeUndefined();
  });

  it('keeps nothing of a turn for the next', async () => {
    const outbox = new Outbox();
    const target = new Target();
    outbox.push(target, a);
    await turn();
    outbox.push(target, a);
    outbox.push(target, a);
    await turn();
    expect(target.writes.map(String)).toEqual(['a', 'aa']);
  });
});
