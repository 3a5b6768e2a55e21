import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import {
  addToRoom,
  createRoom,
  type RoomMemberAnswer,
  roomPath,
  memberPath,
  rolesOf,
  eventsOf,
} from '../support/custom-rooms.js';
import { type Answer, http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
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
    expect(await rolesOf(ada, one)).toEqual({ [ada.user.id]: 'moderator' });
    const base = { id: bob.user.id, principalId: bob.user.id, roomId: one.id, workspaceId };
    expect((await eventsOf(app, one)).slice(1)).toEqual([
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
      ada.http.post(`${roomPath(one)}/members`, { principalId, role });
    expect(statusAndCode(await add(stranger.user.id))).toEqual([404, 'not_found']);
    expect(statusAndCode(await add(randomUUID()))).toEqual([404, 'not_found']);
    expect(statusAndCode(await add(ada.user.id))).toEqual([409, 'already_member']);
    expect((await add(bob.user.id, 'owner')).body.errors?.[0]?.pointer).toBe('/role');
    expect((await add('nobody')).body.errors?.[0]?.pointer).toBe('/principalId');
    expect(statusAndCode(await ada.http.patch(memberPath(one, bob), { role: 'speaker' }))).toEqual([
      404,
      'not_found',
    ]);
    expect(await rolesOf(ada, one)).toEqual({ [ada.user.id]: 'moderator' });
  });

  it('leave by themselves; the last moderator stays until there is another', async () => {
    const one = await room();
    await addToRoom(ada, one.id, bob, 'speaker');
    await addToRoom(ada, one.id, viewer, 'listener');
    expect((await viewer.http.delete(memberPath(one, viewer))).status).toBe(204);
    expect((await viewer.http.get(roomPath(one))).status).toBe(404);
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
    const add = () =>
      ada.http.post(`${roomPath(one)}/members`, { principalId: bob.user.id, role: 'speaker' });
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
    expect((await guest.http.get(roomPath(one))).status).toBe(200);
    await owner.http.delete(`/v1/workspaces/${workspaceId}/members/${guest.user.id}`);
    expect((await guest.http.get(roomPath(one))).status).toBe(404);
    expect(await rolesOf(ada, one)).toEqual({ [ada.user.id]: 'moderator' });
    await addMember(app, workspaceId, guest, 'member');
    expect((await guest.http.get(roomPath(one))).status).toBe(404);
  });

  it('may all be gone: then admins of the workspace make somebody else a moderator, themselves, too', async () => {
    const { id } = await createWorkspace(owner);
    await addMember(app, id, ada, 'member');
    const one = await createRoom(ada, { workspaceId: id });
    await owner.http.delete(`/v1/workspaces/${id}/members/${ada.user.id}`);
    // Managing is not listening.
    expect((await owner.http.get(roomPath(one))).status).toBe(200);
    expect((await owner.http.get(`${roomPath(one)}/messages`)).status).toBe(404);
    expect((await owner.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1 })).status).toBe(404);
    await addToRoom(owner, one.id, owner, 'moderator');
    expect((await owner.http.get(`${roomPath(one)}/messages`)).status).toBe(200);
    expect((await owner.http.post(`${roomPath(one)}/messages`, { type: 'note', data: 1 })).status).toBe(201);
  });
});
