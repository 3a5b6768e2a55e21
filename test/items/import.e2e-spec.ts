import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { http, type ProblemAnswer } from '../support/http.js';
import {
  addMember,
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import * as sockets from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

interface ImportAnswer {
  readonly id: string;
  readonly state: string;
  readonly failure: string | null;
  readonly receivedBytes: number;
  readonly processedBytes: number;
  readonly processed: number;
  readonly created: number;
  readonly refused: number;
  readonly version: number;
}
interface Refusal {
  readonly line: number;
  readonly errors: readonly { readonly pointer: string; readonly detail: string }[];
}

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ IMPORT_LIMIT_BYTES: '4000000' });
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const NDJSON = { 'Content-Type': 'application/x-ndjson' };
const CSV = { 'Content-Type': 'text/csv' };
const record = (n: number) => JSON.stringify({ title: `Item ${n}`, type: 'bulk', data: { n } });
const records = (count: number, from = 0) =>
  Array.from({ length: count }, (_, n) => `${record(from + n)}\n`).join('');

const send = (
  person: Person,
  raw: string | Uint8Array<ArrayBuffer>,
  query = '',
  headers: Record<string, string> = NDJSON,
) => person.http.call<ImportAnswer & ProblemAnswer>('POST', `/v1/items/import${query}`, { raw, headers });

/** Waits for the end of an import. */
const ended = (person: Person, id: string) =>
  until('the import has ended', async () => {
    const { body } = await person.http.get<ImportAnswer>(`/v1/items/imports/${id}`);
    return ['done', 'failed', 'cancelled'].includes(body.state) && body;
  });

async function imported(person: Person, raw: string | Uint8Array<ArrayBuffer>, query = '', headers = NDJSON) {
  const { status, body, text } = await send(person, raw, query, headers);
  if (status !== 202) throw new Error(`import answered ${status}: ${text}`);
  const answer = await ended(person, body.id);
  const { body: page } = await person.http.get<PageAnswer<Refusal>>(
    `/v1/items/imports/${body.id}/refusals?limit=100`,
  );
  return { ...answer, refusals: page.data };
}

const itemsOf = async (person: Person, query = '') =>
  (await person.http.get(`/v1/items/export?sort=id${query}`)).text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ItemAnswer);

