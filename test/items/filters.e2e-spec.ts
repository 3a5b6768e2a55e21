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

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
  for (const [title, type, data] of ITEMS) await createItem(ada, { title, type, data });
});
afterAll(() => app.stop());

const ITEMS: [title: string, type: string, data: Record<string, unknown>][] = [
  ['low', 'task', { priority: 1, tags: ['a', 'b'], done: false, due: '2026-01-01T00:00:00Z' }],
  ['high', 'task', { priority: 10, tags: ['b'], done: true, due: '2026-01-01T02:00:00+01:00' }],
  ['text', 'task', { priority: '3', tags: 'a', done: 'true', due: 'tomorrow' }],
  ['none', 'note', { priority: null, place: { city: 'Berlin', 'a.b': { '"]': 1 } } }],
  ['bare', 'note', {}],
  ['rows', 'note', { place: { city: 'Bern' }, rows: [{ n: 1 }, { n: 2 }], 'x,y': 'comma, "quoted"' }],
];

const list = (query: Record<string, string>, person = ada) =>
  person.http.get<PageAnswer<ItemAnswer>>(`/v1/items?${new URLSearchParams(query).toString()}`);
const titles = async (query: Record<string, string>) => {
  const { status, body, text } = await list({ sort: 'id', ...query });
  if (status !== 200) throw new Error(`list answered ${status}: ${text}`);
  return body.data.map(({ title }) => title);
};

