import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import * as client from 'openid-client';
import { lacksScope, postForm, startAgent } from '../support/agents.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { type Codes, DEVICE, Devices } from '../support/devices.js';
import { http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

const PUBLIC_URL = 'https://atrium.example';

let app: TestApp;
let second: Instance;
let owner: Person;
let devices: Devices;
beforeAll(async () => {
  app = await startAtrium({ PUBLIC_URL });
  second = await app.startSecondInstance();
  owner = await registerUser(app);
  devices = new Devices(app, owner);
});
afterEach(closeSockets);
afterAll(() => app.stop());

describe('A device', () => {
  it('is given codes, and becomes an agent once a person has approved them, with what it asked for', async () => {
    const answer = await postForm<Codes>(app, '/oauth/device_authorization', {
      client_id: DEVICE,
      scope: 'items:read rooms:read',
      agent_name: 'Camera 4',
      agent_kind: 'camera',
    });
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store']);
    const codes = answer.body;
    expect(codes.user_code).toMatch(/^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/);
    expect(codes).toMatchObject({
      verification_uri: `${PUBLIC_URL}/device`,
      verification_uri_complete: `${PUBLIC_URL}/device?user_code=${codes.user_code}`,
      expires_in: 600,
      interval: 5,
    });
    expect((await devices.poll(codes)).body.error).toBe('authorization_pending');
    const typed = codes.user_code.toLowerCase().replace('-', ' ');
    const seen = await owner.http.get(`/v1/devices/${encodeURIComponent(typed)}`);
    expect(seen.body).toMatchObject({
      userCode: codes.user_code,
      name: 'Camera 4',
      kind: 'camera',
      scopes: ['items:read', 'rooms:read'],
    });
    const approved = await devices.approve(codes);
    expect(approved.status).toBe(200);
    expect(approved.body).toMatchObject({
      workspaceId: owner.workspaceId,
      name: 'Camera 4',
      kind: 'camera',
      scopes: ['items:read', 'rooms:read'],
      createdBy: owner.user.id,
    });
    const tokens = await devices.poll(codes, second);
    expect(tokens.body).toMatchObject({
      token_type: 'Bearer',
      expires_in: 900,
      scope: 'items:read rooms:read',
    });
    const itself = http(second, tokens.body.access_token);
    expect((await itself.get(`/v1/agents/${approved.body.id}`)).status).toBe(200);
    const { body: credentials } = await owner.http.get<PageAnswer<{ kind: string }>>(
      `/v1/agents/${approved.body.id}/secrets`,
    );
    expect(credentials.data.map(({ kind }) => kind)).toEqual(['device']);
    expect([(await devices.poll(codes)).body.error, (await devices.approve(codes)).status]).toEqual([
      'invalid_grant',
      404,
    ]);
  });

  it('comes to an unmodified openid-client by discovery', async () => {
    const atTest: client.CustomFetch = (url, options) => fetch(url.replace(PUBLIC_URL, app.url), options);
    const config = await client.discovery(new URL(PUBLIC_URL), DEVICE, undefined, client.None(), {
      algorithm: 'oauth2',
      [client.customFetch]: atTest,
    });
    const codes = await client.initiateDeviceAuthorization(config, { scope: 'items:read' });
    const answered = { ...codes, interval: 1 };
    await devices.approve(codes as Codes);
    const tokens = await client.pollDeviceAuthorizationGrant(config, answered);
    const next = await client.refreshTokenGrant(config, tokens.refresh_token ?? '');
    expect(next.scope).toBe('items:read');
    const { agent, http: itself, token } = await startAgent(app, owner, ['items:read']);
    const secret = await client.discovery(
      new URL(PUBLIC_URL),
      agent.clientId,
      agent.clientSecret,
      client.ClientSecretBasic(agent.clientSecret),
      { algorithm: 'oauth2', [client.customFetch]: atTest },
    );
    const { access_token } = await client.clientCredentialsGrant(secret);
    expect(await client.tokenIntrospection(secret, access_token)).toMatchObject({
      active: true,
      sub: agent.id,
      client_id: agent.clientId,
      iss: PUBLIC_URL,
      scope: 'items:read',
    });
    await client.tokenRevocation(secret, token);
    expect((await itself.get('/v1/items')).status).toBe(401);
  });

  it('is told to slow down, that it was refused, and that it came too late', async () => {
    const impatient = await devices.begin();
    expect((await devices.poll(impatient)).body.error).toBe('authorization_pending');
    expect((await devices.poll(impatient)).body.error).toBe('slow_down');
    expect((await devices.poll(impatient)).body.error).toBe('slow_down');
    const [{ interval_seconds }] = await app.sql<{ interval_seconds: number }>(
      `SELECT interval_seconds FROM device_authorizations WHERE user_code = $1`,
      [impatient.user_code.replace('-', '')],
    );
    expect(interval_seconds).toBe(15);
    await devices.wait(impatient);
    const patient = await devices.poll(impatient);
    expect([patient.status, patient.body.error]).toEqual([400, 'authorization_pending']);

    const denied = await devices.begin();
    expect((await owner.http.post(`/v1/devices/${denied.user_code}/deny`)).status).toBe(204);
    expect((await devices.poll(denied)).body.error).toBe('access_denied');
    expect((await devices.approve(denied)).status).toBe(404);

    const late = await devices.begin();
    await app.sql(`UPDATE device_authorizations SET expires_at = now() WHERE user_code = $1`, [
      late.user_code.replace('-', ''),
    ]);
    expect((await devices.approve(late)).status).toBe(404);
    expect((await devices.poll(late)).body.error).toBe('expired_token');
    expect((await devices.poll({ ...late, device_code: 'nonsense' })).body.error).toBe('invalid_grant');
  });

  it('is given its tokens once, however many ask at the same time', async () => {
    const codes = await devices.begin();
    await devices.approve(codes);
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, n) => devices.poll(codes, n % 2 ? app : second)),
    );
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
  });

  it('gets nothing without its client, for scopes that do not exist, or by an agent’s name that is none', async () => {
    const tried = [
      [{ client_id: 'other' }, 401, 'invalid_client'],
      [{ scope: 'everything' }, 400, 'invalid_scope'],
      [{ agent_kind: 'no blanks' }, 400, 'invalid_request'],
    ] as const;
    for (const [form, status, error] of tried) {
      const answer = await postForm(app, '/oauth/device_authorization', { client_id: DEVICE, ...form });
      expect([answer.status, answer.body.error]).toEqual([status, error]);
    }
    const credentials = await postForm(app, '/oauth/token', {
      grant_type: 'client_credentials',
      client_id: DEVICE,
    });
    expect([credentials.status, credentials.body.error]).toEqual([400, 'unauthorized_client']);
  });
});

