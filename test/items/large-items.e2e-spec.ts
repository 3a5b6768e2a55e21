import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import type { TestApp } from '../support/app.js';
import type { HttpClient } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  [ada, bob] = await Promise.all([registerUser(app), registerUser(app)]);
  // While there is one connection, everything takes turns on it.
  await Promise.all(Array.from({ length: 32 }, () => ada.http.get('/v1/items')));
});
afterAll(() => app.stop());

type Write = (http: HttpClient, item: ItemAnswer) => Promise<{ status: number }>;
const JSON_PATCH = { headers: { 'Content-Type': 'application/json-patch+json' } };
const PATCH = [{ op: 'replace', path: '/title', value: 'new' }];

/** Does something while a write of the item has been begun, and cannot end. */
async function during(write: Write, item: ItemAnswer, work: (ended: () => boolean) => Promise<void>) {
  const blocker = new Client({ connectionString: app.databaseUrl });
  await blocker.connect();
  let ended = false;
  try {
    await blocker.query('BEGIN');
    await blocker.query('SELECT 1 FROM items WHERE id = $1 FOR UPDATE', [item.id]);
    const under = write(ada.http, item).finally(() => (ended = true));
    await until('it waits', async () => {
      const waiting = await app.sql(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return waiting.length > 0;
    });
    await work(() => ended);
    await blocker.query('COMMIT');
    expect((await under).status).toBeLessThan(300);
  } finally {
    await blocker.end();
  }
}

describe('A write of a large item, which may take long,', () => {
  it.each<[string, Write]>([
    ['by a merge patch', (http, { id }) => http.patch(`/v1/items/${id}`, { title: 'new' })],
    ['by a JSON Patch', (http, { id }) => http.patch(`/v1/items/${id}`, PATCH, JSON_PATCH)],
    ['by a patch that is large itself', (http, { id, data }) => http.patch(`/v1/items/${id}`, { data })],
    ['that deletes it', (http, { id }) => http.delete(`/v1/items/${id}`)],
  ])('%s holds up no write of others', async (_, write) => {
    const large = await createItem(ada, { data: { text: 'x'.repeat(200_000) } });
    const small = await createItem(bob);
    await during(write, large, async (ended) => {
      expect((await write(bob.http, small)).status).toBeLessThan(300);
      expect(ended()).toBe(false);
    });
  });
});
