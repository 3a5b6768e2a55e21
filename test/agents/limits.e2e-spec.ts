import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { registerUser } from '../support/people.js';

let app: TestApp;
beforeAll(async () => {
  app = await startAtrium({ RATE_LIMIT: 'on', RATE_LIMIT_AGENTS_PER_MINUTE: '5' });
});
afterAll(() => app.stop());

describe('An agent', () => {
  it('is limited by itself; other agents and people at the same address are not', async () => {
    const owner = await registerUser(app);
    const [busy, other] = [
      await startAgent(app, owner, ['items:read']),
      await startAgent(app, owner, ['items:read']),
    ];
    const answers = [];
    for (let n = 0; n < 6; n++) answers.push(await busy.http.get('/v1/items'));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429]);
    expect(answers[0]?.headers.get('ratelimit-policy')).toBe('"agents";q=5;w=60');
    expect(answers[5]?.body.code).toBe('rate_limited');
    expect((await other.http.get('/v1/items')).status).toBe(200);
    const person = await owner.http.get('/v1/items');
    expect([person.status, person.headers.get('ratelimit-policy')]).toEqual([200, '"general";q=30000;w=60']);
  });
});
