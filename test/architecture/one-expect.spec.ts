import { describe, expect, it } from '@jest/globals';
import { Problem } from '../../src/common/problem.js';

// A worker loads `expect` once (test/support/native/runner.mjs), outside of the world in which its files run.
describe('What a spec makes itself', () => {
  it.each([
    ['errors', new Error('a'), new Error('b')],
    ['dates', new Date(1), new Date(2)],
    ['sets', new Set([1]), new Set([2])],
    ['maps', new Map([[1, 2]]), new Map([[1, 3]])],
    ['bytes', new Uint8Array([1]), new Uint8Array([2])],
  ])('is compared in full: %s', (_, one, other) => {
    expect(one).not.toEqual(other);
    expect({ one }).not.toEqual({ one: other });
    expect({ one }).not.toMatchObject({ one: other });
    expect(one).toEqual(one);
  });

  it('is what it is, beside what the application makes', () => {
    const made = { text: 'x', number: 1, list: [1], call: () => 1, object: {}, flag: true, big: 1n };
    expect(made).toEqual({
      text: expect.any(String),
      number: expect.any(Number),
      list: expect.any(Array),
      call: expect.any(Function),
      object: expect.any(Object),
      flag: expect.any(Boolean),
      big: expect.any(BigInt),
    });
    expect(made).not.toEqual({ ...made, text: expect.any(Number) });
    expect([]).toBeInstanceOf(Array);
    expect(new TypeError('x')).toBeInstanceOf(TypeError);
    expect(new Problem(400, 'code', 'detail')).toBeInstanceOf(Problem);
    expect(new Problem(400, 'code', 'detail')).not.toEqual(new Problem(400, 'code', 'another'));
  });
});
