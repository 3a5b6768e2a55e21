import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import jwt from 'jsonwebtoken';
import {
  clientCredentials,
  type CreatedAgentAnswer,
  createAgent,
  postForm,
  startAgent,
} from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { Devices, GRANT } from '../support/devices.js';
import { http } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';

const PUBLIC_URL = 'https://atrium.example';

let app: TestApp;
let owner: Person;
let devices: Devices;
let agent: CreatedAgentAnswer;
beforeAll(async () => {
  app = await startAtrium({ PUBLIC_URL });
  owner = await registerUser(app);
  devices = new Devices(app, owner);
  agent = await createAgent(owner, { scopes: ['items:read', 'items:write:type=task', 'rooms:publish'] });
});
afterAll(() => app.stop());

const basic = (id: string, secret: string) => ({
  Authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
});

function openIdClient(clientId: string, authentication: client.ClientAuth): client.Configuration {
  const server = { issuer: app.url, token_endpoint: `${app.url}/oauth/token` };
  const config = new client.Configuration(server, clientId, undefined, authentication);
  client.allowInsecureRequests(config); // eslint says what the library says: only over http, in tests
  return config;
}

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
      iss: PUBLIC_URL,
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
    const { clientId, clientSecret } = agent;
    for (const way of [client.ClientSecretBasic, client.ClientSecretPost]) {
      const config = openIdClient(clientId, way(clientSecret));
      const tokens = await client.clientCredentialsGrant(config, { scope: 'items:read' });
      expect(tokens.scope).toBe('items:read');
      expect((await http(app, tokens.access_token).get('/v1/items')).status).toBe(200);
    }
    // It reads no body beside a challenge.
    const wrong = openIdClient(clientId, client.ClientSecretPost('ats_wrong'));
    await expect(client.clientCredentialsGrant(wrong)).rejects.toMatchObject({ error: 'invalid_client' });
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

describe('Introspection', () => {
  const introspect = async (by: { clientId: string; clientSecret: string }, token: string) =>
    postForm<{ active: boolean; sub?: string; token_type?: string }>(app, '/oauth/introspect', {
      client_id: by.clientId,
      client_secret: by.clientSecret,
      token,
    });

  it('is for agents, of tokens of their own workspace; all others are not active', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const { agent: device, tokens } = await devices.connected();
    const stranger = await startAgent(app, await registerUser(app));
    const known = await introspect(agent, token);
    expect(known.headers.get('cache-control')).toBe('no-store');
    expect(known.body).toMatchObject({ active: true, sub: agent.id, token_type: 'Bearer' });
    expect((await introspect(agent, tokens.access_token)).body).toMatchObject({
      active: true,
      sub: device.id,
    });
    expect((await introspect(agent, tokens.refresh_token)).body).toMatchObject({
      active: true,
      token_type: 'refresh_token',
    });
    for (const none of [stranger.token, owner.token, owner.refreshToken, 'nonsense', `${token}x`])
      expect((await introspect(agent, none)).body).toEqual({ active: false });
    await owner.http.post(`/v1/agents/${device.id}/disable`);
    expect((await introspect(agent, tokens.access_token)).body).toEqual({ active: false });
    expect((await introspect(agent, tokens.refresh_token)).body).toEqual({ active: false });
  });

  it('is refused to whoever does not say who it is', async () => {
    const anonymous = await postForm(app, '/oauth/introspect', { token: 'x' });
    expect([anonymous.status, anonymous.body.error]).toEqual([401, 'invalid_client']);
    const { agent } = await startAgent(app, owner);
    const nothing = await postForm(app, '/oauth/introspect', {
      client_id: agent.clientId,
      client_secret: agent.clientSecret,
    });
    expect([nothing.status, nothing.body.error]).toEqual([400, 'invalid_request']);
  });
});

describe('Revocation', () => {
  it('is for one’s own tokens', async () => {
    const [one, other] = [await startAgent(app, owner, ['items:read']), await startAgent(app, owner)];
    const { status, body } = await postForm(app, '/oauth/revoke', {
      token: one.token,
      client_id: other.agent.clientId,
      client_secret: other.agent.clientSecret,
    });
    expect([status, body.error]).toEqual([400, 'unauthorized_client']);
    expect((await one.http.get('/v1/items')).status).toBe(200);
    expect((await postForm(app, '/oauth/revoke', { token: one.token })).status).toBe(401);
  });
});

describe('The metadata', () => {
  it('names every endpoint under the public address (RFC 8414)', async () => {
    const { body, headers } = await http(app).get<Record<string, unknown>>(
      '/.well-known/oauth-authorization-server',
    );
    expect(headers.get('content-type')).toMatch(/^application\/json/);
    expect(body).toMatchObject({
      issuer: PUBLIC_URL,
      token_endpoint: `${PUBLIC_URL}/oauth/token`,
      jwks_uri: `${PUBLIC_URL}/.well-known/jwks.json`,
      grant_types_supported: ['client_credentials', 'refresh_token', GRANT],
    });
    const endpoints = Object.entries(body).filter(([name]) => /_(endpoint|uri)$/.test(name));
    for (const [, address] of endpoints) {
      const path = String(address).slice(PUBLIC_URL.length);
      const { status } = await http(app).call(path.endsWith('.json') ? 'GET' : 'POST', path);
      expect([address, status]).toEqual([address, path.endsWith('.json') ? 200 : 400]);
    }
  });

  it('names, in development, this machine as it was asked, and nobody else’s choice; so do its tokens', async () => {
    const address = 'http://localhost:4711';
    const local = await app.startSecondInstance({ PUBLIC_URL: address });
    const named = async (host: string) => {
      const headers = { headers: { Host: host } };
      const path = '/.well-known/oauth-authorization-server';
      return (await http(local).get<{ issuer: string }>(path, headers)).body.issuer;
    };
    for (const host of ['localhost:4711', '127.0.0.1:4711', '[::1]:4711'])
      expect(await named(host)).toBe(`http://${host}`);
    for (const host of ['evil.example', '127.0.0.1:80', '127.0.0.1'])
      expect([host, await named(host)]).toEqual([host, address]);
    const { body } = await postForm(
      local,
      '/oauth/token',
      { grant_type: 'client_credentials' },
      { ...basic(agent.clientId, agent.clientSecret), Host: '127.0.0.1:4711' },
    );
    expect(jwt.decode(body.access_token)).toMatchObject({ iss: 'http://127.0.0.1:4711' });
    expect((await http(local, body.access_token).get(`/v1/agents/${agent.id}`)).status).toBe(200);
  });
});
