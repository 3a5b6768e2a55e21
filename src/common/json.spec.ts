import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { JsonRefused, MAX_DEPTH, parseJson, parseJsonBytes, pointerTo } from './json.js';

/** Where a text is refused; `undefined` when it is not. */
function refusal(text: string): string | undefined {
  try {
    parseJson(text);
    return undefined;
  } catch (error) {
    if (error instanceof JsonRefused) return error.problem.pointer;
    throw error;
  }
}

/** Whether a decimal is exactly the shortest text of the float it parses to, by exact arithmetic. */
function survives(sign: string, digits: string, exponent: number): boolean {
  const source = `${sign}${digits}e${exponent}`;
  const value = Number(source);
  if (!Number.isFinite(value)) return false;
  const [, whole, fraction = '', power] = /^-?(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(value.toExponential()) ?? [];
  const [mine, theirs] = [BigInt(digits), BigInt(whole + fraction)];
  const shift = exponent - (Number(power) - fraction.length);
  return shift >= 0 ? mine * 10n ** BigInt(shift) === theirs : mine === theirs * 10n ** BigInt(-shift);
}

describe('JSON', () => {
  it('that a program wrote is parsed to the same value', () => {
    const storable = fc.jsonValue({ maxDepth: 5, noUnicodeString: false }).filter((value) => {
      const text = JSON.stringify(value);
      return !/\\u0000|\\ud[89a-f]|__proto__/i.test(text);
    });
    fc.assert(
      fc.property(storable, (value) =>
        expect(parseJson(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value))),
      ),
    );
  });

  it('keeps every finite number that a float can hold, in every notation', () => {
    const double = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(
      fc.property(double, (value) => {
        for (const text of [JSON.stringify(value), value.toExponential()])
          expect((parseJson(`[${text}]`) as number[])[0] === value).toBe(true);
      }),
    );
  });

  it('refuses exactly the decimals that a float would change', () => {
    const decimal = fc.tuple(
      fc.constantFrom('', '-'),
      fc.stringMatching(/^([1-9]\d{0,24}|0)$/),
      fc.integer({ min: -30, max: 30 }),
    );
    fc.assert(
      fc.property(decimal, ([sign, digits, exponent]) => {
        const kept = survives(sign, digits, exponent);
        expect(refusal(`{"n":${sign}${digits}e${exponent}}`) === undefined).toBe(kept);
        if (exponent === 0) expect(refusal(`{"n":${sign}${digits}}`) === undefined).toBe(kept);
        if (exponent < 0) {
          const padded = digits.padStart(1 - exponent, '0');
          const plain = `${padded.slice(0, exponent)}.${padded.slice(exponent)}`;
          expect(refusal(`{"n":${sign}${plain}}`) === undefined).toBe(kept);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('never takes a text that JSON.parse would not, nor throws anything but a refusal', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: fc.constantFrom(...'{}[]",:0.1eE-\\u t'.split(''), 'true', 'null', '\\u0000') }),
        (text) => {
          const refused = refusal(text) !== undefined;
          let isJson = true;
          try {
            JSON.parse(text);
          } catch {
            isJson = false;
          }
          if (!isJson) expect(refused).toBe(true);
        },
      ),
      { numRuns: 2_000 },
    );
  });

  it('that repeats a key is refused or kept as its last value, never merged', () => {
    expect(parseJson('{"a":{"x":1},"a":{"y":2}}')).toEqual({ a: { y: 2 } });
  });

  it('counts nesting outside of texts only', () => {
    const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels);
    expect(refusal(nested(MAX_DEPTH))).toBeUndefined();
    expect(refusal(nested(MAX_DEPTH + 1))).toBe('');
    expect(refusal(JSON.stringify(['[{'.repeat(200)]))).toBeUndefined();
    expect(refusal(JSON.stringify(['\\'.repeat(7), '[{'.repeat(200), '"'.repeat(3)]))).toBeUndefined();
    expect(refusal(`[${'[]'.repeat(0)}${Array(300).fill('[]').join(',')}]`)).toBeUndefined();
    expect(refusal('"' + '['.repeat(300))).toBe('');
  });

  it('in bytes must be UTF-8', () => {
    expect(parseJsonBytes(Buffer.from('{"ü":"🎉"}'))).toEqual({ ü: '🎉' });
    for (const bytes of [
      [0x22, 0xff, 0x22],
      [0x22, 0xed, 0xa0, 0x80, 0x22],
      [0x22, 0xc3],
    ])
      expect(() => parseJsonBytes(Buffer.from(bytes))).toThrow(JsonRefused);
  });
});

describe('A JSON pointer', () => {
  it('escapes what RFC 6901 says, so that it can be followed back', () => {
    const follow = (pointer: string) =>
      pointer
        .split('/')
        .slice(1)
        .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
    fc.assert(
      fc.property(fc.array(fc.string({ unit: fc.constantFrom('~', '/', '0', '1', 'a') })), (keys) => {
        expect(follow(keys.reduce((pointer, key) => pointerTo(pointer, key), ''))).toEqual(keys);
      }),
    );
  });
});
