import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { http, type Answer, type ProblemAnswer } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';

let app: TestApp;
let other: Instance;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  other = await sharedSecondInstance();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const read = async (id: string) => (await ada.http.get<ItemAnswer>(`/v1/items/${id}`)).body;
const patch = (id: string, body: unknown, ifMatch?: string) =>
  ada.http.patch<ItemAnswer & ProblemAnswer>(`/v1/items/${id}`, body, {
    headers: ifMatch === undefined ? {} : { 'If-Match': ifMatch },
  });

describe('Patches without If-Match', () => {
  it('of a hundred different keys at once, at two instances, all survive', async () => {
    const { id } = await createItem(ada);
    const clients = [ada.http, http(other, ada.token)];
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        clients[n % 2].patch<ItemAnswer>(`/v1/items/${id}`, { data: { [`key${n}`]: n } }),
      ),
    );
    expect(answers.every(({ status }) => status === 200)).toBe(true);
    const versions = answers.map(({ body }) => body.version).sort((a, b) => a - b);
    expect(versions).toEqual(Array.from({ length: 100 }, (_, n) => n + 2));
    const item = await read(id);
    expect(item.version).toBe(101);
    expect(item.data).toEqual(Object.fromEntries(Array.from({ length: 100 }, (_, n) => [`key${n}`, n])));
    const events = await app.sql<{ version: number }>(
      `SELECT (data ->> 'version')::int AS version FROM events WHERE subject = $1 ORDER BY seq`,
      [`items/${id}`],
    );
    expect(events.map(({ version }) => version)).toEqual(Array.from({ length: 101 }, (_, n) => n + 1));
  });
});

describe('If-Match', () => {
  it('that names the current version lets the write through', async () => {
    const { id } = await createItem(ada);
    expect((await patch(id, { title: 'two' }, '"1"')).body).toMatchObject({ title: 'two', version: 2 });
    expect((await patch(id, { title: 'three' }, '"7", "2"')).body.version).toBe(3);
    expect((await patch(id, { title: 'four' }, '*')).body.version).toBe(4);
    expect((await patch(id, { title: 'five' }, ' "4" ')).body.version).toBe(5);
    // Commas within a tag, empty elements and weak tags beside it (RFC 9110, sections 5.6.1.2 and 8.8.3).
    expect((await patch(id, { title: 'six' }, 'W/"5",, "a,b" ,"5",')).body.version).toBe(6);
    const deleted = await ada.http.delete(`/v1/items/${id}`, { headers: { 'If-Match': '"6"' } });
    expect(deleted.status).toBe(204);
  });

  it.each([
    '"2"',
    '"0"',
    '"01"',
    '"1.0"',
    '"-1"',
    '"abc"',
    '""',
    '"99999999999999999999"',
    'W/"1"',
    '"2", "3"',
    '"2,", "1,1"',
  ])(
    '%s, which does not name version 1, is answered 412: nothing is written, the current version told',
    async (ifMatch) => {
      const item = await createItem(ada);
      for (const answer of [
        await patch(item.id, { title: 'lost' }, ifMatch),
        await ada.http.delete(`/v1/items/${item.id}`, { headers: { 'If-Match': ifMatch } }),
      ]) {
        expect(answer.status).toBe(412);
        expect(answer.body.code).toBe('version_mismatch');
        expect(answer.headers.get('etag')).toBe('"1"');
      }
      expect(await read(item.id)).toEqual(item);
      const events = await app.sql('SELECT 1 FROM events WHERE subject = $1', [`items/${item.id}`]);
      expect(events).toHaveLength(1);
    },
  );

  it.each(['1', '"1', '"1" "2"', 'W/1', 'w/"1"', ',', '*, "1"', '"a"b"', '"1",'.repeat(60) + '"1"'])(
    '%p is malformed: 400, nothing is written',
    async (ifMatch) => {
      const item = await createItem(ada);
      const answer = await patch(item.id, { title: 'lost' }, ifMatch);
      expect(answer.status).toBe(400);
      expect(answer.body.code).toBe('invalid_condition');
      expect(await read(item.id)).toEqual(item);
    },
  );

  it('lets exactly one of many win who start from the same version', async () => {
    const { id } = await createItem(ada);
    const clients = [ada.http, http(other, ada.token)];
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        clients[n % 2].patch(`/v1/items/${id}`, { title: `by ${n}` }, { headers: { 'If-Match': '"1"' } }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(19).fill(412)]);
    expect((await read(id)).version).toBe(2);
  });

  it('makes fifty concurrent increments, each tried until it is in, end at exactly fifty', async () => {
    const { id } = await createItem(ada, { data: { count: 0 } });
    const increment = async (client = ada.http): Promise<void> => {
      for (;;) {
        const before = await client.get<ItemAnswer>(`/v1/items/${id}`);
        const count = Number(before.body.data['count']) + 1;
        const answer: Answer = await client.patch(
          `/v1/items/${id}`,
          { data: { count } },
          { headers: { 'If-Match': before.headers.get('etag')! } },
        );
        if (answer.status === 200) return;
        expect(answer.status).toBe(412);
      }
    };
    const elsewhere = http(other, ada.token);
    await Promise.all(Array.from({ length: 50 }, (_, n) => increment(n % 2 ? ada.http : elsewhere)));
    expect(await read(id)).toMatchObject({ data: { count: 50 }, version: 51 });
  });

  it('lets a delete and a patch that race end in one of the two orders, never in between', async () => {
    for (let round = 0; round < 10; round++) {
      const { id } = await createItem(ada);
      const [patching, deleting] = await Promise.all([
        http(other, ada.token).patch(
          `/v1/items/${id}`,
          { title: 'patched' },
          { headers: { 'If-Match': '"1"' } },
        ),
        ada.http.delete(`/v1/items/${id}`, { headers: { 'If-Match': '"1"' } }),
      ]);
      expect(['200 412', '404 204']).toContain(`${patching.status} ${deleting.status}`);
    }
  });
});
