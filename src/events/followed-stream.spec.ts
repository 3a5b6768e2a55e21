import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FollowedStream, RECENT_CHARACTERS, RECENT_EVENTS } from './followed-stream.js';
import { StreamEvent } from './stream-event.js';

const event = (seq: number, length = 10): StreamEvent =>
  new StreamEvent({
    streamId: 's',
    seq,
    id: `${seq}`,
    type: 'note',
    subject: 'items/1',
    principalId: 'p',
    time: '2026-01-31 08:00:00+00',
    data: 'x'.repeat(length),
  });
const upTo = (count: number, from = 1): number[] => Array.from({ length: count }, (_, n) => from + n);
const seqs = (events: readonly StreamEvent[] | undefined): number[] | undefined =>
  events?.map(({ seq }) => seq);

describe('A followed stream', () => {
  it('hands on every event once, in order, whatever the order and however often they come', () => {
    const shuffled = fc.integer({ min: 1, max: 60 }).chain((count) =>
      fc.tuple(
        fc.constant(count),
        fc.integer({ min: 0, max: 50 }),
        fc.shuffledSubarray(
          upTo(count).flatMap((seq) => [seq, seq]),
          { minLength: 2 * count, maxLength: 2 * count },
        ),
        fc.integer({ min: 1, max: 7 }),
      ),
    );
    fc.assert(
      fc.property(shuffled, ([count, start, order, size]) => {
        const stream = new FollowedStream('s', start);
        const handedOn: number[] = [];
        for (let at = 0; at < order.length; at += size)
          handedOn.push(
            ...(seqs(stream.receive(order.slice(at, at + size).map((n) => event(start + n)))) ?? []),
          );
        expect(handedOn).toEqual(upTo(count, start + 1));
        expect(stream.position).toBe(start + count);
        expect(stream.hasGap).toBe(false);
        for (let from = start; from <= start + count; from++)
          expect(seqs(stream.since(from))).toEqual(upTo(start + count - from, from + 1));
      }),
    );
  });

  it('knows of a gap, and of its end', () => {
    const stream = new FollowedStream('s', 0);
    expect(stream.receive([event(3)])).toEqual([]);
    expect(stream.hasGap).toBe(true);
    expect(seqs(stream.receive([event(1)]))).toEqual([1]);
    expect(stream.hasGap).toBe(true);
    expect(seqs(stream.receive([event(2)]))).toEqual([2, 3]);
    expect(stream.hasGap).toBe(false);
  });

  it.each([
    ['events', RECENT_EVENTS, 10],
    ['characters', Math.floor(RECENT_CHARACTERS / 100_512), 100_000],
  ])('remembers a bounded number of %s, and says when it does not remember', (_, least, length) => {
    const stream = new FollowedStream('s', 0);
    for (let seq = 1; seq <= 10 * RECENT_EVENTS && seq * length < 30_000_000; seq++) {
      stream.receive([event(seq, length)]);
      const { recent } = stream as unknown as { recent: StreamEvent[] };
      expect(recent.length).toBeLessThanOrEqual(2 * RECENT_EVENTS);
      expect(recent.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(
        2 * RECENT_CHARACTERS + length + 512,
      );
    }
    const { position } = stream;
    expect(seqs(stream.since(position - least))).toEqual(upTo(least, position - least + 1));
    expect(stream.since(0)).toBeUndefined();
    expect(stream.since(position)).toEqual([]);
    expect(stream.since(position + 5)).toEqual([]);
  });

  it('keeps a bounded number of events that came too early; the rest is read', () => {
    const stream = new FollowedStream('s', 0);
    for (let seq = 2; seq < 5_000; seq++) stream.receive([event(seq)]);
    const { early } = stream as unknown as { early: Map<number, StreamEvent> };
    expect(early.size).toBeLessThanOrEqual(1_024);
    expect(stream.receive([event(1)]).length).toBe(early.size === 0 ? 1_025 : 0);
    expect(seqs(stream.receive(upTo(5_000).map((seq) => event(seq))))?.at(-1)).toBe(5_000);
  });

  it('that starts again knows nothing of before', () => {
    const stream = new FollowedStream('s', 0);
    stream.receive([event(1), event(2), event(9)]);
    stream.restart(1);
    expect(stream.hasGap).toBe(false);
    expect(stream.since(0)).toBeUndefined();
    expect(seqs(stream.receive([event(2)]))).toEqual([2]);
  });
});
