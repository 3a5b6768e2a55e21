import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { addMember, createItem, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { createWorkspace, type WorkspaceAnswer } from '../support/workspaces.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const path = ({ id }: { readonly id: string }) => `/v1/workspaces/${id}`;
const confirming = (workspace: { id: string; name: string }) =>
  `${path(workspace)}?confirm=${encodeURIComponent(workspace.name)}`;
const rows = async (table: string, column: string, id: string) => {
  const text = `SELECT count(*)::int AS count FROM ${table} WHERE ${column} = $1`;
  const [row] = await app.sql<{ count: number }>(text, [id]);
  return row.count;
};

describe('A new workspace', () => {
  it('belongs to who created it, with a stream of its own', async () => {
    const created = await ada.http.post<WorkspaceAnswer>('/v1/workspaces', { name: 'Ä team' });
    expect(created.status).toBe(201);
    expect(created.headers.get('location')).toBe(path(created.body));
    expect(created.headers.get('etag')).toBe('"1"');
    expect(created.body).toMatchObject({ name: 'Ä team', personal: false, role: 'owner', version: 1 });
    expect((await ada.http.get(path(created.body))).body).toEqual(created.body);
    const item = await createItem(ada, { workspaceId: created.body.id });
    expect(item.workspaceId).toBe(created.body.id);
    const list = await ada.http.get<PageAnswer<WorkspaceAnswer>>('/v1/workspaces');
    expect(list.body.data).toContainEqual(created.body);
  });

  it.each([
    [{}],
    [{ name: '' }],
    [{ name: '  ' }],
    [{ name: 'a\nb' }],
    [{ name: 'x'.repeat(101) }],
    [{ name: 7 }],
    [{ name: 'x', role: 'owner' }],
    [{ name: 'x', personalUserId: '018f0000-0000-7000-8000-000000000000' }],
  ])('is refused with %j', async (body) => {
    expect((await ada.http.post('/v1/workspaces', body)).body).toMatchObject({ code: 'validation_failed' });
  });

  it('is the 100th that somebody may own, and no more, however fast they ask', async () => {
    const eve = await registerUser(app); // who owns her personal one
    await app.sql(
      `WITH made AS (INSERT INTO workspaces (id, name) SELECT gen_random_uuid(), 'n' FROM generate_series(1, 95)
         RETURNING id)
       INSERT INTO memberships (workspace_id, principal_id, role) SELECT id, $1, 'owner' FROM made`,
      [eve.user.id],
    );
    const answers = await Promise.all(
      Array.from({ length: 7 }, (_, n) => eve.http.post('/v1/workspaces', { name: `n${n}` })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(4);
    const refused = answers.filter(({ status }) => status !== 201);
    expect(refused.map(({ body }) => body.code)).toEqual(Array(3).fill('too_many_workspaces'));
  });
});

describe('Renaming a workspace', () => {
  it('moves its version, which is the ETag, and is an event', async () => {
    const workspace = await createWorkspace(ada);
    const renamed = await ada.http.patch<WorkspaceAnswer>(
      path(workspace),
      { name: 'New' },
      { headers: { 'If-Match': '"1"' } },
    );
    expect(renamed.body).toMatchObject({ name: 'New', version: 2, role: 'owner' });
    expect(renamed.headers.get('etag')).toBe('"2"');
    expect(renamed.headers.get('stream-cursor')).toMatch(/-1$/);
    const stale = await ada.http.patch(path(workspace), { name: 'No' }, { headers: { 'If-Match': '"1"' } });
    expect([stale.status, stale.body.code]).toEqual([412, 'version_mismatch']);
    const unchanged = await ada.http.get(path(workspace), { headers: { 'If-None-Match': '"2"' } });
    expect(unchanged.status).toBe(304);
    const events = await app.sql('SELECT type, subject, data FROM events WHERE stream_id = $1', [
      workspace.id,
    ]);
    expect(events).toEqual([
      {
        type: 'workspace.updated',
        subject: `workspaces/${workspace.id}`,
        data: { id: workspace.id, version: 2, name: 'New', requireIfMatch: false, language: 'simple' },
      },
    ]);
  });
});

describe('Deleting a workspace', () => {
  it('takes its name for confirmation, and the current version where one is named', async () => {
    const workspace = await createWorkspace(ada, 'To be, or not? &');
    for (const url of [path(workspace), `${path(workspace)}?confirm=`, `${path(workspace)}?confirm=to+be`])
      expect((await ada.http.delete(url)).status).toBe(400);
    const stale = await ada.http.delete(confirming(workspace), { headers: { 'If-Match': '"2"' } });
    expect(stale.status).toBe(412);
    expect((await ada.http.get(path(workspace))).status).toBe(200);
    expect((await ada.http.delete(confirming(workspace))).status).toBe(204);
    expect((await ada.http.get(path(workspace))).status).toBe(404);
    expect((await ada.http.delete(confirming(workspace))).status).toBe(404);
  });

  it('leaves nothing behind but the counter, which goes on from nowhere, and the audit trail', async () => {
    const workspace = await createWorkspace(ada);
    const bob = await registerUser(app);
    await addMember(app, workspace.id, bob, 'member');
    const item = await createItem(ada, { workspaceId: workspace.id });
    const { id: deleted } = await createItem(ada, { workspaceId: workspace.id });
    await ada.http.delete(`/v1/items/${deleted}`);
    await app.sql(
      `INSERT INTO item_versions (workspace_id, item_id, version, seq, type, principal_id, "time", data)
       VALUES ($1, $2, 1, 1, 'item.created', $2, now(), '{}')`,
      [workspace.id, item.id],
    );
    await app.sql('INSERT INTO purged_items (workspace_id, id) VALUES ($1, $1)', [workspace.id]);
    await ada.http.post('/v1/rooms', { name: 'Talk', visibility: 'private', workspaceId: workspace.id });
    await ada.http.post(`${path(workspace)}/invitations`, { email: 'x@example.com', role: 'viewer' });
    await app.sql(`INSERT INTO lease_types (workspace_id, type) VALUES ($1, 'task')`, [workspace.id]);
    await app.sql(`INSERT INTO lease_states (item_id, workspace_id, type) VALUES ($2, $1, 'task')`, [
      workspace.id,
      item.id,
    ]);
    await app.sql(
      `INSERT INTO item_imports (id, workspace_id, format, dry_run, created_by)
       VALUES (gen_random_uuid(), $1, 'csv', true, $2)`,
      [workspace.id, ada.user.id],
    );
    const enrolment = { kind: 'robot', workspaceId: workspace.id };
    expect((await ada.http.post('/v1/agents/enrolment-tokens', enrolment)).status).toBe(201);
    expect((await ada.http.delete(confirming(workspace))).status).toBe(204);
    const left = await Promise.all([
      rows('workspaces', 'id', workspace.id),
      rows('memberships', 'workspace_id', workspace.id),
      rows('invitations', 'workspace_id', workspace.id),
      rows('items', 'workspace_id', workspace.id),
      rows('trashed_items', 'workspace_id', workspace.id),
      rows('item_versions', 'workspace_id', workspace.id),
      rows('purged_items', 'workspace_id', workspace.id),
      rows('agents', 'workspace_id', workspace.id),
      rows('agent_enrolment_tokens', 'workspace_id', workspace.id),
      rows('agent_presences', 'workspace_id', workspace.id),
      rows('item_imports', 'workspace_id', workspace.id),
      rows('lease_states', 'workspace_id', workspace.id),
      rows('lease_types', 'workspace_id', workspace.id),
      rows('events', 'stream_id', workspace.id),
      rows('rooms', 'workspace_id', workspace.id),
      rows('room_members', 'workspace_id', workspace.id),
    ]);
    expect(left).toEqual(left.map(() => 0));
    const columns = await app.sql<{ name: string }>(
      `SELECT table_name || '.' || column_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND column_name IN ('workspace_id', 'stream_id')
         AND table_name NOT LIKE 'events\\_%' -- its partitions
       ORDER BY 1`,
    );
    // A new table with things of workspaces must be looked at above.
    expect(columns.map(({ name }) => name)).toEqual([
      'agent_enrolment_tokens.workspace_id',
      'agent_presences.workspace_id',
      'agents.workspace_id',
      'audit_entries.workspace_id',
      'events.stream_id',
      'invitations.workspace_id',
      'item_imports.workspace_id',
      'item_versions.workspace_id',
      'items.workspace_id',
      'lease_states.workspace_id',
      'lease_types.workspace_id',
      'memberships.workspace_id',
      'purged_items.workspace_id',
      'room_members.workspace_id',
      'rooms.workspace_id',
      'trashed_items.workspace_id',
    ]);
    const [counter] = await app.sql('SELECT head, access_seq FROM streams WHERE id = $1', [workspace.id]);
    expect(counter).toEqual({ head: '5', access_seq: '5' });
    expect((await bob.http.get(`/v1/items/${item.id}`)).status).toBe(404);
    expect((await bob.http.patch(`/v1/items/${item.id}`, { title: 'x' })).status).toBe(404);
  });

  it('and writing to it at the same time: each write is in before the end, or refused', async () => {
    for (let round = 0; round < 5; round++) {
      const workspace = await createWorkspace(ada);
      const item = await createItem(ada, { workspaceId: workspace.id });
      const request = { title: 't', type: 't', data: {}, workspaceId: workspace.id };
      const [deleted, ...writes] = await Promise.all([
        ada.http.delete(confirming(workspace)),
        ...Array.from({ length: 20 }, (_, n) =>
          n % 2
            ? ada.http.post('/v1/items', request)
            : ada.http.patch(`/v1/items/${item.id}`, { data: { n } }),
        ),
      ]);
      expect(deleted.status).toBe(204);
      for (const { status } of writes) expect([200, 201, 404]).toContain(status);
      const counts = await Promise.all([
        rows('items', 'workspace_id', workspace.id),
        rows('events', 'stream_id', workspace.id),
      ]);
      expect(counts).toEqual([0, 0]);
      const done = writes.filter(({ status }) => status < 300).length;
      const [counter] = await app.sql('SELECT head FROM streams WHERE id = $1', [workspace.id]);
      expect(counter).toEqual({ head: String(1 + done + 1) });
    }
  });

  it('that is personal is refused', async () => {
    const personal = { id: ada.workspaceId, name: 'Personal' };
    expect((await ada.http.delete(confirming(personal))).body).toMatchObject({
      status: 409,
      code: 'personal_workspace',
    });
  });
});
