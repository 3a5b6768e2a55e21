import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { runAtrium } from '../support/cli.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
beforeAll(async () => void (database = await createTestDatabase()));
afterAll(() => database.drop());

const run = (args: readonly string[], variables: Record<string, string> = {}) =>
  runAtrium(args, database.url, variables);

describe('The configuration', () => {
  it('is good, or it is said what is not', async () => {
    expect(await run(['config', 'check'])).toMatchObject({ code: 0, stdout: 'The configuration is good.\n' });
    expect(await run(['config', 'check'], { PORT: 'many' })).toMatchObject({
      code: 78,
      stderr: expect.stringContaining('PORT must be a port number'),
    });
  });
});

describe('The doctor', () => {
  const states = ({ data }: { data: { check: string; state: string }[] }) =>
    Object.fromEntries(data.map(({ check, state }) => [check, state]));

  it('finds a healthy database healthy', async () => {
    const { stdout } = await run(['--json', 'doctor']);
    expect(states(JSON.parse(stdout) as never)).toMatchObject({
      version: 'ok',
      migrations: 'ok',
      clock: 'ok',
      listening: 'ok',
      'long transactions': 'ok',
      'replication slots': 'ok',
      archiving: 'ok',
      redis: 'ok',
    });
  });

  it('finds what does not answer, and says of an empty database what it lacks', async () => {
    const empty = await createTestDatabase({ empty: true });
    try {
      const { code, stdout } = await run(['--json', 'doctor'], {
        DATABASE_URL: empty.url,
        REDIS_URL: 'redis://127.0.0.1:1',
        SMTP_URL: 'smtp://127.0.0.1:1',
      });
      expect(code).toBe(1);
      expect(states(JSON.parse(stdout) as never)).toMatchObject({
        version: 'ok',
        migrations: 'failed',
        redis: 'failed',
        mail: 'failed',
      });
      expect(await run(['users', 'list'], { DATABASE_URL: empty.url })).toMatchObject({
        code: 1,
        stderr: expect.stringContaining('npm run migration:run'),
      });
    } finally {
      await empty.drop();
    }
  });

  it('cannot look at a database that is not there, and says so', async () => {
    const { code, stderr } = await run(['doctor'], { DATABASE_URL: 'postgresql://a:b@127.0.0.1:1/c' });
    expect(code).toBe(1);
    expect(stderr).toMatch(/^The database cannot be reached: .*ECONNREFUSED/);
    expect(stderr.trim().split('\n')).toHaveLength(1);
  });
});