describe('A filter', () => {
  it.each<[query: Record<string, string>, found: string[]]>([
    [{ 'filter[type]': 'task' }, ['low', 'high', 'text']],
    [{ 'filter[type][ne]': 'task' }, ['none', 'bare', 'rows']],
    [{ 'filter[title][in]': 'low,bare' }, ['low', 'bare']],
    [{ 'filter[title][in]': '["low","bare"]' }, ['low', 'bare']],
    [{ 'filter[title][nin]': 'low,bare,rows' }, ['high', 'text', 'none']],
    [{ 'filter[title][contains]': 'o' }, ['low', 'none', 'rows']],
    [{ 'filter[title][startsWith]': 'h' }, ['high']],
    [{ 'filter[title][gte]': 'none' }, ['text', 'none', 'rows']],
    [{ 'filter[version][lt]': '2' }, ['low', 'high', 'text', 'none', 'bare', 'rows']],
    // Types are told apart: 3 is a number, "3" is a text.
    [{ 'filter[data.priority][gte]': '1' }, ['low', 'high']],
    [{ 'filter[data.priority][gt]': '9' }, ['high']],
    [{ 'filter[data.priority]': '3' }, []],
    [{ 'filter[data.priority]': '"3"' }, ['text']],
    [{ 'filter[data.priority][lte]': '"9"' }, ['text']],
    [{ 'filter[data.priority]': '10.0' }, ['high']],
    [{ 'filter[data.priority]': '1e1' }, ['high']],
    [{ 'filter[data.priority]': 'null' }, ['none']],
    [{ 'filter[data.priority][ne]': '1' }, ['high', 'text', 'none', 'bare', 'rows']],
    [{ 'filter[data.priority][in]': '1,10,"3"' }, ['low', 'high', 'text']],
    [{ 'filter[data.priority][nin]': '[1,10]' }, ['text', 'none', 'bare', 'rows']],
    [{ 'filter[data.priority][exists]': 'true' }, ['low', 'high', 'text', 'none']],
    [{ 'filter[data.priority][exists]': 'false' }, ['bare', 'rows']],
    [{ 'filter[data.done]': 'true' }, ['high']],
    [{ 'filter[data.done][lt]': 'true' }, ['low']],
    [{ 'filter[data.done]': '"true"' }, ['text']],
    [{ 'filter[data.tags][contains]': 'b' }, ['low', 'high']],
    [{ 'filter[data.tags][contains]': '["a","b"]' }, ['low']],
    [{ 'filter[data.tags]': '["b"]' }, ['high']],
    [{ 'filter[data.tags][in]': '[["b"],"a"]' }, ['high', 'text']],
    [{ 'filter[data]': '{"tags":["a"]}', 'filter[data][contains]': '' }, []],
    [{ 'filter[data][contains]': '{"place":{"city":"Bern"}}' }, ['rows']],
    // Times are instants, however they are written.
    [{ 'filter[data.due]': '2026-01-01T01:00:00Z' }, ['high']],
    [{ 'filter[data.due]': '2026-01-01T01:00:00+01:00' }, ['low']],
    [{ 'filter[data.due][gt]': '2026-01-01T00:59:59.999Z' }, ['high']],
    [{ 'filter[data.due][lt]': '"3"' }, ['low', 'high']],
    [{ 'filter[data.due][in]': '2026-01-01T00:00:00.000Z,tomorrow' }, ['low', 'text']],
    [{ 'filter[data.place.city][startsWith]': 'Ber' }, ['none', 'rows']],
    [{ 'filter[data.place.city]': 'Bern' }, ['rows']],
    [{ 'filter[data.place."a.b"."\\"]"]': '1' }, ['none']],
    [{ 'filter[data.rows.1.n]': '2' }, ['rows']],
    [{ 'filter[data.rows.1.n][gte]': '3' }, []],
    [{ 'filter[data.rows.0]': '{"n":1}' }, ['rows']],
    [{ 'filter[data.rows][contains]': '[{"n":2}]' }, ['rows']],
    [{ 'filter[data."x,y"]': 'comma, "quoted"' }, ['rows']],
    // All of several parameters, and one alternative whole.
    [{ 'filter[type]': 'task', 'filter[data.done]': 'false' }, ['low']],
    [{ 'filter[and][0][type]': 'task', 'filter[and][1][data.done]': 'true' }, ['high']],
    [
      { 'filter[and][0][title][ne]': 'low', 'filter[type]': 'task', 'filter[or][0][data.done]': 'true' },
      ['high'],
    ],
    [{ 'filter[or][0][type]': 'note', 'filter[or][1][data.done]': 'true' }, ['high', 'none', 'bare', 'rows']],
    [
      {
        'filter[or][0][type]': 'task',
        'filter[or][0][data.done]': 'true',
        'filter[or][1][title]': 'bare',
        'filter[title][ne]': 'low',
      },
      ['high', 'bare'],
    ],
  ])('%j finds what it says', async (query, found) => {
    if ('filter[data]' in query) {
      const answer = await list(query);
      expect([answer.status, answer.text]).toEqual([400, expect.stringContaining('/filter[data]')]);
    } else expect(await titles(query)).toEqual(found);
  });

  it('by a time that an answer showed finds what it was shown of', async () => {
    const shown = (await list({ 'filter[title]': 'high' })).body.data[0];
    for (const column of ['createdAt', 'updatedAt'] as const) {
      const at = shown[column];
      expect(await titles({ [`filter[${column}]`]: at })).toContain('high');
      expect(await titles({ [`filter[${column}][ne]`]: at })).not.toContain('high');
      expect(await titles({ [`filter[${column}][gt]`]: at })).not.toContain('high');
      expect(await titles({ [`filter[${column}][lt]`]: at })).not.toContain('high');
      expect(await titles({ [`filter[${column}][gte]`]: at, [`filter[${column}][lte]`]: at })).toContain(
        'high',
      );
      expect(await titles({ [`filter[${column}][in]`]: `2020-01-01T00:00:00Z,${at}` })).toContain('high');
    }
    expect(await titles({ 'filter[id]': shown.id.toUpperCase() })).toEqual(['high']);
    expect(await titles({ 'filter[createdBy]': ada.user.id })).toHaveLength(ITEMS.length);
  });

  it.each([
    ['filter[]', 'x'],
    ['filter', 'x'],
    ['filter[type', 'x'],
    ['filter[type]x', 'x'],
    ['filter[type][eq][eq]', 'x'],
    ['filter[type][like]', 'x'],
    ['filter[type][$ne]', 'x'],
    ['filter[type][exists]', 'true'],
    ['filter[version][startsWith]', '1'],
    ['filter[version]', '1; DROP TABLE items'],
    ['filter[version]', '9999999999'],
    ['filter[id]', "' OR 1=1 --"],
    ['filter[createdAt]', '2026-02-30T00:00:00Z'],
    ['filter[createdAt]', 'yesterday'],
    ['filter[workspace_id]', 'x'],
    ['filter[data]', 'x'],
    ['filter[data.]', 'x'],
    ['filter[data..a]', 'x'],
    ['filter[data.a.]', 'x'],
    ['filter[data."a]', 'x'],
    ['filter[data."a"b]', 'x'],
    ["filter[data->>'a']", 'x'],
    ['filter[data.a]', '1e400'],
    ['filter[data.a]', '12345678901234567890'],
    ['filter[data.a]', '{"a":'],
    ['filter[data.a]', '['.repeat(200)],
    ['filter[data.a][gt]', 'null'],
    ['filter[data.a][gt]', '[1]'],
    ['filter[data.a][exists]', 'maybe'],
    ['filter[data.a][in]', '[]'],
    ['filter[data.a][in]', Array.from({ length: 51 }, (_, n) => n).join(',')],
    ['filter[data.a]', 'x'.repeat(2_001)],
    [`filter[data${'.a'.repeat(11)}]`, 'x'],
    [`filter[data.${'a'.repeat(201)}]`, 'x'],
    ['filter[or][x][type]', 'x'],
    ['filter[and][x][type]', 'x'],
    ['filter[and]', 'x'],
    ['filter[or][0]', 'x'],
    ['filter[or]', 'x'],
    ['filter[or][0][or][0][type]', 'x'],
    ['filter[data.a]', 'x\u0000'],
    ['sort', 'name'],
    ['sort', ''],
    ['sort', 'title,'],
    ['sort', 'title,-title'],
    ['sort', 'type,title,version,createdAt,updatedAt'],
    ['sort', 'title;DROP TABLE items'],
    ['sort', 'data'],
    ['sort', '(SELECT 1)'],
    ['fields', 'id,password'],
    ['fields', ''],
    ['count', 'all'],
    ['q', ''],
    ['q', 'x'.repeat(501)],
    ['search', 'x'],
  ])('refuses %s=%j, pointing at the parameter', async (name, value) => {
    const answer = await ada.http.get(`/v1/items?${new URLSearchParams({ [name]: value }).toString()}`);
    expect([answer.status, answer.body.code]).toEqual([400, 'validation_failed']);
    expect(answer.body.errors?.map(({ pointer }) => pointer)).toEqual([`/${name.replaceAll('/', '~1')}`]);
  });

  it('refuses too many, one that stands twice, and what is no UTF-8', async () => {
    const many = Array.from({ length: 21 }, (_, n) => `filter[data.a${n}]=1`).join('&');
    const twice = 'filter[type]=a&filter[type]=b';
    const alternatives = Array.from({ length: 11 }, (_, n) => `filter[or][${n}][type]=a`).join('&');
    for (const query of [many, twice, alternatives, 'filter[type]=%ED%A0%80', 'filter[type]=%ff', 'q=%'])
      expect((await ada.http.get(`/v1/items?${query}`)).status).toBe(400);
  });
});

