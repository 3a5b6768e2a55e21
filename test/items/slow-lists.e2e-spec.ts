import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { createItem, registerUser } from '../support/people.js';
import { until } from '../support/until.js';

let app: TestApp;
beforeAll(async () => void (app = await startAtrium({ LIST_TIMEOUT_MS: '200' })));
afterAll(() => app.stop());

describe('A list that takes too long', () => {
  it('is stopped and answered 422 with advice, and holds up neither reads nor writes of others', async () => {
    const ada = await registerUser(app);
    await createItem(ada);
    // Whatever reads an item takes long.
    await app.sql('ALTER TABLE items RENAME TO all_items');
    await app.sql('CREATE VIEW items AS SELECT * FROM all_items WHERE pg_sleep(60) IS NOT NULL');
    try {
      const slow = Array.from({ length: 8 }, () => ada.http.get('/v1/items?filter[data.x][gte]=1'));
      await until('the lists take long', async () => {
        const [row] = await app.sql<{ waiting: string }>(
          `SELECT count(*) AS waiting FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'atrium reads' AND wait_event = 'PgSleep'`,
        );
        return Number(row.waiting) > 0;
      });
      // Meanwhile, on the pipelined connections and in transactions:
      expect((await ada.http.get('/v1/workspaces')).status).toBe(200);
      expect((await ada.http.patch(`/v1/workspaces/${ada.workspaceId}`, { name: 'Mine' })).status).toBe(200);
      for (const answer of await Promise.all(slow)) {
        expect([answer.status, answer.body.code]).toEqual([422, 'list_too_slow']);
        expect(answer.body.detail).toMatch(/200 ms.*Narrow it/);
      }
    } finally {
      await app.sql('DROP VIEW items');
      await app.sql('ALTER TABLE all_items RENAME TO items');
    }
    expect((await ada.http.get('/v1/items?filter[data.x][gte]=1')).status).toBe(200);
  });
});
