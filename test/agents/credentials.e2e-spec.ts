import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { AgentCredentials } from '../../src/agents/agent-credentials.service.js';
import { Authenticator } from '../../src/sessions/authenticator.js';
import {
  clientCredentials,
  createAgent,
  type CreatedAgentAnswer,
  lacksScope,
  postForm,
  startAgent,
} from '../support/agents.js';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { addMember, type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

interface CredentialAnswer {
  readonly id: string;
  readonly kind: string;
  readonly name: string | null;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly clientId: string;
  readonly clientSecret: string;
}

const ISSUER = 'http://localhost:3000';
const ASSERTION = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

let app: TestApp;
let second: Instance;
let [owner, member]: Person[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  [owner, member] = [await registerUser(app), await registerUser(app)];
  await addMember(app, owner.workspaceId, member, 'member');
});
afterEach(closeSockets);
afterAll(() => app.stop());

const secretsOf = ({ id }: { id: string }) => `/v1/agents/${id}/secrets`;
const add = (agent: { id: string }, body: unknown = {}, by = owner.http) =>
  by.post<CredentialAnswer>(secretsOf(agent), body);
const list = async (agent: { id: string }) =>
  (await owner.http.get<PageAnswer<CredentialAnswer>>(secretsOf(agent))).body.data;
const tokenStatus = async (agent: CreatedAgentAnswer, clientSecret: string) =>
  (await clientCredentials(app, { ...agent, clientSecret })).status;

describe('An agent with several secrets', () => {
  it('signs in by each of them until that is deleted or ends, and its last use is told', async () => {
    const agent = await createAgent(owner);
    const more = await add(agent, { name: 'the second' });
    expect([more.status, more.headers.get('cache-control'), more.body.name]).toEqual([
      201,
      'no-store',
      'the second',
    ]);
    expect(more.body.clientSecret).toMatch(/^ats_[\w-]{43}$/);
    const short = await add(agent, { expiresInSeconds: 60 });
    const secrets = [agent.clientSecret, more.body.clientSecret, short.body.clientSecret];
    for (const secret of secrets) expect(await tokenStatus(agent, secret)).toBe(200);
    const listed = await list(agent);
    expect(listed.map(({ lastUsedAt }) => lastUsedAt === null)).toEqual([false, false, false]);
    expect(JSON.stringify(listed)).not.toMatch(/ats_|hash|seed/);
    await app.sql(`UPDATE agent_credentials SET expires_at = now() - interval '1 s' WHERE id = $1`, [
      short.body.id,
    ]);
    expect((await owner.http.delete(`${secretsOf(agent)}/${more.body.id}`)).status).toBe(204);
    expect(await Promise.all(secrets.map((secret) => tokenStatus(agent, secret)))).toEqual([200, 401, 401]);
  });

  it('has ten at most', async () => {
    const agent = await createAgent(owner);
    for (let n = 0; n < 9; n++) expect((await add(agent)).status).toBe(201);
    const tooMany = await owner.http.post(secretsOf(agent), {});
    expect([tooMany.status, tooMany.body.code]).toEqual([409, 'too_many_credentials']);
  });

  it('gets no token that outlives the secret', async () => {
    const agent = await createAgent(owner);
    const { body } = await add(agent, { expiresInSeconds: 60 });
    const { body: token } = await clientCredentials(app, { ...agent, clientSecret: body.clientSecret });
    expect(token.expires_in).toBeLessThanOrEqual(60);
  });

  it('is kept by its owners: members see no credential and make none', async () => {
    const agent = await createAgent(owner);
    expect((await member.http.get(secretsOf(agent))).status).toBe(403);
    expect((await add(agent, {}, member.http)).status).toBe(403);
    const stranger = await registerUser(app);
    expect((await stranger.http.get(secretsOf(agent))).status).toBe(404);
    expect((await add(agent, {}, stranger.http)).status).toBe(404);
  });
});

describe('A credential that is deleted', () => {
  it('takes its own tokens and sockets along, at every instance, and no others', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const { body: other } = await add(agent);
    const { body: kept } = await clientCredentials(app, { ...agent, clientSecret: other.clientSecret });
    const room = `workspaces/${owner.workspaceId}`;
    const sockets = [await connectAndJoin(app, token, room), await connectAndJoin(second, token, room)];
    const staying = await connectAndJoin(second, kept.access_token, room);
    const [first] = await list(agent);
    expect((await owner.http.delete(`${secretsOf(agent)}/${first?.id}`)).status).toBe(204);
    expect((await http(app, token).get('/v1/items')).status).toBe(401);
    const closings = await Promise.all(sockets.map(({ closed }) => closed));
    expect(closings.map(({ code }) => code)).toEqual([4003, 4003]);
    await until(
      'the other instance refuses it',
      async () => (await http(second, token).get('/v1/items')).status === 401,
    );
    await staying.barrier();
    expect((await http(second, kept.access_token).get('/v1/items')).status).toBe(200);
  });
});

