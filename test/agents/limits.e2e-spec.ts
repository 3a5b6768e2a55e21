import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type AgentAnswer, createAgent, startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';

let app: TestApp;
let owner: Person;
beforeAll(async () => {
  app = await startAtrium({ RATE_LIMIT: 'on', RATE_LIMIT_AGENTS_PER_MINUTE: '5' });
  owner = await registerUser(app);
});
afterAll(() => app.stop());

describe('An agent', () => {
  it('is limited by itself; other agents and people at the same address are not', async () => {
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

  it('has metadata of 65,536 bytes at most, however it comes by it', async () => {
    const ofBytes = (bytes: number) => ({ text: 'x'.repeat(bytes - '{"text":""}'.length) });
    const full = ofBytes(65_536);
    const { id } = await createAgent(owner, { metadata: full });
    const request = { name: 'x', kind: 'y', metadata: ofBytes(65_537) };
    const made = await owner.http.post('/v1/agents', request);
    expect([made.status, made.body.errors?.[0]?.pointer]).toEqual([400, '/metadata']);
    const merged = await owner.http.patch(`/v1/agents/${id}`, { metadata: { more: 1 } });
    expect([merged.status, merged.body.errors?.[0]?.pointer]).toEqual([422, '/metadata']);
    const token = await owner.http.post<{ token: string }>('/v1/agents/enrolment-tokens', { kind: 'y' });
    const enrolment = { token: token.body.token, name: 'x', metadata: ofBytes(65_537) };
    const enrolled = await http(app).post('/v1/agents/enrol', enrolment);
    expect([enrolled.status, enrolled.body.errors?.[0]?.pointer]).toEqual([400, '/metadata']);
    expect((await owner.http.get<AgentAnswer>(`/v1/agents/${id}`)).body).toMatchObject({
      metadata: full,
      version: 1,
    });
  });
});
