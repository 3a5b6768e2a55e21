import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { EventRetention } from '../../src/events/event-retention.js';
import { ItemPurge } from '../../src/items/item-purge.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  addMember,
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let other: Instance;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ TRASH_DAYS: '7', EVENT_RETENTION_DAYS: '2' });
  other = await app.startSecondInstance();
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const pathOf = ({ id }: { id: string }) => `/v1/items/${id}`;
const idsOf = (items: readonly { id: string }[]) => items.map(({ id }) => id);
const run = ({ nest }: Instance = app) => nest.get(ItemPurge).run();
const restore = (item: { id: string }, client = ada.http) => client.post(`${pathOf(item)}/restore`);
const purge = <Body = unknown>(item: { id: string }, person = ada, headers = {}) =>
  person.http.delete<Body>(`/v1/items/trash/${item.id}`, { headers });

/** So many items, deleted so many days ago. */
async function deleted(count: number, days: number, workspaceId = ada.workspaceId): Promise<ItemAnswer[]> {
  const item = { title: 't', type: 't', data: { n: 1 }, workspaceId };
  const made = await ada.http.post<{ results: { item: ItemAnswer }[] }>('/v1/items/batch', {
    operations: Array.from({ length: count }, () => ({ op: 'create', item })),
  });
  const items = made.body.results.map((result) => result.item);
  await ada.http.post('/v1/items/batch', { operations: items.map(({ id }) => ({ op: 'delete', id })) });
  await app.sql(
    `UPDATE trashed_items SET deleted_at = now() - $2::int * interval '1 day' WHERE id = ANY ($1)`,
    [idsOf(items), days],
  );
  return items;
}
const left = async (table: 'items' | 'trashed_items' | 'purged_items', items: readonly { id: string }[]) =>
  idsOf(await app.sql<{ id: string }>(`SELECT id FROM ${table} WHERE id = ANY ($1)`, [idsOf(items)]));
const archived = async (item: { id: string }) =>
  (await app.sql('SELECT FROM item_versions WHERE item_id = $1', [item.id])).length;

/** Archives the versions of all items, as when their events are dropped. */
async function archive(): Promise<void> {
  const retention = app.nest.get<EventRetention, { clock: unknown; run(): Promise<void> }>(EventRetention);
  const { clock } = retention;
  retention.clock = { now: () => Date.now() + 4 * 86_400_000 };
  await retention.run();
  retention.clock = clock;
}

