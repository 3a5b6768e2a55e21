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
import { until } from '../support/until.js';

interface Found extends ItemAnswer {
  readonly highlight: { readonly title: string; readonly data: string };
}

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

const search = async (person: Person, query: Record<string, string>) => {
  const parameters = new URLSearchParams(query).toString();
  const answer = await person.http.get<PageAnswer<Found>>(`/v1/items?${parameters}`);
  if (answer.status !== 200) throw new Error(`search answered ${answer.status}: ${answer.text}`);
  return answer.body;
};
const titles = async (person: Person, q: string, query: Record<string, string> = {}) =>
  (await search(person, { q, ...query })).data.map(({ title }) => title);

describe('A search', () => {
  it('finds words of the title and of every text in data, the best match first', async () => {
    const ada = await registerUser(app);
    await createItem(ada, { title: 'Budget', data: { rows: [{ note: 'for the rocket' }], rocket: 1 } });
    await createItem(ada, { title: 'Rocket', data: { by: 'Grace' } });
    await createItem(ada, { title: 'Key only', data: { rocket: 'no' } });
    await createItem(ada, { title: 'Other', type: 'note', data: { text: 'Rockets and a rocket engine' } });
    expect(await titles(ada, 'rocket')).toEqual(['Rocket', 'Other', 'Budget']);
    expect(await titles(ada, 'ROCKET grace')).toEqual(['Rocket']);
    expect(await titles(ada, '"rocket engine"')).toEqual(['Other']);
    expect(await titles(ada, 'grace or budget', { sort: 'title' })).toEqual(['Budget', 'Rocket']);
    expect(await titles(ada, '-rocket')).toEqual(['Key only']);
    expect(await titles(ada, 'rocket', { 'filter[type]': 'note' })).toEqual(['Other']);
    expect(await titles(ada, '!!! ??? ---')).toEqual([]);
    expect(await search(ada, { q: 'rocket', count: 'exact', limit: '1' })).toMatchObject({ total: 3 });
  });

  it('follows what is written, changed and deleted', async () => {
    const ada = await registerUser(app);
    const { id } = await createItem(ada, { title: 'first', data: { text: 'apple' } });
    expect(await titles(ada, 'apple')).toEqual(['first']);
    await ada.http.patch(`/v1/items/${id}`, { data: { text: 'pear' } });
    expect(await titles(ada, 'apple')).toEqual([]);
    await ada.http.patch(`/v1/items/${id}`, { title: 'second' });
    expect([await titles(ada, 'pear'), await titles(ada, 'first')]).toEqual([['second'], []]);
    await ada.http.delete(`/v1/items/${id}`);
    expect(await titles(ada, 'pear')).toEqual([]);
  });

  it('is leafed through by rank, forward and back, without repeating or losing a record', async () => {
    const ada = await registerUser(app);
    for (let n = 0; n < 12; n++)
      await createItem(ada, { title: `n${n}`, data: { text: 'word '.repeat(1 + (n % 3)) } });
    const all = (await search(ada, { q: 'word', limit: '100' })).data.map(({ id }) => id);
    expect(new Set(all).size).toBe(12);
    const seen: string[] = [];
    let page = await search(ada, { q: 'word', limit: '5' });
    for (;;) {
      seen.push(...page.data.map(({ id }) => id));
      if (page.nextCursor === null) break;
      await createItem(ada, { title: 'late', data: { text: 'word' } });
      page = await search(ada, { q: 'word', limit: '5', cursor: page.nextCursor });
    }
    expect(seen.filter((id) => all.includes(id))).toEqual(all);
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('marks what it found, in HTML that holds no other tag', async () => {
    const ada = await registerUser(app);
    const title = 'a <script>alert(1)</script> needle & \uE000needle\uE001';
    await createItem(ada, {
      title,
      data: { text: `<img src=x onerror="1"> ${'hay '.repeat(200)} needle 'x'` },
    });
    const [{ highlight }] = (await search(ada, { q: 'needle' })).data;
    expect(highlight.title).toBe(
      'a &lt;script&gt;alert(1)&lt;/script&gt; <mark>needle</mark> &amp; <mark>needle</mark>',
    );
    expect(highlight.data).toContain('<mark>needle</mark>');
    expect(highlight.data).not.toMatch(/<(?!\/?mark>)|["']/);
    expect(highlight.data.length).toBeLessThan(1_000);
    expect((await search(ada, { q: 'needle', fields: 'id' })).data[0]).toEqual({
      id: expect.any(String),
      highlight,
    });
  });

  it('takes documents of any size, and finds the beginning of very large ones', async () => {
    const ada = await registerUser(app);
    const words = Array.from({ length: 60_000 }, (_, n) => `w${n.toString(36)}x-${n}`).join(' ');
    await createItem(ada, { title: 'large', data: { a: 'opening', text: words } });
    expect(await titles(ada, 'opening')).toEqual(['large']);
    await createItem(ada, { title: 'long', data: { text: 'x'.repeat(900_000) } });
    expect(await titles(ada, 'long')).toEqual(['long']);
  });
});

describe("A workspace's language", () => {
  it('tells which forms of a word are one, for old items too, and none is lost meanwhile', async () => {
    const ada = await registerUser(app);
    const workspace = `/v1/workspaces/${ada.workspaceId}`;
    await createItem(ada, { title: 'Running through the houses' });
    expect(await titles(ada, 'run house')).toEqual([]);
    expect((await ada.http.get<{ language: string }>(workspace)).body.language).toBe('simple');
    const changed = await ada.http.patch<{ language: string }>(workspace, { language: 'english' });
    expect([changed.status, changed.body.language]).toEqual([200, 'english']);
    // At once: by the old language. Soon: by the new one.
    expect(await titles(ada, 'running')).toEqual(['Running through the houses']);
    await createItem(ada, { title: 'He runs' });
    expect(await titles(ada, 'run')).toContain('He runs');
    await until('the old item is found by the new language', async () => {
      expect(await titles(ada, 'running houses')).toEqual(['Running through the houses']);
      return (await titles(ada, 'run house')).length === 1;
    });
    expect((await search(ada, { q: 'house' })).data[0].highlight.title).toContain('<mark>houses</mark>');
    await app.sql(`UPDATE workspaces SET language_changed_at = now() - interval '1 hour' WHERE id = $1`, [
      ada.workspaceId,
    ]);
    await until('the change is done', async () => {
      const [row] = await app.sql<{ search_languages: string[] }>(
        'SELECT search_languages FROM workspaces WHERE id = $1',
        [ada.workspaceId],
      );
      return row.search_languages.join() === 'english';
    });
    expect((await titles(ada, 'run')).sort()).toEqual(['He runs', 'Running through the houses']);
    await ada.http.patch(workspace, { language: 'german' });
    expect((await titles(ada, 'run')).sort()).toEqual(['He runs', 'Running through the houses']);
  });

  it.each(['klingon', 'pg_catalog.english', '', null, 1])('refuses %j', async (language) => {
    const ada = await registerUser(app);
    const answer = await ada.http.patch(`/v1/workspaces/${ada.workspaceId}`, { language });
    expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, '/language']);
  });
});
