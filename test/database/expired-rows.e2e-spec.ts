import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { Devices } from '../support/devices.js';
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

/** How many rows are planted: more than one new row takes along. */
const PLANTED = 25;

interface Table {
  readonly name: string;
  /** Plants rows that were good `$1` seconds ago at last. */
  readonly plant: string;
  /** So long must a row be kept after that. */
  readonly keptSeconds: number;
  /** What makes a new row, seen from outside. */
  readonly use: () => Promise<unknown>;
}

const tables: Table[] = [
  {
    name: 'one_time_tokens',
    plant: `INSERT INTO one_time_tokens (hash, purpose, subject, data, expires_at)
      SELECT sha256(gen_random_uuid()::text::bytea), 'planted', gen_random_uuid(), '{}', now() - make_interval(secs => $1)
      FROM generate_series(1, $2::int) RETURNING hash AS id`,
    keptSeconds: 0,
    use: () => registerUser(app),
  },
  {
    name: 'device_authorizations',
    plant: `INSERT INTO device_authorizations
        (id, device_code_hash, user_code, name, kind, scopes, address, interval_seconds, expires_at)
      SELECT gen_random_uuid(), sha256(gen_random_uuid()::text::bytea), gen_random_uuid()::text, 'n', 'k', '{}', 'a', 5,
        now() - make_interval(secs => $1)
      FROM generate_series(1, $2::int) RETURNING id`,
    keptSeconds: 3_600,
    use: () => new Devices(app, ada).begin(),
  },
  {
    name: 'revoked_grants',
    plant: `INSERT INTO revoked_grants (id, revoked_at)
      SELECT gen_random_uuid(), now() - make_interval(secs => $1) FROM generate_series(1, $2::int) RETURNING id`,
    keptSeconds: 2 * 86_400,
    use: async () => {
      const { agent } = await startAgent(app, ada, ['items:read']);
      expect((await ada.http.delete(`/v1/agents/${agent.id}`)).status).toBe(204);
    },
  },
];

describe('What is of no more use goes with what is new, and what still is stays', () => {
  it.each(tables)('in $name', async ({ name, plant, keptSeconds, use }) => {
    const key = name === 'one_time_tokens' ? 'hash' : 'id';
    const left = async (rows: readonly { id: unknown }[]) =>
      (await app.sql(`SELECT FROM ${name} WHERE ${key} = ANY ($1)`, [rows.map(({ id }) => id)])).length;
    const old = await app.sql<{ id: unknown }>(plant, [keptSeconds + 60, PLANTED]);
    const young = await app.sql<{ id: unknown }>(plant, [keptSeconds - 60, 1]);
    await until('they are gone', async () => {
      await use();
      return (await left(old)) === 0;
    });
    expect(await left(young)).toBe(1);
    await app.sql(`DELETE FROM ${name} WHERE ${key} = $1`, [young[0].id]);
  });
});
