import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Environment variables, as a deployment would set them. */
export type Variables = Readonly<Record<string, string>>;

/** The secret of every test instance, for tests that forge tokens. */
export const TEST_SECRET = 'the-secret-of-the-tests-0123456789abcdef';

/** The variables of an instance under test, quiet about the errors that tests provoke. */
export function testVariables(databaseUrl: string, overrides: Variables = {}): Variables {
  return {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    DATABASE_URL: databaseUrl,
    // Mail that no test reads ends up here.
    DATA_DIR: join(tmpdir(), `atrium-test-data-${process.pid}`),
    DATABASE_POOL_SIZE: '4',
    TOKEN_SECRET: TEST_SECRET,
    // Most of a run's work would be hashing; test/accounts/password-rules keeps the default.
    PASSWORD_HASH_MEMORY_KIB: '64',
    // One address plays all the people; tests of limits turn them on.
    RATE_LIMIT: 'off',
    // A busy machine is no overload of ours; test/http/overload has it on.
    OVERLOAD_DELAY_MS: '0',
    LOG_LEVEL: process.env.TEST_LOG_LEVEL ?? 'fatal',
    ...overrides,
  };
}
