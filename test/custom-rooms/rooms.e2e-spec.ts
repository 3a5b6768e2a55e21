import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { addToRoom, createRoom, type RoomAnswer, type RoomMemberAnswer } from '../support/custom-rooms.js';
import { type Answer, http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { seqOf } from '../support/sockets.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let [owner, admin, ada, bob, viewer, stranger]: Person[] = [];
let workspaceId: string;
beforeAll(async () => {
  app = await startAtrium();
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
const path = ({ id }: RoomAnswer) => `/v1/rooms/${id}`;
const memberPath = (of: RoomAnswer, { user }: Person) => `${path(of)}/members/${user.id}`;
const roles = async (of: RoomAnswer) => {
  const { body } = await ada.http.get<PageAnswer<RoomMemberAnswer>>(`${path(of)}/members`);
  return Object.fromEntries(body.data.map(({ principalId, role }) => [principalId, role]));
};
const events = (of: RoomAnswer) =>
  app.sql<{ type: string; data: Record<string, unknown> }>(
    'SELECT type, data FROM events WHERE subject = $1 ORDER BY seq',
    [`rooms/${of.id}`],
  );
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
    expect(headers.get('location')).toBe(path(body));
    expect(headers.get('etag')).toBe('"1"');
    expect(await roles(body)).toEqual({ [ada.user.id]: 'moderator' });
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
    const read = await ada.http.get<RoomAnswer>(path(body));
    expect(read.body).toEqual(body);
    const unchanged = await ada.http.get(path(body), { headers: { 'If-None-Match': '"1"' } });
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
    await owner.http.delete(path(last));
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
    await ada.http.delete(path(closed));
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
    expect((await ada.http.patch(path(one), { name: 'B' }, stale)).status).toBe(412);
    const { body, headers } = await ada.http.patch<RoomAnswer>(
      path(one),
      { name: 'B' },
      { headers: { 'If-Match': '"1"' } },
    );
    expect(body).toMatchObject({ name: 'B', version: 2, updatedBy: ada.user.id });
    expect(headers.get('etag')).toBe('"2"');
    expect((await events(one)).map(({ type }) => type)).toEqual(['room.created', 'room.updated']);
    expect((await events(one)).at(-1)?.data).toEqual(body);
    for (const change of [{ visibility: 'public' }, { closedAt: null }, { name: null }, { workspaceId }])
      expect((await ada.http.patch(path(one), change)).status).toBe(400);
  });

  it('is managed by moderators and by admins of the workspace; others who see it are refused', async () => {
    const one = await room('public');
    await addToRoom(ada, one.id, bob, 'speaker');
    await addToRoom(ada, one.id, viewer, 'moderator');
    const member = { principalId: owner.user.id, role: 'listener' };
    // A viewer of the workspace changes nothing, whatever the room says.
    for (const person of [bob, viewer]) {
      const tried = [
        await person.http.patch(path(one), { name: 'x' }),
        await person.http.delete(path(one)),
        await person.http.post(`${path(one)}/members`, member),
        await person.http.patch(memberPath(one, ada), { role: 'listener' }),
        await person.http.delete(memberPath(one, ada)),
      ];
      expect(tried.map(({ status }) => status)).toEqual([403, 403, 403, 403, 403]);
    }
    expect(
      (await viewer.http.post('/v1/rooms', { name: 'x', visibility: 'public', workspaceId })).status,
    ).toBe(403);
    for (const person of [owner, admin])
      expect((await person.http.patch(path(one), { name: 'y' })).status).toBe(200);
    expect(await roles(one)).toEqual({
      [ada.user.id]: 'moderator',
      [bob.user.id]: 'speaker',
      [viewer.user.id]: 'moderator',
    });
  });

  it('is closed for good: it can be read, and nothing about it changes any more', async () => {
    const one = await room();
    await addToRoom(ada, one.id, bob, 'speaker');
    await ada.http.post(`${path(one)}/messages`, { type: 'note', data: 1 });
    expect((await ada.http.delete(path(one), { headers: { 'If-Match': '"7"' } })).status).toBe(412);
    const { status, headers } = await ada.http.delete(path(one));
    expect(status).toBe(204);
    expect(seqOf(headers.get('stream-cursor') ?? '')).toBeGreaterThan(0);
    for (const person of [ada, bob]) {
      const { body } = await person.http.get<RoomAnswer>(path(one));
      expect(body).toMatchObject({ version: 2, closedAt: body.updatedAt });
      const said = await person.http.get<PageAnswer<unknown>>(`${path(one)}/messages`);
      expect(said.body.data).toHaveLength(1);
    }
    const member = { principalId: admin.user.id, role: 'speaker' };
    const tried = [
      await ada.http.delete(path(one)),
      await ada.http.patch(path(one), { name: 'x' }),
      await ada.http.post(`${path(one)}/members`, member),
      await ada.http.patch(memberPath(one, bob), { role: 'listener' }),
      await ada.http.delete(memberPath(one, bob)),
      await ada.http.post(`${path(one)}/messages`, { type: 'note', data: 1 }),
      await ada.http.post(`${path(one)}/messages`, { type: 'note', data: 1, durable: false }),
    ];
    expect(tried.map(statusAndCode)).toEqual(tried.map(() => [409, 'room_closed']));
    expect((await events(one)).at(-1)).toMatchObject({
      type: 'room.closed',
      data: { id: one.id, version: 2 },
    });
  });
});

