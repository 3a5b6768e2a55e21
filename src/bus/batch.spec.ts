import { describe, expect, it } from '@jest/globals';
import { Outgoing, readBatch, writeBatch } from './batch.js';

describe('What waits to be told', () => {
  it('is told once per key, with the last value, in order of the first', () => {
    const outgoing = new Outgoing();
    outgoing.add('streams', 'a', '1');
    outgoing.add('streams', 'b', '1');
    outgoing.add('streams', 'a', '2');
    outgoing.add('sessions', 's', '');
    const taken = outgoing.take();
    expect([...(taken.get('streams') ?? [])]).toEqual([
      ['a', '2'],
      ['b', '1'],
    ]);
    expect([...(taken.get('sessions') ?? [])]).toEqual([['s', '']]);
    expect(outgoing.isEmpty).toBe(true);
  });

  it.each([
    ['entries', (n: number) => [`key ${n}`, ''] as const, 4_096],
    ['characters', (n: number) => [`key ${n}`, 'x'.repeat(65_536)] as const, 32],
  ])('is no more than that there is something, with too many %s', (_, entry, limit) => {
    const outgoing = new Outgoing();
    for (let n = 0; n < limit; n++) outgoing.add('full', ...entry(n));
    outgoing.add('other', 'key', 'value');
    expect(outgoing.take().get('full')?.size).toBe(limit);
    for (let n = 0; n <= limit; n++) outgoing.add('full', ...entry(n));
    outgoing.add('other', 'key', 'value');
    const taken = outgoing.take();
    expect(taken.get('full')).toBeNull();
    expect(taken.get('other')?.size).toBe(1);
  });

  it('under the same key counts once, however often it is replaced', () => {
    const outgoing = new Outgoing();
    for (let n = 0; n < 1_000; n++) outgoing.add('streams', 'a', 'x'.repeat(65_536));
    expect(outgoing.take().get('streams')?.size).toBe(1);
  });
});

describe('A batch', () => {
  it('is read as it was written, and travels as ASCII', () => {
    const told = new Map([
      ['streams', new Map([['a', '1']])],
      ['rooms', new Map([['ключ', '💡 \u2028 "quoted" \u0000\u007f\ud800']])],
      ['full', null],
    ]);
    const text = writeBatch({ from: 'me', told });
    expect(text).toMatch(/^[ -~]+$/);
    expect(readBatch(text)).toEqual({ from: 'me', told });
  });

  it.each([
    '',
    'x',
    '{}',
    '[]',
    'null',
    '["me"]',
    '[1,[]]',
    '["me",{}]',
    '["me",["streams"]]',
    '["me",[["streams"]]]',
    '["me",[[1,[]]]]',
    '["me",[["streams",{}]]]',
    '["me",[["streams",[["a"]]]]]',
    '["me",[["streams",[["a",1]]]]]',
    '["me",[["streams",["ab"]]]]',
  ])('is not %j', (text) => {
    expect(readBatch(text)).toBeUndefined();
  });
});
