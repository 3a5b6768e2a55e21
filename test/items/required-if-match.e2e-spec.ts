import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { createWorkspace, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

type Settings = WorkspaceAnswer & { requireIfMatch: boolean };
const set = (person: Person, id: string, settings: object) =>
  person.http.patch<Settings>(`/v1/workspaces/${id}`, settings);

describe('A workspace that demands If-Match', () => {
  it('refuses changes of items without it, of either kind, with 428, and writes nothing', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    expect((await set(ada, workspaceId, { requireIfMatch: true })).body.requireIfMatch).toBe(true);
    const path = `/v1/items/${item.id}`;
    const jsonPatch = [{ op: 'replace', path: '/title', value: 'x' }];
    const inJsonPatch = { 'Content-Type': 'application/json-patch+json' };
    const tries = (headers: Record<string, string>) => [
      () => ada.http.patch(path, { title: 'x' }, { headers }),
      () => ada.http.patch(path, jsonPatch, { headers: { ...headers, ...inJsonPatch } }),
      () => ada.http.delete(path, { headers }),
    ];
    for (const send of tries({})) {
      const { status, body } = await send();
      expect([status, body.code]).toEqual([428, 'precondition_required']);
    }
    expect((await ada.http.get<ItemAnswer>(path)).body).toEqual(item);
    for (const send of tries({ 'If-Match': '"7"' })) expect((await send()).status).toBe(412);
    const [merge, patch, remove] = tries({ 'If-Match': '*' });
    expect((await merge()).status).toBe(200);
    expect((await patch()).status).toBe(200);
    expect((await remove()).status).toBe(204);
    expect((await createItem(ada, { workspaceId })).version).toBe(1);
  });

  it('demands it of its own items alone, and no longer once the setting is taken back', async () => {
    const [strict, lax] = [await createWorkspace(ada), await createWorkspace(ada)];
    await set(ada, strict.id, { requireIfMatch: true });
    const items = [
      await createItem(ada, { workspaceId: strict.id }),
      await createItem(ada, { workspaceId: lax.id }),
    ];
    const patchBoth = () =>
      Promise.all(items.map(({ id }) => ada.http.patch(`/v1/items/${id}`, { title: 'x' })));
    expect((await patchBoth()).map(({ status }) => status)).toEqual([428, 200]);
    const { body } = await set(ada, strict.id, { requireIfMatch: false });
    expect(body).toMatchObject({ requireIfMatch: false, version: 3, name: 'Team' });
    expect((await patchBoth()).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('looks to strangers and viewers like any other', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const { id } = await createItem(ada, { workspaceId });
    await set(ada, workspaceId, { requireIfMatch: true });
    const eve = await registerUser(app);
    expect((await eve.http.delete(`/v1/items/${id}`)).status).toBe(404);
    await addMember(app, workspaceId, eve, 'viewer');
    expect((await eve.http.delete(`/v1/items/${id}`)).status).toBe(403);
  });

  it('is made by its admins, who may not rename it; members see that it is', async () => {
    const { id } = await createWorkspace(ada);
    const [admin, member] = [await registerUser(app), await registerUser(app)];
    await addMember(app, id, admin, 'admin');
    await addMember(app, id, member, 'member');
    expect((await set(member, id, { requireIfMatch: true })).status).toBe(403);
    expect((await set(admin, id, { requireIfMatch: true, name: 'Mine' })).status).toBe(403);
    for (const wrong of [null, 'true', 1])
      expect((await set(admin, id, { requireIfMatch: wrong })).status).toBe(400);
    const before = await member.http.get<Settings>(`/v1/workspaces/${id}`);
    expect(before.body).toMatchObject({ requireIfMatch: false, version: 1, name: 'Team' });
    expect((await set(admin, id, { requireIfMatch: true })).status).toBe(200);
    const list = await member.http.get<{ data: Settings[] }>('/v1/workspaces');
    expect(list.body.data.find((workspace) => workspace.id === id)).toMatchObject({ requireIfMatch: true });
    const [{ data }] = await app.sql<{ data: object }>(
      `SELECT data FROM events WHERE stream_id = $1 AND type = 'workspace.updated'`,
      [id],
    );
    expect(data).toEqual({ id, version: 2, name: 'Team', requireIfMatch: true, language: 'simple' });
  });
});