describe('Members of a room', () => {
  it('are added, given other roles and removed, each change with a version and an event', async () => {
    const one = await room();
    expect(await addToRoom(ada, one.id, bob, 'listener')).toMatchObject({
      principalId: bob.user.id,
      email: bob.user.email,
      role: 'listener',
      version: 1,
    });
    const stale = { headers: { 'If-Match': '"2"' } };
    expect((await ada.http.patch(memberPath(one, bob), { role: 'speaker' }, stale)).status).toBe(412);
    const changed = await ada.http.patch<RoomMemberAnswer>(memberPath(one, bob), { role: 'speaker' });
    expect([changed.body.version, changed.headers.get('etag')]).toEqual([2, '"2"']);
    expect((await ada.http.delete(memberPath(one, bob))).status).toBe(204);
    expect(await roles(one)).toEqual({ [ada.user.id]: 'moderator' });
    const base = { id: bob.user.id, principalId: bob.user.id, roomId: one.id, workspaceId };
    expect((await events(one)).slice(1)).toEqual([
      { type: 'room.member_added', data: { ...base, role: 'listener', version: 1 } },
      { type: 'room.member_updated', data: { ...base, role: 'speaker', version: 2 } },
      { type: 'room.member_removed', data: { ...base, role: 'speaker', version: 3 } },
    ]);
    const audit = await owner.http.get<PageAnswer<{ action: string; detail: object }>>(
      `/v1/workspaces/${workspaceId}/audit`,
    );
    expect(audit.body.data.slice(0, 3)).toMatchObject([
      { action: 'room-member.removed', userId: bob.user.id, detail: { roomId: one.id, from: 'speaker' } },
      { action: 'room-member.updated', detail: { from: 'listener', to: 'speaker' } },
      { action: 'room-member.added', detail: { to: 'listener' } },
    ]);
  });

  it('come from the workspace, once each, with a role that exists', async () => {
    const one = await room();
    const add = (principalId: string, role = 'speaker') =>
      ada.http.post(`${path(one)}/members`, { principalId, role });
    expect(statusAndCode(await add(stranger.user.id))).toEqual([404, 'not_found']);
    expect(statusAndCode(await add(randomUUID()))).toEqual([404, 'not_found']);
    expect(statusAndCode(await add(ada.user.id))).toEqual([409, 'already_member']);
    expect((await add(bob.user.id, 'owner')).body.errors?.[0]?.pointer).toBe('/role');
    expect((await add('nobody')).body.errors?.[0]?.pointer).toBe('/principalId');
    expect(statusAndCode(await ada.http.patch(memberPath(one, bob), { role: 'speaker' }))).toEqual([
      404,
      'not_found',
    ]);
    expect(await roles(one)).toEqual({ [ada.user.id]: 'moderator' });
  });

  it('leave by themselves; the last moderator stays until there is another', async () => {
    const one = await room();
    await addToRoom(ada, one.id, bob, 'speaker');
    await addToRoom(ada, one.id, viewer, 'listener');
    expect((await viewer.http.delete(memberPath(one, viewer))).status).toBe(204);
    expect((await viewer.http.get(path(one))).status).toBe(404);
    for (const person of [ada, owner]) {
      const left = await person.http.delete(memberPath(one, ada));
      const changed = await person.http.patch(memberPath(one, ada), { role: 'speaker' });
      expect([statusAndCode(left), statusAndCode(changed)]).toEqual([
        [409, 'last_moderator'],
        [409, 'last_moderator'],
      ]);
    }
    await ada.http.patch(memberPath(one, bob), { role: 'moderator' });
    expect((await ada.http.delete(memberPath(one, ada))).status).toBe(204);
  });

  it('include a moderator, whatever two of them do at once at two instances, in 15 rounds', async () => {
    const second = http(await app.startSecondInstance(), bob.token);
    for (let round = 0; round < 15; round++) {
      const one = await room();
      await addToRoom(ada, one.id, bob, 'moderator');
      const both = await Promise.all([
        ada.http.delete(memberPath(one, ada)),
        round % 2
          ? second.delete(memberPath(one, bob))
          : second.patch(memberPath(one, bob), { role: 'listener' }),
      ]);
      const [done, refused] = both.toSorted((x, y) => x.status - y.status).map(statusAndCode);
      expect([200, 204]).toContain(done[0]);
      expect(refused).toEqual([409, 'last_moderator']);
    }
  });

  it('are no more than the bound', async () => {
    const one = await room();
    await app.sql(
      `INSERT INTO memberships (workspace_id, principal_id, role)
       SELECT $1, gen_random_uuid(), 'viewer' FROM generate_series(1, 9999)`,
      [workspaceId],
    );
    await app.sql(
      `INSERT INTO room_members (room_id, workspace_id, principal_id, role)
       SELECT $1, workspace_id, principal_id, 'listener' FROM memberships
       WHERE workspace_id = $2 AND principal_id <> ALL ($3) LIMIT 9999`,
      [one.id, workspaceId, [ada.user.id, bob.user.id]],
    );
    const add = () => ada.http.post(`${path(one)}/members`, { principalId: bob.user.id, role: 'speaker' });
    expect(statusAndCode(await add())).toEqual([409, 'too_many_room_members']);
    await app.sql(
      `DELETE FROM memberships m WHERE workspace_id = $1 AND role = 'viewer' AND principal_id <> $2`,
      [workspaceId, viewer.user.id],
    );
    expect((await add()).status).toBe(201);
  });

  it('lose the room with the membership of the workspace, and it does not come back with that', async () => {
    const one = await room();
    const guest = await registerUser(app);
    await addMember(app, workspaceId, guest, 'member');
    await addToRoom(ada, one.id, guest, 'moderator');
    expect((await guest.http.get(path(one))).status).toBe(200);
    await owner.http.delete(`/v1/workspaces/${workspaceId}/members/${guest.user.id}`);
    expect((await guest.http.get(path(one))).status).toBe(404);
    expect(await roles(one)).toEqual({ [ada.user.id]: 'moderator' });
    await addMember(app, workspaceId, guest, 'member');
    expect((await guest.http.get(path(one))).status).toBe(404);
  });

  it('may all be gone: then admins of the workspace make somebody else a moderator, themselves, too', async () => {
    const { id } = await createWorkspace(owner);
    await addMember(app, id, ada, 'member');
    const one = await createRoom(ada, { workspaceId: id });
    await owner.http.delete(`/v1/workspaces/${id}/members/${ada.user.id}`);
    // Managing is not listening.
    expect((await owner.http.get(path(one))).status).toBe(200);
    expect((await owner.http.get(`${path(one)}/messages`)).status).toBe(404);
    expect((await owner.http.post(`${path(one)}/messages`, { type: 'note', data: 1 })).status).toBe(404);
    await addToRoom(owner, one.id, owner, 'moderator');
    expect((await owner.http.get(`${path(one)}/messages`)).status).toBe(200);
    expect((await owner.http.post(`${path(one)}/messages`, { type: 'note', data: 1 })).status).toBe(201);
  });
});

describe('A deleted workspace, and a deleted account', () => {
  it('leave no room behind', async () => {
    const { id } = await createWorkspace(owner);
    const one = await createRoom(owner, { workspaceId: id });
    await owner.http.post(`${path(one)}/messages`, { type: 'note', data: 1 });
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
    expect((await owner.http.get(path(one))).status).toBe(404);
    expect(await roles(shared)).toEqual({ [ada.user.id]: 'moderator' });
  });
});
