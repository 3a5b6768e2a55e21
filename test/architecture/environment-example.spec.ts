import 'reflect-metadata';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { getMetadataStorage } from 'class-validator';
import { Environment } from '../../src/config/environment.js';
import { readEnvironment } from '../../src/config/read-environment.js';

/** What the text of a variable must say of its unit, by the end of its name. */
const units: [ending: string, unit: RegExp][] = [
  ['_MS', /\bmilliseconds\b/],
  ['_DAYS', /\bdays\b/],
  ['_SECONDS', /\bseconds\b/],
  ['_BYTES', /\bbytes\b/],
  ['_KIB', /\bKiB\b/],
  ['_SIZE', /\bconnections\b/],
  ['_ROOM_LIMIT', /\bmany rooms\b/],
  ['_STREAM_LIMIT', /\bmany event streams\b/],
  ['_PER_MINUTE', /\bper minute\b/],
  ['_PER_PRINCIPAL', /\bmany sockets\b/],
  ['_PER_ADDRESS', /\bmany sockets\b/],
  ['LEASE_LIMIT', /\bmany leases\b/],
  ['_RATE', /\bper second\b/],
  ['PORT', /\bTCP port\b/],
  ['_TIMEOUT', /\bmilliseconds\b/],
  ['_SAMPLER_ARG', /\bfrom 0 to 1\b/],
];

interface Entry {
  name: string;
  value: string;
  comment: string;
}

/** Reads `NAME=value` lines, each with the comment lines right above it. */
function entriesOf(text: string): Entry[] {
  const entries: Entry[] = [];
  let comment: string[] = [];
  for (const line of text.split('\n')) {
    const [, name, value = ''] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (line.startsWith('#')) comment.push(line.slice(1).trim());
    else {
      if (name) entries.push({ name, value, comment: comment.join(' ') });
      else if (line !== '') throw new Error(`.env.example: neither a comment nor NAME=value: ${line}`);
      comment = [];
    }
  }
  return entries;
}

const entries = entriesOf(readFileSync(resolve(import.meta.dirname, '../../.env.example'), 'utf8'));
const variables = [
  ...new Set(
    getMetadataStorage()
      .getTargetValidationMetadatas(Environment, '', false, false)
      .map((rule) => rule.propertyName),
  ),
];

describe('.env.example', () => {
  it('lists every variable that the configuration reads, once, and no other', () => {
    expect(variables.length).toBeGreaterThan(20);
    expect(entries.map(({ name }) => name).sort()).toEqual(variables.sort());
  });

  it('shows the defaults: used as it is, it changes nothing', () => {
    const copied = readEnvironment(Object.fromEntries(entries.map(({ name, value }) => [name, value])));
    expect(copied).toEqual(readEnvironment({}));
  });

  it.each(entries)('says of $name what it does, its unit and its default', ({ name, value, comment }) => {
    const isSet = (new Environment() as unknown as Record<string, unknown>)[name];
    const byDefault = Array.isArray(isSet) ? isSet.length > 0 : isSet !== undefined;
    expect(value !== '').toBe(byDefault);
    expect(comment).toMatch(/^[A-Z].{15,}\. /);
    expect(comment.endsWith(` Default: ${value || 'empty'}.`)).toBe(true);
    const unit = units.find(([ending]) => name.endsWith(ending) && !/_LIMIT_BYTES$/.test(ending));
    if (typeof isSet === 'number')
      expect(comment).toMatch(unit?.[1] ?? /this number has no unit in the test/);
  });
});
