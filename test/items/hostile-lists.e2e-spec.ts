import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRequire } from 'node:module';
import fc from 'fast-check';
import { pointerTo } from '../../src/common/json.js';
import type { TestApp } from '../support/app.js';
import { type ItemAnswer, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const naughty = createRequire(import.meta.url)('big-list-of-naughty-strings') as string[];
const OURS = [
  "data->>'x'",
  '$ne',
  '{"$ne":null}',
  'a.b',
  '0',
  '-1',
  '1e400',
  '1e-400',
  '"',
  '\\',
  "'; DROP TABLE items; --",
  '$1',
  '$1::text',
  '%s',
  '\u0001',
  '\u0000',
  '\uFFFD',
  '\uFEFFx',
  '] OR 1=1 [',
  'in 00000000-0000-0000-0000-000000000000',
  "'in x' & !y",
  'constructor',
  '__proto__',
  'toString',
  '{}',
  '[]',
  '[[[[',
  '"\\ud800"',
  '2026-02-30T00:00:00Z',
  '2026-01-01T00:00:00Z',
  `${'['.repeat(300)}${']'.repeat(300)}`,
  ' ',
  '\n',
  '😀',
  '𝒳'.repeat(100),
];
const corpus = [...new Set([...naughty, ...OURS])];

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const list = (query: Record<string, string>) =>
  ada.http.get<PageAnswer<ItemAnswer>>(`/v1/items?${new URLSearchParams(query).toString()}`);
const isStorable = (text: string) => text !== '' && !text.includes('\0') && text.isWellFormed();

/** As few queries as fit into an address. */
function grouped(filters: Record<string, string>): Record<string, string>[] {
  const groups: Record<string, string>[] = [{}];
  for (const [name, value] of Object.entries(filters)) {
    const length = new URLSearchParams({ ...groups.at(-1), [name]: value }).toString().length;
    if (length > 6_000) groups.push({});
    Object.assign(groups.at(-1)!, { [name]: value });
  }
  return groups;
}

/** Answers to many requests, sixteen at once. */
async function each<T>(entries: readonly T[], ask: (entry: T) => Promise<void>): Promise<void> {
  const left = [...entries];
  const worker = async () => {
    for (let entry = left.pop(); entry !== undefined; entry = left.pop()) await ask(entry);
  };
  await Promise.all(Array.from({ length: 16 }, worker));
}

describe('Hostile texts', () => {
  it('as titles, keys and values are found by filters and paths exactly, and given back as they were', async () => {
    const texts = corpus.filter((text) => isStorable(text) && text.length <= 200 && text !== '__proto__');
    expect(texts.length).toBeGreaterThan(400);
    const operations = texts.map((text, n) => ({
      op: 'create',
      item: { title: text, type: `t${n}`, data: { [text]: text, list: [text] } },
    }));
    const created = await ada.http.post<{ results: { item: ItemAnswer }[] }>('/v1/items/batch', {
      operations,
    });
    expect(created.status).toBe(200);
    const ids = new Map(created.body.results.map(({ item }) => [item.type, item.id]));
    await each(texts, async (text) => {
      const type = `t${texts.indexOf(text)}`;
      const quoted = JSON.stringify(text);
      const filters = {
        'filter[title]': text,
        'filter[title][startsWith]': text,
        [`filter[data.${quoted}]`]: quoted,
        [`filter[data.${quoted}][gte]`]: quoted,
        [`filter[data.${quoted}][in]`]: `[${quoted}]`,
        [`filter[data.${quoted}][exists]`]: 'true',
        'filter[data.list][contains]': quoted,
      };
      // It is found by all of them only if it is found by each.
      for (const query of grouped(filters)) {
        const answer = await list({ 'filter[type]': type, sort: `data.${quoted},-title`, ...query });
        expect([query, answer.status, answer.body.data.map((item) => item.id)]).toEqual([
          query,
          200,
          [ids.get(type)],
        ]);
        expect(answer.body.data[0]).toMatchObject({ title: text, data: { [text]: text, list: [text] } });
      }
    });
  });

  it('as any parameter are answered, never with an error of ours', async () => {
    await each(corpus, async (text) => {
      const ask = async (query: Record<string, string>) => {
        const { status, body } = await ada.http.get(`/v1/items?${new URLSearchParams(query).toString()}`);
        expect([query, [200, 400, 404].includes(status)]).toEqual([query, true]);
        return new Set(status === 400 ? body.errors?.map(({ pointer }) => pointer) : []);
      };
      // Each is judged: those that are refused are named, and the others then asked without them.
      const parameters = { q: text, sort: text, fields: text, cursor: text, [text]: text };
      const unread = await ask(parameters);
      const read = Object.entries(parameters).filter(([name]) => !unread.has(pointerTo('', name)));
      if (unread.size > 0) await ask(Object.fromEntries(read));
      await ask({ q: text, sort: 'title', count: 'estimated' });
      const filters = {
        [`filter[${text}]`]: text,
        [`filter[data.${text}]`]: text,
        [`filter[title][${text}]`]: text,
        [`filter[or][${text}][title]`]: text,
        'filter[data.a]': text,
        'filter[data.a][in]': text,
        'filter[data.a][gt]': text,
        'filter[data][contains]': text,
        'filter[createdAt][gt]': text,
      };
      for (const query of grouped(filters)) {
        // The refused are named, each; what is not refused is asked as alternatives, so that none hides another.
        const refused = await ask(query);
        const accepted = Object.entries(query).filter(([name]) => !refused.has(pointerTo('', name)));
        const alternatives = accepted.map(([name, value], n) => [
          name.startsWith('filter[or]') ? name : name.replace('filter', `filter[or][${n}]`),
          value,
        ]);
        await ask({ ...(Object.fromEntries(alternatives) as Record<string, string>), count: 'exact' });
      }
    });
  });

  it('in raw queries, of any bytes, neither', async () => {
    const piece = fc.oneof(
      fc.constantFrom(
        'filter',
        '[',
        ']',
        'data',
        '.',
        '"',
        '\\',
        'or',
        '0',
        'eq',
        'in',
        '=',
        '&',
        '%',
        '%00',
        '%ff',
      ),
      fc.constantFrom(
        'sort=',
        'q=',
        'title',
        '-',
        ',',
        '%22',
        '%5B',
        '%5D',
        '1e999',
        'null',
        '{',
        '}',
        '+',
        ';',
      ),
      fc.string({ maxLength: 4 }).map(encodeURIComponent),
    );
    const raw = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join(''));
    await fc.assert(
      fc.asyncProperty(raw, async (query) => {
        const { status } = await ada.http.get(`/v1/items?${query}`);
        return status === 200 || status === 400;
      }),
      { numRuns: 200 },
    );
  });
});