describe('Chosen members', () => {
  it('are the whole of each record, and nothing else', async () => {
    for (const sort of [{}, { sort: 'title' }] as Record<string, string>[]) {
      const { body } = await list({ ...sort, fields: 'title,id' });
      expect(body.data.map((item) => Object.keys(item).sort())).toEqual(ITEMS.map(() => ['id', 'title']));
    }
    const whole = (await list({ 'filter[title]': 'low' })).body.data[0];
    const chosen = (await list({ fields: Object.keys(whole).join(','), 'filter[title]': 'low' })).body
      .data[0];
    expect(chosen).toEqual(whole);
    expect((await ada.http.get(`/v1/items/${whole.id}`)).body).toEqual(whole);
  });
});

describe('A total', () => {
  it('counts all pages, exactly or as estimated', async () => {
    const total = async (query: Record<string, string>) =>
      ((await list(query)).body as PageAnswer<ItemAnswer> & { total: number }).total;
    expect(await total({ count: 'exact', limit: '1' })).toBe(ITEMS.length);
    expect(await total({ count: 'exact', limit: '1', 'filter[type]': 'note' })).toBe(3);
    expect(await total({ count: 'exact', 'filter[type]': 'nothing' })).toBe(0);
    expect(await total({ count: 'estimated', 'filter[type]': 'note' })).toBe(3);
    expect(await total({ count: 'estimated', limit: '2', 'filter[data.a]': '1' })).toBe(0);
    expect(await total({ count: 'estimated', limit: '2' })).toBeGreaterThanOrEqual(3);
    expect((await list({ 'filter[type]': 'note' })).body).not.toHaveProperty('total');
  });
});

describe('Other tenants', () => {
  it('are not found by any filter, order, search or cursor', async () => {
    const eve = await registerUser(app);
    const queries: Record<string, string>[] = [
      { 'filter[type]': 'task' },
      { 'filter[or][0][type]': 'task', 'filter[or][1][type][ne]': 'task' },
      { 'filter[data][contains]': '{}' },
      { 'filter[createdBy]': ada.user.id },
      { sort: 'title' },
      { q: 'low' },
      { q: '-nothing', count: 'exact' },
      { count: 'exact' },
    ];
    for (const query of queries) {
      const answer = await list(query, eve);
      expect([answer.status, answer.body.data]).toEqual([200, []]);
      expect(await list({ ...query, workspaceId: ada.workspaceId }, eve)).toMatchObject({ status: 404 });
    }
    const { nextCursor } = (await list({ sort: 'title', limit: '1' })).body;
    expect((await list({ sort: 'title', limit: '1', cursor: nextCursor! }, eve)).status).toBe(400);
  });
});
