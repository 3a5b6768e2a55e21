import type { JsonValue } from './json.js';

/** What a member of an object counts besides: large objects are hash tables, and take that much longer than lists. */
const MEMBER_WEIGHT = 16;

/**
 * How much there is to do with a value: it and each in it count one, as does a character of a text or key.
 * @param most where to stop counting: what is heavier weighs a little more than that
 */
export function weigh(value: JsonValue, most: number): number {
  if (typeof value === 'string') return 1 + value.length;
  if (typeof value !== 'object' || value === null) return 1;
  const isList = Array.isArray(value);
  let weight = 1;
  for (const [key, entry] of Object.entries(value)) {
    weight += (isList ? 0 : MEMBER_WEIGHT + key.length) + weigh(entry, most - weight);
    if (weight > most) break;
  }
  return weight;
}