describe('An import', () => {
  it('of NDJSON makes an item of every line, in order, with an event each, and says how far it is', async () => {
    const person = await registerUser(app);
    const { status, headers, body } = await send(person, records(1_200));
    expect(status).toBe(202);
    expect(headers.get('location')).toBe(`/v1/items/imports/${body.id}`);
    const answer = await ended(person, body.id);
    expect(answer).toMatchObject({ state: 'done', processed: 1_200, created: 1_200, refused: 0 });
    expect(answer.processedBytes).toBe(answer.receivedBytes);
    const items = await itemsOf(person);
    expect(items.map(({ title }) => title)).toEqual(Array.from({ length: 1_200 }, (_, n) => `Item ${n}`));
    expect(items[7]).toMatchObject({ type: 'bulk', data: { n: 7 }, version: 1, createdBy: person.user.id });
    const events = await app.sql<{ type: string; subject: string }>(
      `SELECT type, subject FROM events WHERE stream_id = $1 AND type LIKE 'item.%' ORDER BY seq`,
      [person.workspaceId],
    );
    expect(events).toEqual(items.map(({ id }) => ({ type: 'item.created', subject: `items/${id}` })));
    const chunks = await app.sql(`SELECT 1 FROM item_import_chunks WHERE import_id = $1`, [body.id]);
    expect(chunks).toEqual([]);
  });

  it('refuses lines by number and reason as POST refuses items, and takes the others', async () => {
    const person = await registerUser(app);
    const lines = [
      record(1),
      '{"title":',
      '',
      '{"title":"","type":"t","data":{}}',
      '{"title":"t","type":"t","data":[]}',
      '{"title":"t","type":"t","data":{},"secret":1}',
      '{"title":"t","type":"t","data":{"n":1e400}}',
      '{"title":"t","type":"t","data":{"a":"\\u0000"}}',
      '[]',
      '{"title":"t","type":"t","data":{"long":"' + 'x'.repeat(1_048_576) + '"}}',
      record(2),
    ];
    const { refusals, ...answer } = await imported(person, lines.join('\r\n'));
    expect(answer).toMatchObject({ state: 'done', processed: 10, created: 2, refused: 8 });
    expect(refusals.map(({ line, errors }) => [line, errors[0].pointer])).toEqual([
      [2, ''],
      [4, '/title'],
      [5, '/data'],
      [6, '/secret'],
      [7, '/data/n'],
      [8, '/data/a'],
      [9, ''],
      [10, ''],
    ]);
    expect(refusals.at(-1)?.errors[0].detail).toBe('must be at most 1048576 bytes');
    expect((await itemsOf(person)).map(({ title }) => title)).toEqual(['Item 1', 'Item 2']);
    const path = `/v1/items/imports/${answer.id}/refusals`;
    const first = await person.http.get<PageAnswer<Refusal>>(`${path}?limit=3`);
    const second = await person.http.get<PageAnswer<Refusal>>(`${path}?cursor=${first.body.nextCursor}`);
    expect([...first.body.data, ...second.body.data]).toEqual(refusals);
  });

  it('takes UTF-8 alone, with a byte order mark or without', async () => {
    const person = await registerUser(app);
    const bytes = Buffer.concat([
      Buffer.from([0xef, 0xbb, 0xbf]),
      Buffer.from(`${record(1)}\n`),
      Buffer.from([0x7b, 0xff, 0x7d, 0x0a]),
      Buffer.from(record(2)),
    ]);
    const { refusals, created } = await imported(person, new Uint8Array(bytes));
    expect(created).toBe(2);
    expect(refusals).toEqual([{ line: 2, errors: [{ pointer: '', detail: 'is not valid UTF-8' }] }]);
    const latin = await send(person, record(1), '', { 'Content-Type': 'text/csv; charset=latin1' });
    expect(latin.status).toBe(415);
  });

  it('as a dry run says what would be refused, and writes nothing', async () => {
    const person = await registerUser(app);
    const answer = await imported(person, `${record(1)}\n{}\n`, '?dryRun=true');
    expect(answer).toMatchObject({ state: 'done', dryRun: true, processed: 2, created: 0, refused: 1 });
    expect(answer.refusals.map(({ line }) => line)).toEqual([2]);
    expect(await itemsOf(person)).toEqual([]);
    const events = await app.sql(`SELECT 1 FROM events WHERE stream_id = $1 AND type LIKE 'item.%'`, [
      person.workspaceId,
    ]);
    expect(events).toEqual([]);
  });

  it.each(['ndjson', 'csv'])('of an export as %s makes the same items again', async (format) => {
    const [from, to] = [await registerUser(app), await registerUser(app)];
    for (const title of ['=1+1', "'=x", 'a "q", b\r\nc', "it's", ' x ', '€ 🎉'])
      await createItem(from, { title, type: '-t', data: { title, deep: [{ a: null }] } });
    const { text } = await from.http.get(`/v1/items/export?format=${format}&sort=id`);
    const answer = await imported(to, text, '', format === 'csv' ? CSV : NDJSON);
    expect(answer).toMatchObject({ state: 'done', created: 6, refused: 0 });
    const content = async (person: Person) =>
      (await itemsOf(person)).map(({ title, type, data }) => ({ title, type, data }));
    expect(await content(to)).toEqual(await content(from));
  });

  it('of CSV takes members of data from columns of their own, and counts lines within quotes', async () => {
    const person = await registerUser(app);
    const csv = [
      'title,type,data.count,data.note,data.phone,data',
      'one,t,3,plain,0049,',
      '"tw\no",t,true,"""3""",,"{""more"":1}"',
      'bad,t,1',
      'b"ad,t,1,2,3,',
      '"",t,,,,',
      'six,t,,,,[]',
    ].join('\r\n');
    const { refusals, ...answer } = await imported(person, csv, '', CSV);
    expect(answer).toMatchObject({ state: 'done', processed: 6, created: 2 });
    expect((await itemsOf(person)).map(({ title, data }) => ({ title, data }))).toEqual([
      { title: 'one', data: { count: 3, note: 'plain', phone: '0049' } },
      { title: 'tw\no', data: { count: true, note: '3', more: 1 } },
    ]);
    expect(refusals.map(({ line, errors }) => [line, errors[0].pointer])).toEqual([
      [5, ''],
      [6, ''],
      [7, '/title'],
      [8, '/data'],
    ]);
  });

  it.each([
    ['a column that is none', 'title,type,secret\n'],
    ['a column twice', 'title,type,type\n'],
    ['a column missing', 'title\n'],
  ])('of CSV with %s fails and says so', async (_, csv) => {
    const answer = await imported(ada, csv, '', CSV);
    expect(answer).toMatchObject({ state: 'failed', processed: 0, created: 0 });
    expect(answer.failure).toMatch(/^The header /);
  });

  it('is for those who may write there, and seen by members', async () => {
    const workspace = await createWorkspace(ada);
    const [viewer, stranger] = [await registerUser(app), await registerUser(app)];
    await addMember(app, workspace.id, viewer, 'viewer');
    const query = `?workspaceId=${workspace.id}`;
    expect((await send(viewer, record(1), query)).status).toBe(403);
    expect((await send(stranger, record(1), query)).status).toBe(404);
    const anonymous = await http(app).call('POST', `/v1/items/import${query}`, {
      raw: record(1),
      headers: NDJSON,
    });
    expect(anonymous.status).toBe(401);
    const { id } = await imported(ada, record(1), query);
    const path = `/v1/items/imports/${id}`;
    expect((await viewer.http.get(path)).status).toBe(200);
    expect((await viewer.http.delete(path)).status).toBe(403);
    for (const each of [path, `${path}/refusals`]) expect((await stranger.http.get(each)).status).toBe(404);
    expect((await stranger.http.delete(path)).status).toBe(404);
  });

  it('goes no further than the right of whoever began it', async () => {
    const workspace = await createWorkspace(ada);
    const bob = await registerUser(app);
    await addMember(app, workspace.id, bob, 'member');
    const query = `?workspaceId=${workspace.id}`;
    const begun = await send(bob, record(1), query, { ...NDJSON, 'Upload-Complete': '?0' });
    await app.sql(`UPDATE item_imports SET state = 'queued' WHERE id = $1`, [begun.body.id]);
    await app.sql(`UPDATE memberships SET role = 'viewer' WHERE principal_id = $1 AND workspace_id = $2`, [
      bob.user.id,
      workspace.id,
    ]);
    await enqueue(begun.body.id);
    expect(await ended(ada, begun.body.id)).toMatchObject({
      state: 'failed',
      failure: 'forbidden',
      created: 0,
    });
  });

  it('shows its progress in its room, where nobody else speaks, to the end', async () => {
    const socket = await sockets.connect(app, { token: ada.token });
    const begun = await send(ada, records(10), '', { ...NDJSON, 'Upload-Complete': '?0' });
    const room = `imports/${begun.body.id}`;
    expect((await socket.send('join', { room })).event).toBe('joined');
    expect((await socket.send('publish', { room, type: 'x.y', data: {} })).event).toBe('error');
    await part(ada, begun.body.id, records(3), begun.body.receivedBytes, true);
    const events = await until('the end is told', () => {
      const told = socket.frames
        .filter(({ event }) => event === 'event')
        .map(({ data }) => (data as unknown as sockets.RoomEvent).event);
      return told.some(({ type }) => type === 'import.finished') && told;
    });
    expect(events.map(({ type }) => type)).toEqual(['import.progressed', 'import.finished']);
    expect(events.at(-1)?.data).toMatchObject({ id: begun.body.id, state: 'done', created: 13 });
    socket.socket.terminate();
  });
});

