import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { JsonValue } from './json.js';
import { diffJson } from './json-diff.js';
import { applyJsonPatch, JsonPatchDocument } from './json-patch.js';

/** Over the wire, as a client has it. */
const applied = (before: JsonValue, after: JsonValue) => {
  const changes = JSON.parse(JSON.stringify(diffJson(before, after))) as JsonValue;
  return applyJsonPatch(JSON.stringify(before), JsonPatchDocument.read(changes));
};

describe('The difference of two documents', () => {
  it('makes the one of the other, whatever they are', () => {
    const key = fc.oneof(
      fc.constantFrom('', '/', '~', '~1', '0', '-', 'constructor', 'toString', '1e0', 'ä', 'a.b'),
      fc.string({ maxLength: 4 }),
    );
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.constantFrom<JsonValue>(null, true, false, 0, 1, '', 'a', 1e21),
        fc.array(tie('value'), { maxLength: 6 }),
        fc.dictionary(
          key.filter((name) => name !== '__proto__'),
          tie('value'),
          { maxKeys: 5, noNullPrototype: true },
        ),
      ),
    }));
    fc.assert(
      fc.property(value, value, (before, after) => {
        expect(applied(before, after)).toEqual(after);
        expect(diffJson(after, after)).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('says of a list what came and what went', () => {
    const list = [1, { a: 1, b: [] }, 'x', null];
    expect(diffJson(list, [...list, 2])).toEqual([{ op: 'add', path: '/4', value: 2 }]);
    expect(diffJson(list, [0, ...list])).toEqual([{ op: 'add', path: '/0', value: 0 }]);
    expect(diffJson(list, list.slice(1))).toEqual([{ op: 'remove', path: '/0' }]);
    expect(diffJson(list, [1, { a: 2, b: [] }, 'x', null])).toEqual([
      { op: 'replace', path: '/1/a', value: 2 },
    ]);
    expect(diffJson({ a: 1, b: 1 }, { b: 1, c: 1 })).toEqual([
      { op: 'remove', path: '/a' },
      { op: 'add', path: '/c', value: 1 },
    ]);
  });

  it('is bounded: what is wholly another is replaced, however large, deep or long its keys are', () => {
    const object = (count: number, value: JsonValue) =>
      Object.fromEntries(Array.from({ length: count }, (_, n) => [`key${n}`, value]));
    const list = (count: number, value: number) => Array.from({ length: count }, (_, n) => n * 2 + value);
    const cases: [JsonValue, JsonValue][] = [
      [object(20_000, 1), object(20_000, 2)],
      [list(20_000, 0), list(20_000, 1)],
      [list(20_000, 0), list(10_000, 1)],
      [{ ['k'.repeat(50_000)]: object(400, 1) }, { ['k'.repeat(50_000)]: object(400, 2) }],
    ];
    for (const [one, other] of cases)
      for (const [before, after] of [
        [one, other],
        [other, one],
      ]) {
        const changes = diffJson({ data: before, title: 'x' }, { data: after, title: 'y' });
        expect(changes.length).toBe(2);
        expect(JSON.stringify(changes).length).toBeLessThan(JSON.stringify(after).length + 100_000);
        expect(applied(before, after)).toEqual(after);
      }
    const nested = (inner: JsonValue): JsonValue =>
      Array.from({ length: 90 }).reduce<JsonValue>((value, _, n) => (n % 2 ? [value] : [value, n]), inner);
    const [before, after] = [nested(list(10_000, 0)), nested([...list(10_000, 0), -1])];
    expect(applied(before, after)).toEqual(after);
    expect(diffJson(before, after)).toHaveLength(1);
  });
});
