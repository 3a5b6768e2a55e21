import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Streams } from '../../src/events/streams.js';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const INSTANT = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

interface CloudEvent {
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly principal: string;
  readonly data: ItemAnswer;
}

let app: TestApp;
beforeAll(async () => void (app = await sharedAtrium()));
afterAll(() => app.stop());

/** A workspace's events from the first on, with their numbers, as they are delivered. */
async function streamOf(workspaceId: string): Promise<{ seq: number; event: CloudEvent }[]> {
  const streams = app.nest.get(Streams);
  const found: { seq: number; event: CloudEvent }[] = [];
  for (;;) {
    const page = await streams.read(workspaceId, found.at(-1)?.seq ?? 0);
    if (page.length === 0) return found;
    for (const { seq, json } of page) found.push({ seq, event: JSON.parse(json) as CloudEvent });
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
/** The number in a `Stream-Cursor`. */
const seqOf = ({ headers }: { headers: Headers }) => Number(headers.get('stream-cursor')?.split('-')[1]);

describe('Every write of an item', () => {
  it('appends one event that carries the record as the writer was answered it', async () => {
    const ada = await registerUser(app);
    const created = await ada.http.post<ItemAnswer>('/v1/items', {
      title: 'ä"\\',
      type: 't',
      data: { n: [1, { x: null }] },
    });
    const path = `/v1/items/${created.body.id}`;
    const updated = await ada.http.patch<ItemAnswer>(path, { title: 'new', data: { m: 1e21 } });
    const deleted = await ada.http.delete(path);

    const common = {
      specversion: '1.0',
      source: `/v1/workspaces/${ada.workspaceId}`,
      datacontenttype: 'application/json',
    };
    const expected = (type: string, data: unknown) => ({
      ...common,
      id: expect.stringMatching(UUID),
      type,
      subject: `items/${created.body.id}`,
      time: expect.stringMatching(INSTANT),
      principal: ada.user.id,
      data,
    });
    const events = await streamOf(ada.workspaceId);
    expect(events).toEqual([
      { seq: 1, event: expected('item.created', created.body) },
      { seq: 2, event: expected('item.updated', updated.body) },
      {
        seq: 3,
        event: expected('item.deleted', {
          ...updated.body,
          version: 3,
          updatedAt: expect.stringMatching(INSTANT),
        }),
      },
    ]);
    expect(new Set(events.map(({ event }) => event.id)).size).toBe(3);
    expect([created, updated, deleted].map(seqOf)).toEqual([1, 2, 3]);
  });

  it('and every read answers how far the stream is', async () => {
    const ada = await registerUser(app);
    const item = await createItem(ada);
    await createItem(ada);
    const read = await ada.http.get(`/v1/items/${item.id}`);
    const list = await ada.http.get('/v1/items');
    expect([read, list].map(seqOf)).toEqual([2, 2]);
    const notModified = await ada.http.get(`/v1/items/${item.id}`, { headers: { 'If-None-Match': '"1"' } });
    expect(notModified.status).toBe(304);
    expect(seqOf(notModified)).toBe(2);
    const epochs = [read, list, notModified].map(
      ({ headers }) => headers.get('stream-cursor')?.split('-')[0],
    );
    expect(new Set(epochs).size).toBe(1);
  });

  it('that is refused leaves no trace', async () => {
    const [ada, viewer, eve] = [await registerUser(app), await registerUser(app), await registerUser(app)];
    await addMember(app, ada.workspaceId, viewer, 'viewer');
    const { id } = await createItem(ada);
    const path = `/v1/items/${id}`;
    const stale = { headers: { 'If-Match': '"2"' } };
    const refused = [
      await ada.http.patch(path, { title: 'x' }, stale),
      await ada.http.delete(path, stale),
      await ada.http.patch(path, { title: null }),
      await ada.http.post('/v1/items', { title: 'x' }),
      await viewer.http.patch(path, { title: 'x' }),
      await viewer.http.delete(path),
      await eve.http.patch(path, { title: 'x' }),
      await eve.http.delete(path),
      await eve.http.post('/v1/items', { title: 'x', type: 'x', data: {}, workspaceId: ada.workspaceId }),
    ];
    expect(refused.every(({ status }) => status >= 400)).toBe(true);
    expect(refused.every(({ headers }) => !headers.has('stream-cursor'))).toBe(true);
    expect((await streamOf(ada.workspaceId)).map(({ seq }) => seq)).toEqual([1]);
    expect(await streamOf(eve.workspaceId)).toEqual([]);
  });
});

describe('A stream', () => {
  it('counts 1, 2, 3 … without gaps under 64 writers of all kinds, in two workspaces, at two instances', async () => {
    const second = await sharedSecondInstance();
    const [one, other] = [await registerUser(app), await registerUser(app)];
    await addMember(app, other.workspaceId, one, 'member');
    const cursors = new Map([one, other].map(({ workspaceId }) => [workspaceId, [] as number[]]));
    /** Creates, patches, is refused, and deletes, each as soon as the step before is answered. */
    const write = async (n: number): Promise<void> => {
      const client = http(n % 2 ? app : second, one.token);
      const { workspaceId } = n % 4 < 2 ? one : other;
      const note = (answer: { headers: Headers }) => cursors.get(workspaceId)?.push(seqOf(answer));
      for (let round = 0; round < 3; round++) {
        const request = { title: `by ${n}`, type: 'x', data: { round }, workspaceId };
        const created = await client.post<ItemAnswer>('/v1/items', request);
        note(created);
        const path = `/v1/items/${created.body.id}`;
        note(await client.patch(path, { data: { patched: true } }));
        expect((await client.patch(path, { title: 'no' }, { headers: { 'If-Match': '"1"' } })).status).toBe(
          412,
        );
        if (n % 3 === 0) note(await client.delete(path));
      }
    };
    await Promise.all(upTo(64).map(write));
    for (const [workspaceId, told] of cursors) {
      const events = await streamOf(workspaceId);
      expect(events.map(({ seq }) => seq)).toEqual(upTo(told.length));
      // Every writer was told the number of its own event, so no two the same.
      expect(told.sort((a, b) => a - b)).toEqual(upTo(told.length));
      const bySubject = Map.groupBy(events, ({ event }) => event.subject);
      for (const of of bySubject.values())
        expect(of.map(({ event }) => event.data.version)).toEqual(upTo(of.length));
    }
    expect([...cursors.values()].flat()).toHaveLength(64 * 3 * 2 + 21 * 3);
  });
});

describe('A write that the database refuses', () => {
  let ada: Person;
  beforeAll(async () => {
    ada = await registerUser(app);
    await app.sql(`ALTER TABLE items ADD CONSTRAINT no_poison CHECK (title <> 'poison')`);
  });
  afterAll(() => app.sql('ALTER TABLE items DROP CONSTRAINT no_poison'));

  it('does not fail its neighbours in the same batch, and takes no number', async () => {
    const titles = upTo(40).map((n) => (n % 10 === 0 ? 'poison' : `good ${n}`));
    const answers = await Promise.all(
      titles.map((title) => ada.http.post<ItemAnswer>('/v1/items', { title, type: 'x', data: {} })),
    );
    expect(answers.map(({ status }) => status)).toEqual(
      titles.map((title) => (title === 'poison' ? 500 : 201)),
    );
    const stored = await streamOf(ada.workspaceId);
    expect(stored.map(({ seq }) => seq)).toEqual(upTo(36));
    expect(stored.map(({ event }) => event.data.title).sort()).toEqual(
      titles.filter((title) => title !== 'poison').sort(),
    );
  });

  it('does the same among patches: those of others are in, its own left the item as it was', async () => {
    const items = await Promise.all(upTo(12).map((n) => createItem(ada, { title: `item ${n}` })));
    const before = (await streamOf(ada.workspaceId)).length;
    const answers = await Promise.all(
      items.map(({ id }, n) => ada.http.patch(`/v1/items/${id}`, { title: n === 5 ? 'poison' : 'patched' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(items.map((_, n) => (n === 5 ? 500 : 200)));
    expect((await ada.http.get(`/v1/items/${items[5].id}`)).body).toEqual(items[5]);
    expect((await streamOf(ada.workspaceId)).slice(before).map(({ seq }) => seq)).toEqual(
      upTo(11).map((n) => n + before),
    );
  });
});
