import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

type Page = PageAnswer<ItemAnswer>;

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

async function personWithItems(count: number): Promise<{ person: Person; ids: string[] }> {
  const person = await registerUser(app);
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push((await createItem(person, { title: `item ${n}` })).id);
  return { person, ids };
}

const list = (person: Person, query = '') => person.http.get<Page>(`/v1/items${query}`);

describe('Listing items', () => {
  it('answers the newest first, twenty at a time, with records as a read answers them', async () => {
    const { person, ids } = await personWithItems(25);
    const first = await list(person);
    expect(first.status).toBe(200);
    expect(first.body.data.map(({ id }) => id)).toEqual(ids.toReversed().slice(0, 20));
    expect(first.body.data[0]).toEqual((await person.http.get(`/v1/items/${ids[24]}`)).body);
    const second = await list(person, `?cursor=${first.body.nextCursor}`);
    expect(second.body.data.map(({ id }) => id)).toEqual(ids.toReversed().slice(20));
    expect(second.body.nextCursor).toBeNull();
  });

  it('of an empty workspace answers an empty page with the position of the stream', async () => {
    const person = await registerUser(app);
    const answer = await list(person);
    expect(answer.body).toEqual({ data: [], nextCursor: null, prevCursor: null });
    expect(answer.headers.get('stream-cursor')).toMatch(/^[0-9a-z]+-0$/);
  });

  it('ends exactly: a full last page has no next one', async () => {
    const { person } = await personWithItems(4);
    const first = await list(person, '?limit=2');
    expect(first.body.nextCursor).not.toBeNull();
    const second = await list(person, `?limit=2&cursor=${first.body.nextCursor}`);
    expect(second.body.data).toHaveLength(2);
    expect(second.body.nextCursor).toBeNull();
  });

  it('neither repeats nor skips when items come and go between the pages', async () => {
    const { person, ids } = await personWithItems(12);
    const seen: string[] = [];
    let query = '?limit=3';
    for (;;) {
      const { data, nextCursor } = (await list(person, query)).body;
      seen.push(...data.map(({ id }) => id));
      if (nextCursor === null) break;
      // Somebody writes while we leaf: a new one comes, and at times the one that the cursor stands on goes.
      await createItem(person, { title: 'late' });
      if (seen.length % 2 === 0) await person.http.delete(`/v1/items/${data.at(-1)!.id}`);
      query = `?limit=3&cursor=${nextCursor}`;
    }
    expect(seen).toEqual(ids.toReversed());
  });

  it('does not move an item that is patched between the pages', async () => {
    const { person, ids } = await personWithItems(4);
    const first = await list(person, '?limit=2');
    await person.http.patch(`/v1/items/${ids[0]}`, { title: 'touched' });
    const second = await list(person, `?limit=2&cursor=${first.body.nextCursor}`);
    expect(second.body.data.map(({ id }) => id)).toEqual([ids[1], ids[0]]);
  });

  it.each(['?limit=1', '?limit=100'])('takes %s', async (query) => {
    const person = await registerUser(app);
    expect((await list(person, query)).status).toBe(200);
  });

  it.each([
    ['?limit=0', '/limit'],
    ['?limit=101', '/limit'],
    ['?limit=-1', '/limit'],
    ['?limit=2.5', '/limit'],
    ['?limit=many', '/limit'],
    ['?limit=', '/limit'],
    ['?limit=1&limit=2', '/limit'],
    ['?cursor=', '/cursor'],
    ['?cursor=garbage', '/cursor'],
    ['?cursor=AAAAAAAAAAAAAAAAAAAAA!', '/cursor'],
    [`?cursor=${'A'.repeat(500)}`, '/cursor'],
    ['?cursor=a&cursor=b', '/cursor'],
    ["?cursor=';DROP TABLE items;--", '/cursor'],
    ['?workspaceId=mine', '/workspaceId'],
    ['?workspaceId=', '/workspaceId'],
    ['?unknown=1', '/unknown'],
    ['?constructor=1', '/constructor'],
    ['?__proto__=1', '/__proto__'],
  ])('refuses %s with a pointer', async (query, pointer) => {
    const person = await registerUser(app);
    const answer = await person.http.get(`/v1/items${query}`);
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('validation_failed');
    expect(answer.body.errors?.map((error) => error.pointer)).toContain(pointer);
  });

  it('shows nobody another workspace through a cursor taken from it', async () => {
    const { person: ada } = await personWithItems(3);
    const { person: eve, ids } = await personWithItems(1);
    const { nextCursor } = (await list(ada, '?limit=1')).body;
    const answer = await eve.http.get(`/v1/items?cursor=${nextCursor}`);
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, '/cursor']);
    expect((await list(eve)).body.data.map(({ id }) => id)).toEqual(ids);
  });
});
