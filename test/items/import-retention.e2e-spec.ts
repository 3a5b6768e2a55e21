import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Jobs } from '../../src/jobs/jobs.js';
import type { TestApp } from '../support/app.js';
import { type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

/** So many imports that nothing has happened to for so many days. */
async function imports(count: number, state: string, days: number): Promise<string[]> {
  const rows = await app.sql<{ id: string }>(
    `INSERT INTO item_imports (id, workspace_id, format, dry_run, state, created_by, updated_at, finished_at)
     SELECT gen_random_uuid(), $1, 'ndjson', true, $2, $3, now() - $4 * interval '1 day',
       CASE WHEN $2 IN ('done', 'failed') THEN now() - $4 * interval '1 day' END
     FROM generate_series(1, $5::int) RETURNING id`,
    [ada.workspaceId, state, ada.user.id, days, count],
  );
  return rows.map(({ id }) => id);
}
const states = async (ids: readonly string[]) =>
  (await app.sql<{ state: string }>('SELECT state FROM item_imports WHERE id = ANY ($1)', [ids])).map(
    ({ state }) => state,
  );
const purge = () => app.nest.get(Jobs).enqueue('items.purge-imports', {});

describe('Imports', () => {
  it('are forgotten seven days after their end, with the lines they refused, behind whatever has not ended', async () => {
    // More than are removed at once.
    const waiting = await imports(120, 'queued', 30);
    const [old, young] = [await imports(120, 'done', 8), await imports(2, 'failed', 6)];
    await app.sql(`INSERT INTO item_import_refusals SELECT unnest($1::uuid[]), 1, '[]'`, [old]);
    await purge();
    await until('they are gone', async () => (await states(old)).length === 0);
    expect(await states(young)).toEqual(['failed', 'failed']);
    expect(await states(waiting)).toEqual(Array(120).fill('queued'));
    expect(await app.sql('SELECT FROM item_import_refusals WHERE import_id = ANY ($1)', [old])).toEqual([]);
    await app.sql('DELETE FROM item_imports WHERE id = ANY ($1)', [waiting]);
  });

  it('of which an upload was left alone for a day are cancelled, all of them, and the others go on', async () => {
    const [left, busy] = [await imports(101, 'uploading', 2), await imports(1, 'uploading', 0)];
    await purge();
    await until('they are cancelled', async () =>
      (await states(left)).every((state) => state === 'cancelled'),
    );
    expect(await states(busy)).toEqual(['uploading']);
    const told = await app.sql(
      `SELECT FROM events WHERE stream_id = $1 AND data->>'id' = ANY ($2) AND data->>'state' = 'cancelled'`,
      [ada.workspaceId, left],
    );
    expect(told).toHaveLength(left.length);
  });
});