describe('Who approves a device', () => {
  it('manages agents in the workspace that it joins, and says what it may do', async () => {
    const [member, admin] = [await registerUser(app), await registerUser(app)];
    const { workspaceId } = owner;
    await addMember(app, workspaceId, member, 'member');
    await addMember(app, workspaceId, admin, 'admin');
    const codes = await devices.begin({ scope: 'items:write' });
    expect((await devices.approve(codes, { workspaceId }, member)).status).toBe(403);
    expect((await devices.approve(codes, { workspaceId }, await registerUser(app))).status).toBe(404);
    expect((await http(app).post(`/v1/devices/${codes.user_code}/approve`)).status).toBe(401);
    const robot = await startAgent(app, owner, ['credentials']);
    expect(lacksScope(await robot.http.post(`/v1/devices/${codes.user_code}/approve`))).toBe(true);
    const chosen = {
      workspaceId,
      name: 'Renamed',
      labels: { region: 'eu' },
      scopes: ['items:write:type=task'],
    };
    const { status, body } = await devices.approve(codes, chosen, admin);
    expect([status, body.name, body.labels, body.scopes]).toEqual([
      200,
      'Renamed',
      chosen.labels,
      chosen.scopes,
    ]);
    expect((await devices.poll(codes)).body.scope).toBe('items:write:type=task');
  });

  it('has to wait after too many wrong codes, whatever the next one is', async () => {
    const guesser = await registerUser(app);
    const codes = await devices.begin();
    let [status, guesses] = [404, 0];
    while (status === 404 && guesses++ < 20)
      ({ status } = await guesser.http.get(`/v1/devices/BBBB-${'BCDFGHJKLMNPQRSTVWXZ'[guesses]}BBB`));
    expect([status, guesses < 10]).toEqual([429, true]);
    expect((await devices.approve(codes, {}, guesser)).status).toBe(429);
    expect((await devices.approve(codes)).status).toBe(200);
  });

  it('does so on a page that no other site can frame, and that sends nothing anywhere else', async () => {
    const page = await http(app).get('/device?user_code=ABCD-EFGH');
    expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
    expect(page.headers.get('x-frame-options')).toBe('DENY');
    const policy = page.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toContain('unsafe');
    expect(page.text).not.toContain('ABCD');
    for (const [, part = ''] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      const { status, headers } = await http(app).get(part);
      expect([part, status, headers.get('content-type')]).toEqual([
        part,
        200,
        `text/${part.endsWith('.js') ? 'javascript' : 'css'}; charset=utf-8`,
      ]);
    }
  });
});

