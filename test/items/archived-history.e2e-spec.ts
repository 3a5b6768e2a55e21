import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { EventArchives } from '../../src/events/event-archives.js';
import { EventRetention } from '../../src/events/event-retention.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { historian, pathOf, replayed } from '../support/history.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { createWorkspace } from '../support/workspaces.js';

const DAYS = 86_400_000;

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ EVENT_RETENTION_DAYS: '2' });
  ada = await registerUser(app);
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const { patch, versionOf, restore, historyOf } = historian(() => ada);

/** Drops what is older, as if so many days had passed. */
async function pass(days: number): Promise<void> {
  const retention = app.nest.get<EventRetention, { clock: unknown; run(): Promise<void> }>(EventRetention);
  const { clock } = retention;
  retention.clock = { now: () => Date.now() + days * DAYS };
  try {
    await retention.run();
  } finally {
    retention.clock = clock;
  }
}
const eventsOf = async (item: { id: string }) =>
  (await app.sql('SELECT FROM events WHERE subject = $1', [`items/${item.id}`])).length;

describe('What the stream does not keep any more', () => {
  it('is in the history as before, of living and of deleted items, and goes on from there', async () => {
    const [living, deleted] = [await createItem(ada), await createItem(ada)];
    for (const item of [living, deleted]) for (let n = 1; n <= 5; n++) await patch(item, { data: { n } });
    await ada.http.delete(pathOf(deleted));
    const before = [await historyOf(living), await historyOf(deleted)];
    const texts = await Promise.all(
      [1, 4, 6].map(async (version) => (await versionOf(living, version)).text),
    );
    await pass(4);
    expect([await eventsOf(living), await eventsOf(deleted)]).toEqual([0, 0]);
    expect([await historyOf(living, 2), await historyOf(deleted, 3)]).toEqual(before);
    expect(
      await Promise.all([1, 4, 6].map(async (version) => (await versionOf(living, version)).text)),
    ).toEqual(texts);
    // Now some of it is here and some there.
    await patch(living, { data: { n: 6 } });
    const both = await historyOf(living, 3);
    expect(both.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(both.slice(0, 6)).toEqual(before[0]);
    expect(both[6]?.changes).toEqual([{ op: 'replace', path: '/data/n', value: 6 }]);
    expect((await restore(living, { version: 2 })).body).toMatchObject({ data: { n: 1 }, version: 8 });
    expect((await restore(deleted, { version: 3 })).body).toMatchObject({ data: { n: 2 }, version: 8 });
    await pass(4); // from the default partition, since that of today is gone
    expect((await historyOf(living, 3)).slice(0, 7)).toEqual(both);
    expect(await historyOf(deleted)).toHaveLength(8);
    expect([await eventsOf(living), await eventsOf(deleted)]).toEqual([0, 0]);
  });

  it('misses no version when it is dropped while everybody writes', async () => {
    const items = await Promise.all(Array.from({ length: 5 }, () => createItem(ada)));
    await app.nest.get(EventRetention).run();
    const writes = Promise.all(
      items.map(async (item) => {
        for (let n = 1; n <= 20; n++) await patch(item, { data: { n } });
      }),
    );
    await pass(4);
    await writes;
    for (const item of items) {
      const history = await historyOf(item, 7);
      expect(history.map(({ version }) => version)).toEqual(Array.from({ length: 21 }, (_, n) => n + 1));
      expect(replayed(history).at(-1)).toMatchObject({ data: { n: 20 } });
    }
  });

  it('counts once while it is being copied, and what is written until the drop is kept, too', async () => {
    const item = await createItem(ada);
    await patch(item, { data: { n: 1 } });
    const before = await historyOf(item);
    const archives = app.nest.get(EventArchives);
    await archives.copy('events', new Date(Date.now() + DAYS).toISOString());
    expect(await historyOf(item, 1)).toEqual(before);
    expect((await versionOf(item, 2)).body.data).toEqual({ n: 1 });
    const copy = archives.copy.bind(archives);
    jest.spyOn(archives, 'copy').mockImplementation(async (...of) => {
      await copy(...of);
      await patch(item, { data: { n: 2 } });
    });
    await pass(4);
    expect(await eventsOf(item)).toBe(0);
    const history = await historyOf(item);
    expect(history.map(({ version }) => version)).toEqual(
      Array.from({ length: history.length }, (_, n) => n + 1),
    );
    expect(history.length).toBeGreaterThan(2);
  });

  it('is copied out of a partition that nobody writes to any more, before that is dropped', async () => {
    await pass(4); // the first partition, which reaches back to the beginning, is gone by now
    const item = await createItem(ada);
    await patch(item, { data: { n: 1 } });
    const before = await historyOf(item);
    await app.sql(
      `CREATE TABLE events_20200101 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2020-01-02')`,
    );
    const old = `UPDATE events SET "time" = '2020-01-01 12:00+00' WHERE subject = $1`;
    await app.sql(old, [`items/${item.id}`]);
    await app.nest.get(EventRetention).run();
    expect(await app.sql(`SELECT to_regclass('events_20200101') AS partition`)).toEqual([
      { partition: null },
    ]);
    expect(await eventsOf(item)).toBe(0);
    const after = await historyOf(item);
    expect(after.map(({ changes }) => changes)).toEqual(before.map(({ changes }) => changes));
  });

  it('goes with the workspace, also what is archived', async () => {
    const { id: workspaceId } = await createWorkspace(ada);
    const item = await createItem(ada, { workspaceId });
    await pass(4);
    const archived = () => app.sql('SELECT FROM item_versions WHERE item_id = $1', [item.id]);
    expect(await archived()).toHaveLength(1);
    await ada.http.delete(`/v1/workspaces/${workspaceId}?confirm=Team`);
    expect(await archived()).toEqual([]);
  });
});
