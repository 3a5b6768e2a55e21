import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import {
  addMember,
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const NOBODYS = '019a0000-0000-7000-8000-000000000000';

const NONE: Readonly<Record<string, string>> = {};

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

describe('Creating an item', () => {
  it('answers 201 with the record, where it is and its version', async () => {
    const data = { done: false, tags: ['a', 'b'], nested: { deep: [{ x: 1 }] }, text: 'ä"\\\n', none: null };
    const answer = await ada.http.post<ItemAnswer>('/v1/items', { title: 'Write', type: 'task', data });
    expect(answer.status).toBe(201);
    expect(answer.body).toEqual({
      id: expect.stringMatching(UUID),
      workspaceId: ada.workspaceId,
      type: 'task',
      title: 'Write',
      data,
      version: 1,
      createdAt: expect.stringMatching(INSTANT),
      createdBy: ada.user.id,
      updatedAt: answer.body.createdAt,
      updatedBy: ada.user.id,
    });
    expect(answer.headers.get('etag')).toBe('"1"');
    expect(answer.headers.get('location')).toBe(`/v1/items/${answer.body.id}`);
    const read = await ada.http.get<ItemAnswer>(answer.headers.get('location')!);
    expect(read.status).toBe(200);
    expect(read.body).toEqual(answer.body);
    expect(read.headers.get('etag')).toBe('"1"');
  });

  it('keeps quotes, control characters and any script in title and type as they were sent', async () => {
    const title = '"quoted" \\ \n\t\u0001 \u2028 日本 🎉 </script>';
    const item = await createItem(ada, { title, type: `t'"\\` });
    const read = await ada.http.get<ItemAnswer>(`/v1/items/${item.id}`);
    expect(read.body).toMatchObject({ title, type: `t'"\\` });
  });

  it('in a workspace that is named, also in capitals', async () => {
    const item = await createItem(ada, { workspaceId: ada.workspaceId.toUpperCase() });
    expect(item.workspaceId).toBe(ada.workspaceId);
  });

  it.each<[string, Record<string, unknown>, string[]]>([
    ['nothing', {}, ['/title', '/type', '/data']],
    ['an empty title', { title: '', type: 'task', data: {} }, ['/title']],
    ['a title of 501 characters', { title: 'x'.repeat(501), type: 'task', data: {} }, ['/title']],
    ['a type of 101 characters', { title: 'x', type: 'x'.repeat(101), data: {} }, ['/type']],
    ['a title that is a number', { title: 1, type: 'task', data: {} }, ['/title']],
    ['a title that is null', { title: null, type: 'task', data: {} }, ['/title']],
    ['data that is a list', { title: 'x', type: 'x', data: [] }, ['/data']],
    ['data that is null', { title: 'x', type: 'x', data: null }, ['/data']],
    ['data that is a text', { title: 'x', type: 'x', data: '{}' }, ['/data']],
    [
      'a workspace that is no UUID',
      { title: 'x', type: 'x', data: {}, workspaceId: 'mine' },
      ['/workspaceId'],
    ],
    ['a workspace that is null', { title: 'x', type: 'x', data: {}, workspaceId: null }, ['/workspaceId']],
    [
      'what only Atrium sets',
      { title: 'x', type: 'x', data: {}, id: NOBODYS, version: 7 },
      ['/id', '/version'],
    ],
    [
      'names that objects have by nature',
      { title: 'x', type: 'x', data: {}, constructor: 1, toString: 1, hasOwnProperty: 1 },
      ['/constructor', '/hasOwnProperty', '/toString'],
    ],
    ['a constructor that is null', { title: 'x', type: 'x', data: {}, constructor: null }, ['/constructor']],
    ['a key with a slash and a tilde', { title: 'x', type: 'x', data: {}, 'a/b~c': 1 }, ['/a~1b~0c']],
  ])('refuses %s, with a pointer to each fault', async (_, body, pointers) => {
    const answer = await ada.http.post('/v1/items', body);
    expect(answer.status).toBe(400);
    expect(answer.body.code).toBe('validation_failed');
    expect(answer.body.errors?.map(({ pointer }) => pointer).sort()).toEqual(pointers.sort());
  });

  it.each(['[]', '"text"', '17', 'null', 'true'])('refuses the body %s, which is no object', async (raw) => {
    const answer = await ada.http.call('POST', '/v1/items', { raw });
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([{ pointer: '', detail: 'must be a JSON object' }]);
  });

  it('keeps any key in data, also those that objects have by nature', async () => {
    const data = { constructor: 1, toString: 'x', hasOwnProperty: null, '': 0, 'a/b~c': [], length: 3 };
    const item = await createItem(ada, { data });
    const read = await ada.http.get<ItemAnswer>(`/v1/items/${item.id}`);
    expect(Object.entries(read.body.data).sort()).toEqual(Object.entries(data).sort());
  });
});

describe('Reading an item', () => {
  it('answers 304 without a body when If-None-Match names the current version', async () => {
    const { id } = await createItem(ada);
    for (const tag of ['"1"', 'W/"1"', '"7", "1"', '*']) {
      const answer = await ada.http.get(`/v1/items/${id}`, { headers: { 'If-None-Match': tag } });
      expect(answer.status).toBe(304);
      expect(answer.text).toBe('');
      expect(answer.headers.get('etag')).toBe('"1"');
    }
  });

  it('answers it whole when If-None-Match names another version, or nothing understandable', async () => {
    const { id } = await createItem(ada);
    for (const tag of ['"2"', 'W/"2", "3"', '1', '"1', 'nonsense']) {
      const answer = await ada.http.get<ItemAnswer>(`/v1/items/${id}`, { headers: { 'If-None-Match': tag } });
      expect(answer.status).toBe(200);
      expect(answer.body.id).toBe(id);
    }
  });

  it('takes an id in capitals, and says of what is no id that it must be one', async () => {
    const { id } = await createItem(ada);
    expect((await ada.http.get<ItemAnswer>(`/v1/items/${id.toUpperCase()}`)).body.id).toBe(id);
    const answer = await ada.http.get('/v1/items/17');
    expect(answer.status).toBe(400);
    expect(answer.body.errors).toEqual([{ pointer: '/id', detail: 'must be a UUID' }]);
  });
});

describe('Deleting an item', () => {
  it('answers 204 with a cursor; afterwards the item does not exist for anything', async () => {
    const { id } = await createItem(ada);
    const answer = await ada.http.delete(`/v1/items/${id}`);
    expect(answer.status).toBe(204);
    expect(answer.text).toBe('');
    expect(answer.headers.get('stream-cursor')).toMatch(/^[0-9a-z]+-\d+$/);
    expect((await ada.http.get(`/v1/items/${id}`)).status).toBe(404);
    expect((await ada.http.patch(`/v1/items/${id}`, { title: 'x' })).status).toBe(404);
    expect((await ada.http.delete(`/v1/items/${id}`)).status).toBe(404);
    const list = await ada.http.get<PageAnswer<ItemAnswer>>('/v1/items?limit=100');
    expect(list.body.data.map((item) => item.id)).not.toContain(id);
  });
});

describe('A workspace of others', () => {
  const alike = (one: { status: number; body: object; headers: Headers }, other: typeof one) => {
    expect([one.status, other.status]).toEqual([404, 404]);
    expect({ ...one.body, requestId: '' }).toEqual({ ...other.body, requestId: '' });
    const shown = ({ headers }: typeof one) =>
      [...headers].filter(([name]) => !['date', 'x-request-id', 'content-length'].includes(name));
    expect(shown(one)).toEqual(shown(other));
  };

  it('looks like one that does not exist, whatever one tries', async () => {
    const eve = await registerUser(app);
    const { id } = await createItem(ada, { title: 'private' });
    alike(await eve.http.get(`/v1/items/${id}`), await eve.http.get(`/v1/items/${NOBODYS}`));
    for (const headers of [NONE, { 'If-Match': '"1"' }, { 'If-Match': '"9"' }, { 'If-Match': '*' }]) {
      const patch = { title: 'stolen' };
      alike(
        await eve.http.patch(`/v1/items/${id}`, patch, { headers }),
        await eve.http.patch(`/v1/items/${NOBODYS}`, patch, { headers }),
      );
      alike(
        await eve.http.delete(`/v1/items/${id}`, { headers }),
        await eve.http.delete(`/v1/items/${NOBODYS}`, { headers }),
      );
    }
    alike(
      await eve.http.get(`/v1/items/${id}`, { headers: { 'If-None-Match': '"1"' } }),
      await eve.http.get(`/v1/items/${NOBODYS}`, { headers: { 'If-None-Match': '"1"' } }),
    );
    alike(
      await eve.http.get(`/v1/items?workspaceId=${ada.workspaceId}`),
      await eve.http.get(`/v1/items?workspaceId=${NOBODYS}`),
    );
    const item = { title: 'x', type: 'x', data: {} };
    alike(
      await eve.http.post('/v1/items', { ...item, workspaceId: ada.workspaceId }),
      await eve.http.post('/v1/items', { ...item, workspaceId: NOBODYS }),
    );
    const after = await ada.http.get<ItemAnswer>(`/v1/items/${id}`);
    expect(after.body).toMatchObject({ title: 'private', version: 1 });
  });

  it('opens for reading to a viewer, who may not write', async () => {
    const viewer = await registerUser(app);
    const item = await createItem(ada);
    await addMember(app, ada.workspaceId, viewer, 'viewer');
    const path = `/v1/items/${item.id}`;
    expect((await viewer.http.get<ItemAnswer>(path)).body).toEqual(item);
    expect((await viewer.http.get(`/v1/items?workspaceId=${ada.workspaceId}`)).status).toBe(200);
    const refused = [
      await viewer.http.patch(path, { title: 'x' }),
      await viewer.http.patch(path, { title: 'x' }, { headers: { 'If-Match': '"9"' } }),
      await viewer.http.delete(path),
      await viewer.http.post('/v1/items', { title: 'x', type: 'x', data: {}, workspaceId: ada.workspaceId }),
    ];
    expect(refused.map(({ status, body }) => [status, body.code])).toEqual(Array(4).fill([403, 'forbidden']));
    expect((await ada.http.get<ItemAnswer>(path)).body).toEqual(item);
  });

  it.each(['member', 'admin', 'owner'])(
    'opens for writing to a %s, who is named as the writer',
    async (role) => {
      const colleague = await registerUser(app);
      await addMember(app, ada.workspaceId, colleague, role);
      const created = await createItem(colleague, { workspaceId: ada.workspaceId });
      expect(created).toMatchObject({ workspaceId: ada.workspaceId, createdBy: colleague.user.id });
      const { id } = await createItem(ada);
      const patched = await colleague.http.patch<ItemAnswer>(`/v1/items/${id}`, { title: 'changed' });
      expect(patched.body).toMatchObject({
        createdBy: ada.user.id,
        updatedBy: colleague.user.id,
        version: 2,
      });
      expect((await colleague.http.delete(`/v1/items/${id}`)).status).toBe(204);
    },
  );

  it('closes with the membership', async () => {
    const guest = await registerUser(app);
    const { id } = await createItem(ada);
    await addMember(app, ada.workspaceId, guest, 'member');
    expect((await guest.http.get(`/v1/items/${id}`)).status).toBe(200);
    await app.sql('DELETE FROM memberships WHERE principal_id = $1 AND workspace_id = $2', [
      guest.user.id,
      ada.workspaceId,
    ]);
    expect((await guest.http.get(`/v1/items/${id}`)).status).toBe(404);
    expect((await guest.http.patch(`/v1/items/${id}`, { title: 'x' })).status).toBe(404);
  });
});