describe('The refresh token of a device', () => {
  it('trades once for the next; the same again at once gives the same, for what may have been lost', async () => {
    const { tokens, agent } = await devices.connected();
    const { status, body } = await devices.refresh(tokens.refresh_token);
    expect([status, body.scope]).toEqual([200, 'items:read']);
    expect(body.refresh_token).not.toBe(tokens.refresh_token);
    expect((await devices.refresh(tokens.refresh_token)).body.refresh_token).toBe(body.refresh_token);
    expect((await http(app, body.access_token).get(`/v1/agents/${agent.id}`)).status).toBe(200);
    const refused = await devices.refresh(body.refresh_token ?? '', { scope: 'items:write' });
    expect([refused.status, refused.body.error]).toEqual([400, 'invalid_scope']);
    expect((await devices.refresh(body.refresh_token ?? '')).status).toBe(200);
  });

  it('ends everything when a copy of a used one comes back, although that call fails', async () => {
    const { tokens, agent } = await devices.connected();
    const { body } = await devices.refresh(tokens.refresh_token);
    const socket = await connectAndJoin(second, body.access_token, `agents/${agent.id}`);
    await app.sql(`UPDATE agent_credentials SET rotated_at = now() - interval '1 hour' WHERE agent_id = $1`, [
      agent.id,
    ]);
    const copied = await devices.refresh(tokens.refresh_token);
    expect([copied.status, copied.body.error]).toEqual([400, 'invalid_grant']);
    expect((await devices.refresh(body.refresh_token ?? '')).body.error).toBe('invalid_grant');
    expect((await http(app, body.access_token).get(`/v1/agents/${agent.id}`)).status).toBe(401);
    expect((await socket.closed).code).toBe(4003);
  });

  it('is worth nothing to others, by other ways, without its client, or once the agent is disabled', async () => {
    const { tokens, agent } = await devices.connected();
    const asUser = await http(app).post('/v1/auth/refresh', { refreshToken: tokens.refresh_token });
    expect(asUser.status).toBe(401);
    const other = await postForm(app, '/oauth/token', {
      grant_type: 'refresh_token',
      refresh_token: tokens.refresh_token,
    });
    expect([other.status, other.body.error]).toEqual([401, 'invalid_client']);
    expect((await devices.refresh(owner.refreshToken)).body.error).toBe('invalid_grant');
    expect((await devices.refresh('atr_nonsense')).body.error).toBe('invalid_grant');
    await owner.http.post(`/v1/agents/${agent.id}/disable`);
    expect((await devices.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
    await owner.http.post(`/v1/agents/${agent.id}/enable`);
    expect((await devices.refresh(tokens.refresh_token)).status).toBe(200);
  });
});

describe('Revocation', () => {
  it('ends one access token with its sockets, at every instance, and no other of the same agent', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const credentials = { client_id: agent.clientId, client_secret: agent.clientSecret };
    const { body: other } = await postForm(app, '/oauth/token', {
      grant_type: 'client_credentials',
      ...credentials,
    });
    const socket = await connectAndJoin(second, token, `agents/${agent.id}`);
    const revoked = await postForm(app, '/oauth/revoke', { token, ...credentials });
    expect([revoked.status, revoked.text]).toEqual([200, '']);
    expect((await http(app, token).get('/v1/items')).status).toBe(401);
    expect((await socket.closed).code).toBe(4003);
    await until(
      'it is refused elsewhere',
      async () => (await http(second, token).get('/v1/items')).status === 401,
    );
    expect((await http(second, other.access_token).get('/v1/items')).status).toBe(200);
    expect((await postForm(app, '/oauth/revoke', { token, ...credentials })).status).toBe(200);
    expect((await postForm(app, '/oauth/revoke', { token: 'nonsense', ...credentials })).status).toBe(200);
  });

  it('of a device’s refresh token ends all that it gave', async () => {
    const { tokens, agent } = await devices.connected();
    const { status } = await postForm(app, '/oauth/revoke', {
      client_id: DEVICE,
      token: tokens.refresh_token,
    });
    expect(status).toBe(200);
    expect((await http(app, tokens.access_token).get(`/v1/agents/${agent.id}`)).status).toBe(401);
    expect((await devices.refresh(tokens.refresh_token)).body.error).toBe('invalid_grant');
  });
});
