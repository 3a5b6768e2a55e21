import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Jobs } from '../../src/jobs/jobs.js';
import { SessionRetention } from '../../src/sessions/session-retention.js';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  elsewhere = await sharedSecondInstance();
  ada = await registerUser(app);
});
afterAll(() => app.stop());

const run = ({ nest }: Instance = app) => nest.get(SessionRetention).run();
const login = async () => {
  const { email } = ada.user;
  return (await http(app).post<LoginAnswer>('/v1/auth/login', { email, password: ada.password })).body;
};
const refresh = (refreshToken: string | undefined) =>
  http(app).post<{ code: string }>('/v1/auth/refresh', { refreshToken });
/** The newest one, but for which `change` is a fact. */
async function aged(change: string): Promise<{ id: string; refreshToken: string | undefined }> {
  const { refreshToken } = await login();
  const [{ id }] = await app.sql<{ id: string }>(
    `UPDATE sessions SET ${change} WHERE id = (SELECT id FROM sessions WHERE user_id = $1 ORDER BY id DESC LIMIT 1)
     RETURNING id`,
    [ada.user.id],
  );
  return { id, refreshToken };
}
const left = async (...sessions: readonly { id: string }[]) => {
  const ids = sessions.map(({ id }) => id);
  const rows = await app.sql<{ id: string }>('SELECT id FROM sessions WHERE id = ANY ($1)', [ids]);
  return ids.filter((id) => rows.some((row) => row.id === id));
};

describe('A session', () => {
  it('is forgotten 30 days after its end, and its refresh token is refused as before', async () => {
    const ended = await aged(`revoked_at = now() - interval '31 days', revoked_reason = 'logout'`);
    const expired = await aged(`expires_at = now() - interval '31 days'`);
    const refused = await Promise.all([refresh(ended.refreshToken), refresh(expired.refreshToken)]);
    await run();
    expect(await left(ended, expired)).toEqual([]);
    const after = await Promise.all([refresh(ended.refreshToken), refresh(expired.refreshToken)]);
    const told = (answers: typeof after) => answers.map(({ status, body }) => [status, body.code]);
    expect(told(after)).toEqual(told(refused));
    expect(after[0].status).toBe(401);
  });

  it('is not before, nor while it can be refreshed', async () => {
    const ended = await aged(`revoked_at = now() - interval '29 days', revoked_reason = 'logout'`);
    const expired = await aged(`expires_at = now() - interval '29 days'`);
    const old = await aged(`created_at = now() - interval '80 days'`);
    await run();
    expect(await left(ended, expired, old)).toEqual([ended.id, expired.id, old.id]);
    expect((await refresh(old.refreshToken)).status).toBe(200);
  });

  it('is forgotten by a job, however many there are and whoever is at it', async () => {
    const copies = `INSERT INTO sessions (id, user_id, seed, rotations, expires_at, address, amr)
      SELECT gen_random_uuid(), NULL, '\\x00', ARRAY[now()], now() - interval '40 days', 'retention-test', '{}'
      FROM generate_series(1, $1::int)`;
    const count = () => app.sql(`SELECT FROM sessions WHERE address = 'retention-test'`);
    await app.sql(copies, [2_500]);
    await Promise.all([run(), run(elsewhere), run()]);
    expect(await count()).toEqual([]);
    await app.sql(copies, [1]);
    await app.nest.get(Jobs).enqueue('sessions.retention', {});
    await until('it is gone', async () => (await count()).length === 0);
    expect(await app.sql(`SELECT FROM jobs.schedule WHERE name = 'sessions.retention'`)).toHaveLength(1);
  });
});
