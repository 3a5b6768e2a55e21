import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FollowedStream, RECENT_EVENTS } from './followed-stream.js';
import { StreamEvent } from './stream-event.js';

const event = (seq: number, characters = 2) =>
  new StreamEvent({
    streamId: 's',
    seq,
    id: `e${seq}`,
    type: 't',
    subject: 'items/1',
    principalId: 'p',
    time: '2026-01-31 08:00:00+00',
    data: `"${'x'.repeat(characters - 2)}"`,
  });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => from + n);
const seqs = (events: readonly StreamEvent[] | undefined) => events?.map(({ seq }) => seq);

describe('A followed stream hands on', () => {
  it('every event once and in order, however they come: shuffled, repeated, in any portions', () => {
    const arrivals = fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.nat(20))
      .chain(([count, start]) =>
        fc
          .tuple(
            fc.shuffledSubarray(range(start + 1, start + count), { minLength: count }),
            fc.array(fc.integer({ min: 1, max: start + count })),
          )
          .chain(([all, repeated]) =>
            fc.tuple(
              fc.constant(start),
              fc.constant(count),
              fc.shuffledSubarray([...all, ...repeated], { minLength: all.length + repeated.length }),
              fc.integer({ min: 1, max: 7 }),
            ),
          ),
      );
    fc.assert(
      fc.property(arrivals, ([start, count, order, portion]) => {
        const stream = new FollowedStream('s', start);
        const handedOn: number[] = [];
        for (let at = 0; at < order.length; at += portion)
          handedOn.push(...seqs(stream.receive(order.slice(at, at + portion).map((seq) => event(seq))))!);
        expect(handedOn).toEqual(range(start + 1, start + count));
        expect(stream.position).toBe(start + count);
        expect(stream.hasGap).toBe(false);
      }),
    );
  });

  it('nothing past a gap, until the missing one comes', () => {
    const stream = new FollowedStream('s', 4);
    expect(seqs(stream.receive([event(6), event(7)]))).toEqual([]);
    expect(stream.hasGap).toBe(true);
    expect(stream.position).toBe(4);
    expect(seqs(stream.receive([event(5)]))).toEqual([5, 6, 7]);
    expect(stream.hasGap).toBe(false);
  });

  it('nothing twice', () => {
    const stream = new FollowedStream('s', 0);
    stream.receive([event(1), event(2)]);
    expect(seqs(stream.receive([event(2), event(1), event(0)]))).toEqual([]);
  });
});

describe('The newest past', () => {
  it('is at hand for those who are just behind', () => {
    const stream = new FollowedStream('s', 10);
    stream.receive(range(11, 15).map((seq) => event(seq)));
    expect(seqs(stream.since(10))).toEqual([11, 12, 13, 14, 15]);
    expect(seqs(stream.since(13))).toEqual([14, 15]);
    expect(seqs(stream.since(15))).toEqual([]);
    expect(seqs(stream.since(99))).toEqual([]);
  });

  it('is told from what must be read: never a part of what was asked for', () => {
    const stream = new FollowedStream('s', 10);
    expect(stream.since(9)).toBeUndefined();
    stream.receive([event(11)]);
    expect(stream.since(9)).toBeUndefined();
  });

  it('is bounded by number, and what is left is whole', () => {
    const stream = new FollowedStream('s', 0);
    const last = 5 * RECENT_EVENTS;
    for (const seq of range(1, last)) stream.receive([event(seq)]);
    expect(stream.since(0)).toBeUndefined();
    expect(seqs(stream.since(last - RECENT_EVENTS + 1))).toEqual(range(last - RECENT_EVENTS + 2, last));
  });

  it('is bounded by size', () => {
    const stream = new FollowedStream('s', 0);
    for (const seq of range(1, 100)) stream.receive([event(seq, 100_000)]);
    expect(stream.since(70)).toBeUndefined();
    expect(seqs(stream.since(95))).toEqual(range(96, 100));
  });

  it('is forgotten when the history is another one', () => {
    const stream = new FollowedStream('s', 0);
    stream.receive([event(1), event(2), event(9)]);
    stream.restart(1);
    expect(stream.position).toBe(1);
    expect(stream.hasGap).toBe(false);
    expect(stream.since(0)).toBeUndefined();
    expect(seqs(stream.receive([event(2)]))).toEqual([2]);
  });
});
