import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import jwt from 'jsonwebtoken';
import { clientCredentials, type CreatedAgentAnswer, createAgent, postForm } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';

let app: TestApp;
let owner: Person;
let agent: CreatedAgentAnswer;
beforeAll(async () => {
  app = await startAtrium();
  owner = await registerUser(app);
  agent = await createAgent(owner, { scopes: ['items:read', 'items:write:type=task', 'rooms:publish'] });
});
afterAll(() => app.stop());

const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
});

describe('A token by client_credentials', () => {
  it('is an at+jwt of RFC 9068, kept from caches, with all scopes of the agent', async () => {
    const { status, headers, body } = await clientCredentials(app, agent);
    expect(status).toBe(200);
    expect([headers.get('cache-control'), headers.get('pragma')]).toEqual(['no-store', 'no-cache']);
    const scope = 'items:read items:write:type=task rooms:publish';
    expect(body).toEqual({ access_token: body.access_token, token_type: 'Bearer', expires_in: 900, scope });
    const { header, payload } = jwt.decode(body.access_token, { complete: true }) as jwt.Jwt;
    expect(header.typ).toBe('at+jwt');
    expect(payload).toMatchObject({
      iss: 'http://localhost:3000',
      aud: 'atrium',
      sub: agent.id,
      client_id: agent.clientId,
      scope,
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/) as unknown,
    });
    const { iat, exp } = payload as { iat: number; exp: number };
    expect(exp - iat).toBe(900);
  });

  it('comes to an unmodified openid-client, by basic and by post', async () => {
    const server = { issuer: app.url, token_endpoint: `${app.url}/oauth/token` };
    for (const authentication of [client.ClientSecretBasic, client.ClientSecretPost]) {
      const config = new client.Configuration(
        server,
        agent.clientId,
        agent.clientSecret,
        authentication(agent.clientSecret),
      );
      client.allowInsecureRequests(config); // eslint says what the library says: only over http, in tests
      const tokens = await client.clientCredentialsGrant(config, { scope: 'items:read' });
      expect(tokens.scope).toBe('items:read');
      expect((await http(app, tokens.access_token).get('/v1/items')).status).toBe(200);
    }
  });

  it('has the scopes that were asked for, if the agent may have them', async () => {
    const some = await clientCredentials(app, agent, { scope: 'items:read rooms:publish' });
    expect(some.body.scope).toBe('items:read rooms:publish');
    const none = await createAgent(owner);
    expect((await clientCredentials(app, none)).body.scope).toBeUndefined();
    for (const scope of [
      'items:write',
      'items:write:type=secret',
      'leases',
      'nonsense',
      'items:read nonsense',
    ]) {
      const { status, body } = await clientCredentials(app, agent, { scope });
      expect([scope, status, body.error]).toEqual([scope, 400, 'invalid_scope']);
    }
    const writer = await createAgent(owner, { scopes: ['items:write'] });
    const narrowed = await clientCredentials(app, writer, { scope: 'items:write:type=a%20b' });
    expect(narrowed.body.scope).toBe('items:write:type=a%20b');
  });

  it('writes when it was last seen', async () => {
    const fresh = await createAgent(owner);
    await clientCredentials(app, fresh);
    const { body } = await owner.http.get<{ lastSeenAt: string | null; version: number }>(
      `/v1/agents/${fresh.id}`,
    );
    expect(Math.abs(Date.parse(body.lastSeenAt ?? '') - Date.now())).toBeLessThan(60_000);
    expect(body.version).toBe(1);
  });
});

describe('A request for a token that cannot be granted', () => {
  it('is answered by invalid_client where nobody is known, with the challenge of the scheme that was used', async () => {
    const wrong = [
      await clientCredentials(app, { ...agent, clientSecret: 'ats_wrong' }),
      await clientCredentials(app, { ...agent, clientId: randomUUID() }),
      await clientCredentials(app, { ...agent, clientId: 'nobody' }),
      await postForm(app, '/oauth/token', { grant_type: 'client_credentials' }),
      await postForm(app, '/oauth/token', { grant_type: 'client_credentials', client_id: agent.clientId }),
    ];
    for (const { status, headers, body } of wrong) {
      expect([status, body.error, headers.get('www-authenticate')]).toEqual([401, 'invalid_client', null]);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(headers.get('content-type')).toMatch(/^application\/json/);
      expect(Object.keys(body).sort()).toEqual(['error', 'error_description']);
    }
    const byHeader = [
      basic(agent.clientId, 'ats_wrong'),
      { Authorization: 'Basic %%%' },
      { Authorization: 'Bearer x' },
    ];
    for (const headers of byHeader) {
      const answer = await postForm(app, '/oauth/token', { grant_type: 'client_credentials' }, headers);
      expect([answer.status, answer.body.error]).toEqual([401, 'invalid_client']);
      expect(answer.headers.get('www-authenticate')).toMatch(/^Basic realm=/);
    }
  });

  it('is answered by the error that RFC 6749 has for it', async () => {
    const form = (text: string) =>
      http(app).call<{ error: string }>('POST', '/oauth/token', {
        raw: text,
        headers: {
          'Content-Type': 'application/x-www-form-urlencoded',
          ...basic(agent.clientId, agent.clientSecret),
        },
      });
    const cases = [
      ['scope=items:read', 'invalid_request'],
      ['grant_type=', 'invalid_request'],
      ['grant_type=password&username=a&password=b', 'unsupported_grant_type'],
      ['grant_type=constructor', 'unsupported_grant_type'],
      ['grant_type=client_credentials&grant_type=client_credentials', 'invalid_request'],
      [`grant_type=client_credentials&client_secret=${agent.clientSecret}`, 'invalid_request'],
      [`grant_type=client_credentials&client_id=${randomUUID()}`, 'invalid_request'],
      // Known, but these grants are for devices.
      ['grant_type=refresh_token&refresh_token=x', 'unauthorized_client'],
      ['grant_type=urn:ietf:params:oauth:grant-type:device_code&device_code=x', 'unauthorized_client'],
    ];
    for (const [text, error] of cases) {
      const answer = await form(text ?? '');
      expect([text, answer.status, answer.body.error]).toEqual([text, 400, error]);
    }
    const json = await http(app).post<{ error: string }>('/oauth/token', {
      grant_type: 'client_credentials',
    });
    expect([json.status, json.body.error]).toEqual([400, 'invalid_request']);
    const unknown = await form('grant_type=client_credentials&audience=x');
    expect(unknown.status).toBe(200);
  });
});
