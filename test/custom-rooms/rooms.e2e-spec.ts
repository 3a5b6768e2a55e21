import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import {
  addToRoom,
  createRoom,
  type RoomAnswer,
  roomPath,
  memberPath,
  rolesOf,
  eventsOf,
} from '../support/custom-rooms.js';
import { type Answer } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { seqOf } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let [owner, admin, ada, bob, viewer, stranger]: Person[] = [];
let workspaceId: string;
beforeAll(async () => {
  app = await sharedAtrium();
  [owner, admin, ada, bob, viewer, stranger] = await Promise.all(
    Array.from({ length: 6 }, () => registerUser(app)),
  );
  workspaceId = (await createWorkspace(owner)).id;
  await addMember(app, workspaceId, admin, 'admin');
  await addMember(app, workspaceId, ada, 'member');
  await addMember(app, workspaceId, bob, 'member');
  await addMember(app, workspaceId, viewer, 'viewer');
});
afterAll(() => app.stop());

const room = (visibility: 'public' | 'private' = 'private') => createRoom(ada, { visibility, workspaceId });
const statusAndCode = ({ status, body }: Answer<{ code?: string } | undefined>) => [status, body?.code];

describe('A new room', () => {
  it('has its creator as moderator, and answers with its place and the position in the stream', async () => {
    const request = { name: 'Planning 🙂', visibility: 'private', workspaceId: workspaceId.toUpperCase() };
    const { status, headers, body } = await ada.http.post<RoomAnswer>('/v1/rooms', request);
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.any(String),
      workspaceId,
      name: 'Planning 🙂',
      visibility: 'private',
      version: 1,
      createdAt: expect.stringMatching(/Z$/),
      createdBy: ada.user.id,
      updatedAt: body.createdAt,
      updatedBy: ada.user.id,
      closedAt: null,
    });
    expect(headers.get('location')).toBe(roomPath(body));
    expect(headers.get('etag')).toBe('"1"');
    expect(await rolesOf(ada, body)).toEqual({ [ada.user.id]: 'moderator' });
    const [event] = await app.sql(
      `SELECT type, seq::int, subject, data FROM events WHERE stream_id = $1 AND subject = $2`,
      [workspaceId, `rooms/${body.id}`],
    );
    expect(event).toEqual({
      type: 'room.created',
      seq: seqOf(headers.get('stream-cursor') ?? ''),
      subject: `rooms/${body.id}`,
      data: body,
    });
    const read = await ada.http.get<RoomAnswer>(roomPath(body));
    expect(read.body).toEqual(body);
    const unchanged = await ada.http.get(roomPath(body), { headers: { 'If-None-Match': '"1"' } });
    expect(unchanged.status).toBe(304);
  });

  it('is in the personal workspace unless another is named', async () => {
    expect((await createRoom(ada)).workspaceId).toBe(ada.workspaceId);
  });

  it.each([
    [{ visibility: 'public' }, '/name'],
    [{ name: '', visibility: 'public' }, '/name'],
    [{ name: ' ', visibility: 'public' }, '/name'],
    [{ name: 'x'.repeat(201), visibility: 'public' }, '/name'],
    [{ name: 'two\nlines', visibility: 'public' }, '/name'],
    [{ name: 'x' }, '/visibility'],
    [{ name: 'x', visibility: 'secret' }, '/visibility'],
    [{ name: 'x', visibility: 'public', workspaceId: null }, '/workspaceId'],
    [{ name: 'x', visibility: 'public', createdBy: randomUUID() }, '/createdBy'],
    [{ name: 'x', visibility: 'public', version: 7 }, '/version'],
  ])('%j is refused with a pointer to %s', async (request, pointer) => {
    const { status, body } = await ada.http.post('/v1/rooms', request);
    expect([status, body.errors?.[0]?.pointer]).toEqual([400, pointer]);
  });

  it('is refused past the bound of open rooms, until one is closed', async () => {
    const full = await createWorkspace(owner);
    await app.sql(
      `INSERT INTO rooms (id, workspace_id, name, visibility, created_by, updated_by)
       SELECT gen_random_uuid(), $1, 'r', 'public', $2, $2 FROM generate_series(1, 9999)`,
      [full.id, owner.user.id],
    );
    const last = await createRoom(owner, { workspaceId: full.id });
    const request = { name: 'x', visibility: 'public', workspaceId: full.id };
    expect(statusAndCode(await owner.http.post('/v1/rooms', request))).toEqual([409, 'too_many_open_rooms']);
    await owner.http.delete(roomPath(last));
    expect((await owner.http.post('/v1/rooms', request)).status).toBe(201);
  });
});

