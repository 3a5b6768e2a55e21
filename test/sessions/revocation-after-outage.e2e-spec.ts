import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { DatabaseUnavailableError } from '../../src/database/errors.js';
import { PipelinedStatements } from '../../src/database/pipelined-statements.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { registerUser } from '../support/people.js';
import { until } from '../support/until.js';

let app: TestApp;
let elsewhere: Instance;
beforeAll(async () => {
  app = await startAtrium();
  elsewhere = await app.startSecondInstance();
});
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const statusOfMe = async (token: string, at: { url: string } = app) =>
  (await http(at, token).get('/v1/me')).status;

describe('An instance that lost the database for a while', () => {
  it('refuses afterwards what was ended meanwhile, however long ago that is', async () => {
    const person = await registerUser(app);
    expect(await statusOfMe(person.token, elsewhere)).toBe(200);
    const real = performance.now.bind(performance);
    const statements = elsewhere.nest.get(PipelinedStatements);
    let asked = 0;
    const run = jest.spyOn(statements, 'run').mockImplementation(() => {
      asked++;
      return Promise.reject(new DatabaseUnavailableError('The database cannot be reached'));
    });
    await http(app, person.token).post('/v1/auth/logout');
    await app.sql(`UPDATE sessions SET revoked_at = now() - interval '60 seconds' WHERE user_id = $1`, [
      person.user.id,
    ]);
    await until('the outage was noticed', () => asked > 0);
    expect(await statusOfMe(person.token, elsewhere)).toBe(200);
    jest.spyOn(performance, 'now').mockImplementation(() => real() + 90_000);
    run.mockRestore();
    await until('the end was learned of', async () => (await statusOfMe(person.token, elsewhere)) === 401);
  });
});
