import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { runAtrium } from '../support/cli.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';

let database: TestDatabase;
let client: Client;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

it('a command does no jobs: it makes no queue, schedules nothing, and leaves what waits to the instances', async () => {
  const id = randomUUID();
  await client.query('INSERT INTO users (id, email) VALUES ($1, $2)', [id, `${id}@example.com`]);
  expect(await runAtrium(['users', 'disable', id], database.url)).toMatchObject({ code: 0, stderr: '' });
  const queues = await client.query('SELECT name FROM jobs.queue');
  const schedules = await client.query('SELECT name FROM jobs.schedule');
  expect([queues.rows, schedules.rows]).toEqual([[], []]);
});