describe('The rooms of a workspace', () => {
  it('are listed newest first, page by page, each only to those who may see it', async () => {
    const { id } = await createWorkspace(owner);
    for (const person of [admin, ada, bob, viewer])
      await addMember(app, id, person, person === admin ? 'admin' : person === viewer ? 'viewer' : 'member');
    const open = await createRoom(ada, { visibility: 'public', workspaceId: id });
    const hers = await createRoom(ada, { workspaceId: id });
    const shared = await createRoom(ada, { workspaceId: id });
    await addToRoom(ada, shared.id, bob, 'listener');
    const closed = await createRoom(ada, { workspaceId: id });
    await ada.http.delete(roomPath(closed));
    const listed = async (person: Person, query = '') => {
      const ids: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const more = cursor && `&cursor=${cursor}`;
        const page: Answer<PageAnswer<RoomAnswer>> = await person.http.get(
          `/v1/rooms?workspaceId=${id}&limit=1${query}${more}`,
        );
        expect(page.status).toBe(200);
        ids.push(...page.body.data.map((one) => one.id));
        cursor = page.body.nextCursor;
      }
      return ids;
    };
    expect(await listed(ada)).toEqual([shared.id, hers.id, open.id]);
    expect(await listed(bob)).toEqual([shared.id, open.id]);
    expect(await listed(viewer)).toEqual([open.id]);
    // Who manages all rooms knows of all of them.
    for (const one of [owner, admin]) expect(await listed(one)).toEqual([shared.id, hers.id, open.id]);
    expect(await listed(ada, '&closed=true')).toEqual([closed.id]);
    expect(await listed(bob, '&closed=true')).toEqual([]);
    const unknown = await stranger.http.get(`/v1/rooms?workspaceId=${id}`);
    const missing = await stranger.http.get(`/v1/rooms?workspaceId=${randomUUID()}`);
    expect([unknown.status, unknown.body.detail]).toEqual([404, missing.body.detail]);
    expect((await ada.http.get('/v1/rooms?closed=perhaps')).status).toBe(400);
  });
});

