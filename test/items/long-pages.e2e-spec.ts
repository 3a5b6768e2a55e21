import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { TestApp } from '../support/app.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

interface Page extends PageAnswer<ItemAnswer> {
  readonly prevCursor?: string | null;
}

const MB = 1_000_000;
let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
  // Three make a page, whether they compress or not, and so do two if one of them is long by itself.
  await fill('long', [4 * MB, 4 * MB, 9 * MB, 4 * MB, 4 * MB]);
  await fill('dense', [4 * MB, 4 * MB, 4 * MB, 4 * MB]);
});
afterAll(() => app.stop());

/** Items whose data is longer than a request may be, made from short ones. */
async function fill(type: string, lengths: readonly number[]): Promise<void> {
  for (const length of lengths) {
    const { id } = await createItem(ada, { type, title: 'findable', data: {} });
    const text = type === 'dense' ? randomBytes(length / 2).toString('hex') : 'x'.repeat(length);
    await app.sql('UPDATE items SET data = $2 WHERE id = $1', [id, { text }]);
  }
}

/** How long the data of each record is, page by page, in MB; and the ids. */
async function read(query: string, of: 'nextCursor' | 'prevCursor' = 'nextCursor', from?: string) {
  const pages: number[][] = [];
  const ids: string[] = [];
  let last: Page | undefined;
  for (let cursor = from; pages.length < 20;) {
    const beside = cursor === undefined ? '' : `&cursor=${cursor}`;
    const { status, body } = await ada.http.get<Page>(`${query}${beside}`);
    expect(status).toBe(200);
    last = body;
    pages.push(body.data.map(({ data }) => (data as { text: string }).text.length / MB));
    ids.push(...body.data.map(({ id }) => id));
    const next = body[of];
    if (!next) break;
    cursor = next;
  }
  return { pages, ids, last };
}

describe('A page of items that are long together', () => {
  it.each([
    ['in the plain order', '/v1/items?limit=20', [[4, 4, 4], [4, 4, 4], [9], [4, 4]]],
    ['of a filter that finds what does not compress', '/v1/items?filter[type]=dense', [[4, 4, 4], [4]]],
    ['of a search', '/v1/items?q=findable&sort=id&filter[type]=dense', [[4, 4, 4], [4]]],
  ])('%s is shorter, and the next one goes on behind it', async (_, query, expected) => {
    const { pages, ids } = await read(query);
    expect(pages).toEqual(expected);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('is reached from behind, too, and ends where the one before it begins', async () => {
    const query = '/v1/items?filter[type]=long&sort=id';
    const { ids, last } = await read(query);
    const back = await read(query, 'prevCursor', last?.prevCursor ?? undefined);
    expect(back.pages).toEqual([[9], [4, 4]]);
    expect(back.ids).toEqual([ids[2], ids[0], ids[1]]);
  });

  it('is whole when nothing of it is long, and knows how many there are', async () => {
    const list = await ada.http.get<Page & { total: number }>('/v1/items?fields=id,title&count=exact');
    expect([list.body.data.length, list.body.nextCursor, list.body.total]).toEqual([9, null, 9]);
    const estimated = await ada.http.get<{ total: number }>('/v1/items?count=estimated');
    expect(estimated.body.total).toBeGreaterThanOrEqual(3);
  });

  it('is shorter in the trash', async () => {
    const { ids } = await read('/v1/items?filter[type]=dense');
    for (const id of ids) expect((await ada.http.delete(`/v1/items/${id}`)).status).toBe(204);
    const { pages } = await read('/v1/items/trash?limit=20');
    expect(pages).toEqual([[4, 4, 4], [4]]);
  });
});
