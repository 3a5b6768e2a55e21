import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { loadConfig } from '../../src/config/config.js';
import { FactorSecrets } from '../../src/mfa/factor-secrets.js';
import { runAtrium } from '../support/cli.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { TEST_SECRET, testVariables } from '../support/variables.js';

const NEW = 'n'.repeat(32);
/** More than one batch. */
const PEOPLE = 501;

let database: TestDatabase;
let client: Client;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
  // Before FACTOR_SECRET was ever set, TOKEN_SECRET is what seals.
  const secrets = new FactorSecrets(loadConfig(testVariables(database.url)));
  const ids = Array.from({ length: PEOPLE }, () => randomUUID());
  await client.query(
    `INSERT INTO users (id, email) SELECT id, id || '@example.com' FROM unnest($1::uuid[]) AS id`,
    [ids],
  );
  await client.query(
    `INSERT INTO totp_factors (user_id, secret) SELECT * FROM unnest($1::uuid[], $2::bytea[])`,
    [ids, ids.map((id) => secrets.seal(id, randomBytes(20)))],
  );
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function reseal(factorSecret: string): Promise<{ code: number; told: unknown }> {
  const { code, stdout } = await runAtrium(['factors', 'reseal', '--json'], database.url, {
    FACTOR_SECRET: factorSecret,
  });
  return { code, told: JSON.parse(stdout) };
}

describe('The secrets of authenticator apps', () => {
  it('are all sealed under the first FACTOR_SECRET by one command, so that the other can go', async () => {
    expect(await reseal(NEW)).toEqual({ code: 1, told: { total: PEOPLE, resealed: 0, unreadable: PEOPLE } });
    expect(await reseal(`${NEW},${TEST_SECRET}`)).toEqual({
      code: 0,
      told: { total: PEOPLE, resealed: PEOPLE, unreadable: 0 },
    });
    expect(await reseal(NEW)).toEqual({ code: 0, told: { total: PEOPLE, resealed: 0, unreadable: 0 } });
    const { rows } = await client.query<{ detail: object }>(
      `SELECT detail FROM audit_entries WHERE action = 'mfa.totp.resealed' ORDER BY id`,
    );
    expect(rows.map(({ detail }) => detail)).toContainEqual({
      total: PEOPLE,
      resealed: PEOPLE,
      unreadable: 0,
    });
  });
});
