import { isUtf8 } from 'node:buffer';
import type { InputError } from './problem.js';

/** Any JSON value (RFC 8259). */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;
export interface JsonObject {
  [key: string]: JsonValue;
}

/** Whether it is an object, and neither null nor a list. */
export const isJsonObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Nesting deeper than this is refused: `JSON.stringify` recurses, and so do databases and clients. */
export const MAX_DEPTH = 100;

/** The text is not JSON, or is JSON that could not be stored and given back unchanged. */
export class JsonRefused extends Error {
  constructor(readonly problem: InputError) {
    super(`${problem.pointer} ${problem.detail}`.trim());
    this.name = 'JsonRefused';
  }
}

/**
 * Parses JSON so that what is stored is what was sent. Refuses what JavaScript or PostgreSQL would change or
 * choke on: nesting over {@link MAX_DEPTH}, `__proto__` keys, NUL characters, lone surrogates and numbers
 * that lose precision as a 64-bit float.
 * @throws {JsonRefused} with a pointer to the place
 */
export function parseJson(text: string): JsonValue {
  refuseDepth(text);
  const suspicious = SUSPICIOUS.test(text);
  let value: JsonValue;
  try {
    value = (suspicious ? JSON.parse(text, markLossy) : JSON.parse(text)) as JsonValue;
  } catch (error) {
    throw new JsonRefused({ pointer: '', detail: `is not valid JSON: ${(error as Error).message}` });
  }
  if (suspicious) refuseUnstorable(value, '');
  return value;
}

/**
 * {@link parseJson} for bytes, which must be UTF-8 (RFC 8259, section 8.1).
 * @throws {JsonRefused}
 */
export function parseJsonBytes(bytes: Buffer): JsonValue {
  if (!isUtf8(bytes)) throw new JsonRefused({ pointer: '', detail: 'is not valid UTF-8' });
  return parseJson(bytes.toString('utf8'));
}

/** Escapes a key for a JSON pointer (RFC 6901, section 3). */
export function pointerTo(parent: string, key: string | number): string {
  return `${parent}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/**
 * What makes the slow, exact check necessary. A decimal of at most 15 digits without an exponent always
 * survives a 64-bit float (IEEE 754 DBL_DIG), and the rest can only come in by an escape or by name. A number
 * follows a colon, comma, bracket or nothing; that something like it stands within a string costs only time.
 */
const SUSPICIOUS = /(?:^|[:,[])\s*-?(?:[\d.]{16}|[\d.]+[eE])|\\u|__proto__/;

/** Stands in the parsed value where a number would have changed, until the walk knows its pointer. */
class LossyNumber {
  constructor(readonly source: string) {}
}

function markLossy(_key: string, value: unknown, context?: { source?: string }): unknown {
  return typeof value === 'number' && context?.source !== undefined && !sameDecimal(context.source, value)
    ? new LossyNumber(context.source)
    : value;
}

/** Whether the shortest text of `value` is the same decimal number as `source`. */
function sameDecimal(source: string, value: number): boolean {
  return Number.isFinite(value) && canonicalDecimal(source) === canonicalDecimal(String(value));
}

/** `[sign]digits e exponent`, without leading or trailing zeros: equal texts are equal numbers. */
function canonicalDecimal(decimal: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(decimal) ?? [];
  const digits = (whole + fraction).replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return '0';
  return `${sign}${significant}e${Number(exponent) - fraction.length + digits.length - significant.length}`;
}

/** Counts brackets outside strings, before `JSON.parse` sees the text. */
function refuseDepth(text: string): void {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH)
          throw new JsonRefused({ pointer: '', detail: `is nested deeper than ${MAX_DEPTH} levels` });
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
        break;
    }
  }
}

/** The index of the quote that ends the string which starts at `open`; the text's end when there is none. */
function endOfString(text: string, open: number): number {
  for (let close = text.indexOf('"', open + 1); close !== -1; close = text.indexOf('"', close + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(close - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return close;
  }
  return text.length;
}

function refuseUnstorable(value: JsonValue | LossyNumber, pointer: string): void {
  if (typeof value === 'string') refuseText(value, pointer);
  else if (value instanceof LossyNumber) refuseNumber(value.source, pointer);
  else if (Array.isArray(value))
    value.forEach((entry, index) => refuseUnstorable(entry, pointerTo(pointer, index)));
  else if (value !== null && typeof value === 'object') {
    for (const [key, entry] of Object.entries(value)) {
      const at = pointerTo(pointer, key);
      if (key === '__proto__') throw new JsonRefused({ pointer: at, detail: 'is a key that is not allowed' });
      refuseText(key, at);
      refuseUnstorable(entry, at);
    }
  }
}

function refuseNumber(source: string, pointer: string): never {
  const shown = source.length > 40 ? `${source.slice(0, 40)}…` : source;
  throw new JsonRefused({
    pointer,
    detail: `is the number ${shown}, which a 64-bit float cannot keep; send it as a string`,
  });
}

function refuseText(text: string, pointer: string): void {
  if (text.includes('\u0000'))
    throw new JsonRefused({
      pointer: pointer.replaceAll('\u0000', '\\u0000'),
      detail: 'holds a NUL character, which PostgreSQL cannot store',
    });
  if (!text.isWellFormed())
    throw new JsonRefused({ pointer: pointer.toWellFormed(), detail: 'holds half of a surrogate pair' });
}