const enqueue = async (importId: string) => {
  const { Jobs } = await import('../../src/jobs/jobs.js');
  await app.nest.get(Jobs, { strict: false }).enqueue('items.import', { importId }, { key: importId });
};

const part = (person: Person, id: string, raw: string, offset: number, complete: boolean) =>
  person.http.call<ImportAnswer & ProblemAnswer>('PATCH', `/v1/items/imports/${id}`, {
    raw,
    headers: {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': String(offset),
      'Upload-Complete': complete ? '?1' : '?0',
    },
  });

describe('An upload in parts', () => {
  it('goes on where it was, which the server knows, and takes no part twice', async () => {
    const person = await registerUser(app);
    const text = records(50);
    const [first, rest] = [text.slice(0, 777), text.slice(777)];
    const { status, body } = await send(person, first, '', { ...NDJSON, 'Upload-Complete': '?0' });
    expect([status, body.state, body.receivedBytes]).toEqual([201, 'uploading', 777]);
    const head = await person.http.call('HEAD', `/v1/items/imports/${body.id}`);
    expect([head.headers.get('upload-offset'), head.headers.get('upload-complete')]).toEqual(['777', '?0']);
    const again = await part(person, body.id, first, 0, false);
    expect([again.status, again.body.code, again.headers.get('upload-offset')]).toEqual([
      409,
      'upload_offset_mismatch',
      '777',
    ]);
    expect((await part(person, body.id, rest, 777, true)).status).toBe(202);
    expect(await ended(person, body.id)).toMatchObject({ state: 'done', created: 50, refused: 0 });
    expect((await part(person, body.id, rest, text.length, true)).body.code).toBe('upload_complete');
    expect(await itemsOf(person)).toHaveLength(50);
  });

  it('is taken from nobody but whoever began it', async () => {
    const workspace = await createWorkspace(ada);
    const bob = await registerUser(app);
    await addMember(app, workspace.id, bob, 'admin');
    const query = `?workspaceId=${workspace.id}`;
    const { body } = await send(ada, record(1), query, { ...NDJSON, 'Upload-Complete': '?0' });
    expect((await part(bob, body.id, 'x', body.receivedBytes, true)).status).toBe(404);
    expect((await bob.http.delete(`/v1/items/imports/${body.id}`)).status).toBe(204);
    expect(await ended(ada, body.id)).toMatchObject({ state: 'cancelled', created: 0 });
    expect((await part(ada, body.id, 'x', body.receivedBytes, true)).body.code).toBe('upload_complete');
  });

  it('is bounded in size and number', async () => {
    const person = await registerUser(app);
    const large = await send(person, 'x'.repeat(4_000_001));
    expect([large.status, large.body.code]).toEqual([413, 'import_too_large']);
    const begin = () => send(person, '', '?format=csv', { 'Upload-Complete': '?0' });
    for (let i = 0; i < 3; i++) expect((await begin()).status).toBe(201);
    const more = await begin();
    expect([more.status, more.body.code]).toEqual([429, 'too_many_imports']);
  });

  it.each([
    ['Upload-Complete', 'yes'],
    ['Upload-Offset', '-1'],
  ])('refuses %s: %s', async (name, value) => {
    const { status, body } = await send(ada, record(1), '', { ...NDJSON, [name]: value });
    expect([status, body.code]).toEqual([400, 'invalid_upload_header']);
  });

  it.each(['application/ndjson', 'application/jsonl'])('takes %s, too', async (type) => {
    const dryRun = await send(ada, record(1), '?dryRun=true', { 'Content-Type': type });
    expect([dryRun.status, (await ended(ada, dryRun.body.id)).refused]).toEqual([202, 0]);
  });

  it('refuses other media types, and a format that is not that of the body', async () => {
    expect((await send(ada, record(1), '', { 'Content-Type': 'application/json' })).status).toBe(415);
    expect((await send(ada, record(1), '', { ...NDJSON, 'Content-Encoding': 'gzip' })).status).toBe(415);
    expect((await send(ada, record(1), '?format=csv')).status).toBe(400);
  });
});
