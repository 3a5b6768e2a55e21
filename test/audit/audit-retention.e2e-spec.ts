import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { v7 } from 'uuid';
import { AuditRetention } from '../../src/audit/audit-retention.js';
import { Jobs } from '../../src/jobs/jobs.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { type PageAnswer, registerUser } from '../support/people.js';
import { until } from '../support/until.js';

const KEPT_DAYS = 120;
const DAY_MS = 86_400_000;

let app: TestApp;
let other: Instance;
beforeAll(async () => {
  app = await startAtrium({ AUDIT_RETENTION_DAYS: String(KEPT_DAYS) });
  other = await app.startSecondInstance();
});
afterAll(() => app.stop());

/** So many entries that are so many days old. */
async function entries(count: number, days: number, userId: string | null = null): Promise<string[]> {
  const ids = Array.from({ length: count }, (_, n) =>
    v7({ msecs: Date.now() - days * DAY_MS + n, random: randomBytes(16) }),
  );
  await app.sql(
    `INSERT INTO audit_entries (id, action, user_id, address, request_id, detail, created_at)
     SELECT id, 'test.happened', $2, '127.0.0.1', 'test', '{}', now() - $3 * interval '1 day' FROM unnest($1::uuid[]) id`,
    [ids, userId, days],
  );
  return ids;
}

const left = async (ids: readonly string[]): Promise<number> =>
  (await app.sql('SELECT FROM audit_entries WHERE id = ANY ($1)', [ids])).length;
const run = ({ nest }: Instance = app) => nest.get(AuditRetention).run();

/** As whoever has learned how the sweep does it. */
const removeAllKeeping = (days: string, statement: string) =>
  app.sql(
    `DO $$ BEGIN PERFORM set_config('atrium.audit_retention_days', '${days}', true); ${statement}; END $$`,
  );

describe('With AUDIT_RETENTION_DAYS', () => {
  it('older entries go, younger ones stay, and the trail says how many went', async () => {
    const { user, http } = await registerUser(app);
    const [old, young] = [await entries(1, KEPT_DAYS + 1, user.id), await entries(1, KEPT_DAYS - 1, user.id)];
    expect(await run()).toBe(1);
    expect([await left(old), await left(young)]).toEqual([0, 1]);
    const { body } = await http.get<PageAnswer<{ id: string }>>('/v1/me/audit');
    expect(body.data.map(({ id }) => id).slice(-1)).toEqual(young);
    const said = await app.sql(
      `SELECT address, user_id, detail FROM audit_entries WHERE action = 'audit.removed'`,
    );
    expect(said).toEqual([{ address: 'local', user_id: null, detail: { entries: 1, days: KEPT_DAYS } }]);
    expect(await run()).toBe(0);
  });

  it('an entry is as old as its row says, whatever the clock was that its id was made by', async () => {
    const ids = [v7({ msecs: 1_000 })];
    await app.sql(
      `INSERT INTO audit_entries (id, action, address, request_id, detail) SELECT id, 'test.happened', '', '', '{}'
       FROM unnest($1::uuid[]) id`,
      [ids],
    );
    expect(await run()).toBe(0);
    expect(await left(ids)).toBe(1);
  });

  it('however many there are, and by however many instances at once, each goes once', async () => {
    const old = await entries(2_500, KEPT_DAYS + 30);
    const before = await app.sql('SELECT FROM audit_entries');
    const removed = await Promise.all([run(), run(other), run(), run(other)]);
    expect(removed.reduce((sum, count) => sum + count)).toBe(old.length);
    expect(await left(old)).toBe(0);
    const said = await app.sql<{ sum: number; count: number }>(
      `SELECT sum((detail->>'entries')::int)::int AS sum, count(*)::int AS count FROM audit_entries
       WHERE action = 'audit.removed' AND detail->>'entries' <> '1'`,
    );
    expect(said[0].sum).toBe(old.length);
    expect(await app.sql('SELECT FROM audit_entries')).toHaveLength(
      before.length - old.length + said[0].count,
    );
  });

  it('it is done by a job', async () => {
    const old = await entries(1, KEPT_DAYS + 1);
    await app.nest.get(Jobs).enqueue('audit.retention', {});
    await until('it is gone', async () => (await left(old)) === 0);
    expect(await app.sql(`SELECT cron FROM jobs.schedule WHERE name = 'audit.retention'`)).toHaveLength(1);
  });
});

describe('Without it', () => {
  it('every entry is kept for ever', async () => {
    const keeping = await app.startSecondInstance({ AUDIT_RETENTION_DAYS: '0' });
    const old = await entries(1, 20_000);
    expect(await run(keeping)).toBe(0);
    expect(await left(old)).toBe(1);
  });
});

describe('The database lets nobody', () => {
  it.each([
    ['remove what is younger than is said to be kept', '120', 119],
    ['remove what is younger than 90 days, whatever is said', '10', 89],
  ])('%s', async (_, days, age) => {
    const ids = await entries(1, age);
    await expect(
      removeAllKeeping(days, `DELETE FROM audit_entries WHERE id = '${ids[0]}'`),
    ).rejects.toMatchObject({ code: '42501', message: expect.stringMatching(/append-only/) });
    expect(await left(ids)).toBe(1);
  });

  it.each(['', '0', '-1', 'x', '120; 1', '1e9', '99999999999999999999'])(
    'remove anything by saying %j',
    async (days) => {
      const ids = await entries(1, 10_000);
      await expect(
        removeAllKeeping(days, `DELETE FROM audit_entries WHERE id = '${ids[0]}'`),
      ).rejects.toMatchObject({ code: '42501' });
      expect(await left(ids)).toBe(1);
    },
  );

  it.each([`UPDATE audit_entries SET address = ''`, 'TRUNCATE audit_entries'])(
    'do this, whatever is said: %s',
    async (statement) => {
      await expect(removeAllKeeping('120', statement)).rejects.toMatchObject({ code: '42501' });
    },
  );

  it('remove the oldest one without saying how much is kept, also where that was said before', async () => {
    const ids = await entries(1, KEPT_DAYS + 1);
    await removeAllKeeping('120', `DELETE FROM audit_entries WHERE id = '${ids[0]}'`);
    expect(await left(ids)).toBe(0);
    await entries(1, KEPT_DAYS + 1);
    await run();
    await entries(1, KEPT_DAYS + 1);
    // The pools hand out the same sessions again.
    const remove = 'DELETE FROM audit_entries';
    const own = app.nest.get(DataSource);
    for (const attempt of [() => app.sql(remove), () => own.query(remove)])
      for (let n = 0; n < 12; n++)
        await expect(attempt()).rejects.toMatchObject({
          code: '42501',
          message: expect.stringMatching(/DELETE is refused/),
        });
  });
});