describe('What was in the trash long enough', () => {
  it('is gone for good, with its history; what was not is still there', async () => {
    const [old] = await deleted(1, 8);
    const [young] = await deleted(1, 6);
    await archive();
    expect([await archived(old), await archived(young)]).toEqual([2, 2]);
    await run();
    expect([await archived(old), await archived(young)]).toEqual([0, 2]);
    const { body } = await ada.http.get<PageAnswer<ItemAnswer>>('/v1/items/trash');
    expect(idsOf(body.data)).toEqual([young.id]);
    expect((await restore(old)).status).toBe(404);
    for (const path of ['', '/history', '/history/1'])
      expect((await ada.http.get(`${pathOf(old)}${path}`)).status).toBe(404);
    expect((await restore(young)).status).toBe(200);
    expect(await left('purged_items', [old])).toEqual([]);
  });

  it('goes in batches, at two instances at once, however many there are and however long their history', async () => {
    const items = [...(await deleted(1_000, 8)), ...(await deleted(100, 8))];
    await app.sql(
      `INSERT INTO item_versions (workspace_id, item_id, version, seq, type, principal_id, "time", data)
      SELECT $1, $2, n, n, 'item.updated', $3, now(), '{}' FROM generate_series(1, 5000) n`,
      [ada.workspaceId, items[0].id, ada.user.id],
    );
    await Promise.all([run(), run(other)]);
    await run();
    expect([await left('trashed_items', items), await left('purged_items', items)]).toEqual([[], []]);
    expect(await archived(items[0])).toBe(0);
  });

  it('is either brought back or gone, when both are done at once', async () => {
    const items = await deleted(60, 8);
    const clients = [ada.http, http(other, ada.token)];
    const [answers] = await Promise.all([
      Promise.all(items.map((item, n) => restore(item, clients[n % 2]))),
      run(),
      run(other),
    ]);
    await run();
    const back = items.filter((_, n) => answers[n].status === 200);
    expect(answers.map(({ status }) => status).filter((status) => ![200, 404].includes(status))).toEqual([]);
    expect((await left('items', items)).sort()).toEqual(idsOf(back).sort());
    expect(await left('trashed_items', items)).toEqual([]);
    for (const item of back.slice(0, 5)) {
      const { body } = await ada.http.get<PageAnswer<{ version: number }>>(`${pathOf(item)}/history`);
      expect(body.data.map(({ version }) => version)).toEqual([3, 2, 1]);
    }
  });

  it('is purged by a job that is due every hour', async () => {
    const [schedule] = await app.sql("SELECT cron FROM jobs.schedule WHERE name = 'items.purge'");
    expect(schedule).toEqual({ cron: '27 * * * *' });
    const items = await deleted(1, 8);
    await app.nest.get(Jobs).enqueue('items.purge', {});
    await until('it is gone', async () => (await left('trashed_items', items)).length === 0);
  });

  it('is not archived any more once it is gone', async () => {
    const [item] = await deleted(1, 8);
    await run();
    await archive();
    expect(await archived(item)).toBe(0);
  });

  it('stays for ever with TRASH_DAYS=0', async () => {
    const keeping = await app.startSecondInstance({ TRASH_DAYS: '0' });
    const items = await deleted(1, 10_000);
    await run(keeping);
    expect(await left('trashed_items', items)).toEqual(idsOf(items));
    const { body } = await http(keeping, ada.token).get<PageAnswer<{ keptUntil: null }>>('/v1/items/trash');
    expect(body.data.at(-1)).toMatchObject({ id: items[0].id, keptUntil: null });
    await keeping.stop();
  });
});

describe('An admin', () => {
  it('ends a deleted item before its time, and the workspace is told', async () => {
    const [item] = await deleted(1, 0);
    await archive();
    const room = `workspaces/${ada.workspaceId}`;
    const socket = await connectAndJoin(other, ada.token, room);
    const answer = await purge(item);
    expect([answer.status, answer.text]).toEqual([204, '']);
    const [{ event, cursor }] = await socket.received(room, 1);
    expect(event).toMatchObject({ type: 'item.purged', subject: `items/${item.id}`, principal: ada.user.id });
    expect(event.data).toEqual({ id: item.id, workspaceId: ada.workspaceId, version: 3 });
    expect(answer.headers.get('stream-cursor')).toBe(cursor);
    expect((await restore(item)).status).toBe(404);
    expect((await ada.http.get(`${pathOf(item)}/history`)).status).toBe(404);
    expect((await purge(item)).status).toBe(404);
    await until('its history is gone', async () => (await archived(item)) === 0);
    const audit = await ada.http.get<PageAnswer<object>>(`/v1/workspaces/${ada.workspaceId}/audit`);
    expect(audit.body.data.slice(0, 1)).toMatchObject([
      { action: 'item.purged', principalId: ada.user.id, detail: { itemId: item.id, version: 3 } },
    ]);
  });

  it('alone may, of what is in the trash, under If-Match where the workspace wants it', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const [member, eve] = [await registerUser(app), await registerUser(app)];
    await addMember(app, workspaceId, member, 'member');
    const [item] = await deleted(1, 0, workspaceId);
    expect([(await purge(item, member)).status, (await purge(item, eve)).status]).toEqual([403, 404]);
    expect(await purge(item, ada, { 'If-Match': '"1"' })).toMatchObject({ status: 412 });
    await ada.http.patch(`/v1/workspaces/${workspaceId}`, { requireIfMatch: true });
    expect((await purge(item)).status).toBe(428);
    const living = await createItem(ada, { workspaceId });
    expect((await purge(living, ada, { 'If-Match': '*' })).status).toBe(404);
    expect((await purge(item, ada, { 'If-Match': '"2"' })).status).toBe(204);
  });
});