describe('A room', () => {
  it('is renamed by its moderators, from the version that they mean', async () => {
    const one = await room();
    const stale = { headers: { 'If-Match': '"2"' } };
    expect((await ada.http.patch(roomPath(one), { name: 'B' }, stale)).status).toBe(412);
    const { body, headers } = await ada.http.patch<RoomAnswer>(
      roomPath(one),
      { name: 'B' },
      { headers: { 'If-Match': '"1"' } },
    );
    expect(body).toMatchObject({ name: 'B', version: 2, updatedBy: ada.user.id });
    expect(headers.get('etag')).toBe('"2"');
    expect((await eventsOf(app, one)).map(({ type }) => type)).toEqual(['room.created', 'room.updated']);
    expect((await eventsOf(app, one)).at(-1)?.data).toEqual(body);
    for (const change of [{ visibility: 'public' }, { closedAt: null }, { name: null }, { workspaceId }])
      expect((await ada.http.patch(roomPath(one), change)).status).toBe(400);
  });

  it('is managed by moderators and by admins of the workspace; others who see it are refused', async () => {
    const one = await room('public');
    await addToRoom(ada, one.id, bob, 'speaker');
    await addToRoom(ada, one.id, viewer, 'moderator');
    const member = { principalId: owner.user.id, role: 'listener' };
    // A viewer of the workspace changes nothing, whatever the room says.
    for (const person of [bob, viewer]) {
      const tried = [
        await person.http.patch(roomPath(one), { name: 'x' }),
        await person.http.delete(roomPath(one)),
        await person.http.post(`${roomPath(one)}/members`, member),
        await person.http.patch(memberPath(one, ada), { role: 'listener' }),
        await person.http.delete(memberPath(one, ada)),
      ];
      expect(tried.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    }
    expect(
      (await viewer.http.post('/v1/rooms', { name: 'x', visibility: 'public', workspaceId })).status,
    ).toBe(403);
    for (const person of [owner, admin])
      expect((await person.http.patch(roomPath(one), { name: 'y' })).status).toBe(200);
    expect(await rolesOf(ada, one)).toEqual({
      [ada.user.id]: 'moderator',
      [bob.user.id]: 'speaker',
      [viewer.user.id]: 'moderator',
    });
  });

  it('is closed for good: it can be read, and nothing about it changes any more', async () => {
    const one = await room();
    await addToRoom(ada, one.id, bob, 'speaker');
    await ada.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1 });
    expect((await ada.http.delete(roomPath(one), { headers: { 'If-Match': '"7"' } })).status).toBe(412);
    const { status, headers } = await ada.http.delete(roomPath(one));
    expect(status).toBe(204);
    expect(seqOf(headers.get('stream-cursor') ?? '')).toBeGreaterThan(0);
    for (const person of [ada, bob]) {
      const { body } = await person.http.get<RoomAnswer>(roomPath(one));
      expect(body).toMatchObject({ version: 2, closedAt: body.updatedAt });
      const said = await person.http.get<PageAnswer<unknown>>(`${roomPath(one)}/messages`);
      expect(said.body.data).toHaveLength(1);
    }
    const member = { principalId: admin.user.id, role: 'speaker' };
    const tried = [
      await ada.http.delete(roomPath(one)),
      await ada.http.patch(roomPath(one), { name: 'x' }),
      await ada.http.post(`${roomPath(one)}/members`, member),
      await ada.http.patch(memberPath(one, bob), { role: 'listener' }),
      await ada.http.delete(memberPath(one, bob)),
      await ada.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1 }),
      await ada.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1, durable: false }),
    ];
    expect(tried.map(statusAndCode)).toEqual(tried.map(() => [409, 'room_closed']));
    expect((await eventsOf(app, one)).at(-1)).toMatchObject({
      type: 'room.closed',
      data: { id: one.id, version: 2 },
    });
  });
});

describe('A deleted workspace, and a deleted account', () => {
  it('leave no room behind', async () => {
    const { id } = await createWorkspace(owner);
    const one = await createRoom(owner, { workspaceId: id });
    await owner.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1 });
    expect((await owner.http.delete(`/v1/workspaces/${id}?confirm=Team`)).status).toBe(204);
    const leaver = await registerUser(app);
    await addMember(app, workspaceId, leaver, 'member');
    const shared = await createRoom(ada, { workspaceId });
    await addToRoom(ada, shared.id, leaver, 'speaker');
    const own = await createRoom(leaver);
    const deleted = await leaver.http.call('DELETE', '/v1/me', { json: { password: leaver.password } });
    expect(deleted.status).toBe(204);
    expect(await app.sql('SELECT 1 FROM rooms WHERE id = ANY ($1)', [[one.id, own.id]])).toEqual([]);
    expect(await app.sql('SELECT 1 FROM room_members WHERE room_id = ANY ($1)', [[one.id, own.id]])).toEqual(
      [],
    );
    expect((await owner.http.get(roomPath(one))).status).toBe(404);
    expect(await rolesOf(ada, shared)).toEqual({ [ada.user.id]: 'moderator' });
  });
});