describe('A rotation', () => {
  it('leaves the old secret good for the overlap, and tells everybody who listens', async () => {
    const agent = await createAgent(owner);
    const socket = await connectAndJoin(app, owner.token, `agents/${agent.id}`);
    const [old] = await list(agent);
    const added = await add(agent, { replaces: old?.id, overlapSeconds: 120 });
    expect(await tokenStatus(agent, agent.clientSecret)).toBe(200);
    expect(await tokenStatus(agent, added.body.clientSecret)).toBe(200);
    const [ending] = await list(agent);
    const left = Date.parse(ending?.expiresAt ?? '') - Date.now();
    expect(left).toBeGreaterThan(60_000);
    expect(left).toBeLessThan(180_000);
    const events = await socket.received(`agents/${agent.id}`, 2);
    expect(events.map(({ event }) => [event.type, event.data['id']])).toEqual([
      ['agent.credential_added', added.body.id],
      ['agent.credential_updated', old?.id],
    ]);
    expect(JSON.stringify(socket.frames)).not.toContain(added.body.clientSecret);
    const atOnce = await add(agent, { replaces: added.body.id, overlapSeconds: 0 });
    expect(await tokenStatus(agent, added.body.clientSecret)).toBe(401);
    expect(await tokenStatus(agent, atOnce.body.clientSecret)).toBe(200);
    expect((await owner.http.post(secretsOf(agent), { replaces: randomUUID() })).status).toBe(404);
    // Whoever says it means something: a new credential beside the old one, which stays good, is not that.
    const beside = await owner.http.post(secretsOf(agent), { overlapSeconds: 60 });
    expect([beside.status, beside.body.code]).toEqual([400, 'validation_failed']);
    expect(beside.body.errors?.map(({ pointer }) => pointer)).toEqual(['/overlapSeconds']);
    expect(await list(agent)).toHaveLength(3);
  });

  it('is told to the agent when two thirds of the life of what it came by are over', async () => {
    const rotateBy = async (token: string) => {
      const principal = app.nest.get(Authenticator, { strict: false }).authenticate(token);
      return app.nest.get(AgentCredentials, { strict: false }).rotateBy(principal);
    };
    const { agent, token } = await startAgent(app, owner);
    expect(await rotateBy(token)).toBeNull();
    const [first] = await list(agent);
    const set = (expiresAt: unknown) =>
      owner.http.patch<CredentialAnswer>(`${secretsOf(agent)}/${first?.id}`, { expiresAt });
    const far = new Date(Date.now() + 86_400_000).toISOString();
    expect((await set(far)).body.expiresAt).toBe(far);
    expect(await rotateBy(token)).toBeNull();
    await app.sql(`UPDATE agent_credentials SET created_at = now() - interval '3 days' WHERE id = $1`, [
      first?.id,
    ]);
    expect(await rotateBy(token)).toBe(far);
    for (const none of [
      'soon',
      '2026-02-30T00:00:00Z',
      '0000-01-01T00:00:00Z',
      '2026-01-01T00:00:00+23:59',
      7,
    ])
      expect([none, (await set(none)).status]).toEqual([none, 400]);
    expect((await set(null)).body.expiresAt).toBeNull();
    expect((await set('2020-01-01T00:00:00Z')).status).toBe(200);
    expect((await http(app, token).get(`/v1/agents/${agent.id}`)).status).toBe(401);
  });

  it('is the agent’s own to do with the scope credentials, of its own credential, for no longer than that lived', async () => {
    const { agent, http: itself } = await startAgent(app, owner, ['credentials']);
    const without = await startAgent(app, owner, ['items:read']);
    expect(lacksScope(await without.http.post(secretsOf(without.agent), {}))).toBe(true);
    expect(lacksScope(await itself.post(secretsOf(without.agent), {}))).toBe(true);
    expect((await itself.post(secretsOf(agent), {})).status).toBe(403);
    const [first] = await list(agent);
    await owner.http.patch(`${secretsOf(agent)}/${first?.id}`, {
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
    const { status, body } = await itself.post<CredentialAnswer>(secretsOf(agent), {
      replaces: first?.id,
      expiresInSeconds: 86_400,
    });
    expect(status).toBe(201);
    expect(Date.parse(body.expiresAt ?? '') - Date.now()).toBeLessThan(3_700_000);
    expect(await tokenStatus(agent, body.clientSecret)).toBe(200);
    const [audit] = await app.sql<{ principal_id: string }>(
      `SELECT principal_id FROM audit_entries WHERE action = 'agent.credential-added' AND detail ->> 'credentialId' = $1`,
      [body.id],
    );
    expect(audit?.principal_id).toBe(agent.id);
    expect(lacksScope(await itself.patch(`${secretsOf(agent)}/${body.id}`, { expiresAt: null }))).toBe(true);
    expect((await itself.delete(`${secretsOf(agent)}/${body.id}`)).status).toBe(204);
  });
});

describe('A public key', () => {
  const pair = () => generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwkOf = (key: KeyObject, more = {}) => ({ ...key.export({ format: 'jwk' }), ...more });

  it('is taken as it is, without anything private, and if it is strong enough', async () => {
    const agent = await createAgent(owner);
    const { publicKey, privateKey } = pair();
    const rsa = (modulusLength: number) => generateKeyPairSync('rsa', { modulusLength }).publicKey;
    const good = [
      jwkOf(publicKey, { kid: 'one', use: 'sig', alg: 'ES256' }),
      jwkOf(generateKeyPairSync('ed25519').publicKey),
      jwkOf(rsa(2_048)),
    ];
    for (const key of good) {
      const { status, body } = await add(agent, { publicKey: key });
      expect([status, body.kind, body.clientSecret]).toEqual([201, 'key', undefined]);
    }
    const bad = [
      jwkOf(privateKey),
      jwkOf(rsa(1_024)),
      { kty: 'oct', k: 'c2VjcmV0' },
      { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' },
      jwkOf(publicKey, { alg: 'HS256' }),
      jwkOf(generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey),
      {},
    ];
    for (const key of bad) {
      const answer = await owner.http.post(secretsOf(agent), { publicKey: key });
      expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([400, '/publicKey']);
    }
  });

  it('signs an agent in by private_key_jwt, each assertion once', async () => {
    const agent = await createAgent(owner, { scopes: ['items:read'] });
    const { publicKey, privateKey } = pair();
    await add(agent, { publicKey: jwkOf(publicKey, { kid: 'k1' }) });
    const assertion = (claims: object = {}, key = privateKey, kid = 'k1') => {
      const now = Math.floor(Date.now() / 1_000);
      const all = {
        iss: agent.id,
        sub: agent.id,
        aud: ISSUER,
        jti: randomUUID(),
        iat: now,
        exp: now + 60,
        ...claims,
      };
      // Without what is undefined.
      const given = JSON.parse(JSON.stringify(all)) as object;
      return jwt.sign(given, key, { algorithm: 'ES256', ...(kid && { keyid: kid }) });
    };
    const ask = (client_assertion: string, more = {}) =>
      postForm(app, '/oauth/token', {
        grant_type: 'client_credentials',
        client_assertion_type: ASSERTION,
        client_assertion,
        ...more,
      });
    const first = assertion();
    const remembered = () => app.sql('SELECT FROM used_assertions WHERE agent_id = $1', [agent.id]);
    await app.sql(
      `INSERT INTO used_assertions (agent_id, jti_hash, expires_at)
       SELECT $1, sha256(n::text::bytea), now() - interval '1 minute' FROM generate_series(1, 5) n`,
      [agent.id],
    );
    expect((await ask(first)).body.scope).toBe('items:read');
    // Those that would be refused by now have gone.
    expect(await remembered()).toHaveLength(1);
    for (const instance of [app, second]) {
      const { status, body } = await postForm(instance, '/oauth/token', {
        grant_type: 'client_credentials',
        client_assertion_type: ASSERTION,
        client_assertion: first,
      });
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
    const jti = randomUUID();
    const racing = await Promise.all(Array.from({ length: 8 }, () => ask(assertion({ jti }))));
    expect(racing.filter(({ status }) => status === 200)).toHaveLength(1);
    expect((await ask(assertion({ aud: [`${ISSUER}/oauth/token`, 'others'] }))).status).toBe(200);
    expect((await ask(assertion({}, privateKey, ''), { client_id: agent.id })).status).toBe(200);
    const now = Math.floor(Date.now() / 1_000);
    expect((await ask(assertion({ exp: now + 60.5 }))).status).toBe(200);
    const refused = [
      assertion({ aud: 'https://elsewhere.example' }),
      assertion({ exp: now - 60 }),
      assertion({ exp: now + 3_600 }),
      assertion({ exp: undefined }),
      assertion({ jti: undefined }),
      assertion({ iss: randomUUID() }),
      assertion({ nbf: now + 3_600 }),
      assertion({}, pair().privateKey),
      assertion({}, privateKey, 'k2'),
      jwt.sign({ sub: agent.id, iss: agent.id, aud: ISSUER, jti: 'x', exp: now + 60 }, 'secret', {
        algorithm: 'HS256',
      }),
      'nonsense',
    ];
    for (const each of refused) {
      const { status, body } = await ask(each);
      expect([status, body.error]).toEqual([401, 'invalid_client']);
    }
    expect((await ask(assertion(), { client_assertion_type: 'urn:other' })).status).toBe(401);
    expect((await ask(assertion(), { client_secret: agent.clientSecret })).body.error).toBe(
      'invalid_request',
    );
    expect((await ask(assertion(), { client_id: randomUUID() })).body.error).toBe('invalid_request');
    await owner.http.post(`/v1/agents/${agent.id}/disable`);
    expect((await ask(assertion())).status).toBe(401);
  });
});

describe('Sockets of an agent', () => {
  it('go on with a token of another of its credentials', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const { body: added } = await add(agent);
    const { body: next } = await clientCredentials(app, { ...agent, clientSecret: added.clientSecret });
    const socket = await connect(app, { token });
    expect((await socket.send('auth', { token: next.access_token })).event).toBe('ready');
    const [first] = await list(agent);
    await owner.http.delete(`${secretsOf(agent)}/${first?.id}`);
    expect((await socket.send('join', { room: `agents/${agent.id}` })).event).toBe('joined');
  });
});
