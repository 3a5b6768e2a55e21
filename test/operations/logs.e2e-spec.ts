import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import { testVariables } from '../support/app.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { logged, type LogLine, logLines } from '../support/log-lines.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { RawConnection } from '../support/raw-connection.js';
import { connect } from '../support/sockets.js';

const FAULT = 'a fault that was planted';
const PLANTED = `
  CREATE FUNCTION planted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.title LIKE 'fault%' THEN RAISE EXCEPTION '${FAULT}: %', NEW.title; END IF; RETURN NEW; END $$;
  CREATE TRIGGER planted BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION planted()`;
const TRACE = '0af7651916cd43dd8448eb211c80319c';

let database: TestDatabase;
let atrium: AtriumProcess;
let url: string;
let ada: Person;
let client: Client;
beforeAll(async () => {
  database = await createTestDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
  // A mistake of ours that quotes what it was given, as PostgreSQL does.
  await client.query(PLANTED);
  const planted = new URL(database.url);
  planted.searchParams.set('application_name', 'planted-in-the-address');
  const variables = {
    ...testVariables(planted.href),
    LOG_LEVEL: 'debug',
    FACTOR_SECRET: 'planted-factor-secret-0123456789abcdef',
  };
  atrium = await spawnAtrium(variables, compiledPath(join(root, 'src/main.ts')));
  url = await atrium.url();
  ada = await registerUser({ url });
}, 180_000);
afterAll(async () => {
  await atrium.kill();
  await client.end();
  await database.drop();
});

const ended = (requestId: string): Promise<LogLine> =>
  logged(atrium, requestId, (line) => line.module === 'Request' && line.requestId === requestId);

/** Sends a request under a new id. @returns the line of its end */
async function lineOf(
  method: string,
  path: string,
  options: { headers?: Record<string, string>; json?: unknown; raw?: string; token?: string } = {},
): Promise<LogLine> {
  const id = randomUUID();
  await http({ url }, options.token ?? ada.token).call(method, path, {
    ...options,
    headers: { ...options.headers, 'X-Request-Id': id },
  });
  return ended(id);
}

describe('A request is one line', () => {
  it('that says who asked for what, where, in which trace, with which end and how long it took', async () => {
    const { id } = await createItem(ada);
    const line = await lineOf('GET', `/v1/items/${id}`, {
      headers: { traceparent: `00-${TRACE}-b7ad6b7169203331-01` },
    });
    expect(line).toMatchObject({
      level: 'info',
      module: 'Request',
      traceId: TRACE,
      principal: `user:${ada.user.id}`,
      method: 'GET',
      route: '/v1/items/:id',
      status: 200,
      msg: 'request',
    });
    expect(line.durationMs).toBeGreaterThan(0);
    expect(Date.parse(line.time)).toBeLessThanOrEqual(Date.now());
    expect(logLines(atrium).filter(({ requestId }) => requestId === line.requestId)).toHaveLength(1);
  });

  it('with the workspace where the request names one', async () => {
    const { workspaceId } = ada;
    const item = { title: 'x', type: 'x', data: {}, workspaceId };
    const lines = [
      await lineOf('GET', `/v1/workspaces/${workspaceId}`),
      await lineOf('GET', `/v1/items?workspaceId=${workspaceId}`),
      await lineOf('POST', '/v1/items', { json: item }),
    ];
    expect(lines.map((line) => line.workspaceId)).toEqual([workspaceId, workspaceId, workspaceId]);
  });

  it('with the workspace of the item that it is about', async () => {
    const { id } = await createItem(ada);
    for (const [method, path] of [
      ['GET', `/v1/items/${id}`],
      ['DELETE', `/v1/items/${id}`],
    ] as const)
      expect((await lineOf(method, path)).workspaceId).toBe(ada.workspaceId);
  });

  it.each<[number, string, string, string, { raw?: string; token?: string; type?: string }]>([
    [401, 'GET', '/v1/me', '/v1/me', { token: 'x' }],
    [404, 'GET', '/v1/items/019a0000-0000-7000-8000-000000000000', '/v1/items/:id', {}],
    [405, 'PUT', '/v1/items', '/v1/items', { raw: '{}' }],
    [400, 'POST', '/v1/items', '/v1/items', { raw: '{' }],
    [413, 'POST', '/v1/items', '/v1/items', { raw: ' '.repeat(2_000_000) }],
    [415, 'POST', '/v1/items', '/v1/items', { raw: 'x', type: 'text/plain' }],
  ])('that ends with %i says of it what any does: %s', async (status, method, path, route, options) => {
    const { type = 'application/json', ...rest } = options;
    const line = await lineOf(method, path, { ...rest, headers: { 'Content-Type': type } });
    expect(line).toEqual({
      level: 'info',
      time: expect.any(String),
      module: 'Request',
      requestId: line.requestId,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
      // Whoever was not asked is not known.
      ...(status === 404 && { principal: `user:${ada.user.id}` }),
      method,
      route,
      status,
      durationMs: expect.any(Number),
      msg: 'request',
    });
  });

  it('and no more, of one whose caller goes in the middle of its body', async () => {
    const connection = await RawConnection.open(url);
    connection.dawdle(
      'POST /v1/items HTTP/1.1\r\nHost: atrium\r\nX-Request-Id: cut-off\r\nContent-Type: application/json\r\n' +
        'Content-Length: 100\r\n\r\n{"title',
    );
    connection.finish();
    expect(await ended('cut-off')).toMatchObject({ route: '/v1/items', aborted: true });
    await lineOf('GET', '/v1/me');
    expect(logLines(atrium).filter(({ msg }) => msg === 'no request')).toEqual([]);
  });

  it.each([
    ['none', undefined],
    ['of zeros', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`],
    ['in capitals', `00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`],
    ['of a version that is not', `ff-${TRACE}-b7ad6b7169203331-01`],
    ['cut short', `00-${TRACE.slice(1)}-b7ad6b7169203331-01`],
    ['with more behind it', `00-${TRACE}-b7ad6b7169203331-01x`],
  ])('in a new trace where the traceparent is %s', async (_, traceparent) => {
    const { traceId } = await lineOf('GET', '/v1/me', { headers: traceparent ? { traceparent } : {} });
    expect(traceId).toMatch(/^(?!0{32})[0-9a-f]{32}$/);
    expect(traceId).not.toBe(TRACE);
  });

  it('without the address where no route is', async () => {
    const line = await lineOf('GET', '/v1/nothing/at-all?token=planted-in-the-address');
    expect(line.status).toBe(404);
    expect(line).not.toHaveProperty('route');
  });

  it('that probes do not have', async () => {
    const { requestId } = await lineOf('GET', '/v1/me');
    await http({ url }).get('/health/live', { headers: { 'X-Request-Id': 'of-a-probe' } });
    await http({ url }).get('/health/ready', { headers: { 'X-Request-Id': 'of-a-probe' } });
    await lineOf('GET', '/v1/me');
    const ids = logLines(atrium).map((line) => line.requestId);
    expect(ids).toContain(requestId);
    expect(ids).not.toContain('of-a-probe');
  });
});

describe('What is logged inside of something', () => {
  it('belongs to the request, also after its body was read and the database was asked', async () => {
    const line = await lineOf('POST', '/v1/items', { json: { title: 'fault', type: 'x', data: {} } });
    expect(line.status).toBe(500);
    const problem = await logged(
      atrium,
      'the problem',
      (each) => each.module === 'Problem' && each.requestId === line.requestId,
    );
    expect(problem).toMatchObject({
      level: 'error',
      principal: `user:${ada.user.id}`,
      traceId: line.traceId,
    });
    expect(problem.msg).toContain(FAULT);
    expect(problem.stack).toMatch(/\n {4}at /);
  });

  it('belongs to the socket, whose life is one line when it has closed', async () => {
    const headers = { 'X-Request-Id': 'a-socket', traceparent: `00-${TRACE}-b7ad6b7169203331-01` };
    const socket = await connect({ url }, { token: ada.token, headers });
    await socket.join(`workspaces/${ada.workspaceId}`);
    await client.query('ALTER TABLE memberships RENAME TO gone');
    const answer = await socket.send('join', { room: `workspaces/${ada.workspaceId}` });
    await client.query('ALTER TABLE gone RENAME TO memberships');
    expect(answer.event).toBe('error');
    await socket.close();
    const line = await logged(atrium, 'the end of the socket', ({ module }) => module === 'Socket');
    expect(line).toMatchObject({
      requestId: 'a-socket',
      traceId: TRACE,
      principal: `user:${ada.user.id}`,
      workspaceId: ada.workspaceId,
      method: 'GET',
      route: '/ws',
      status: 101,
      code: 1000,
      durationMs: expect.any(Number),
    });
    const problem = logLines(atrium).find(
      ({ module, connectionId }) => module === 'Problem' && connectionId === line.connectionId,
    );
    expect(problem).toMatchObject({ principal: line.principal, requestId: 'a-socket', traceId: TRACE });
  });

  it('a handshake that is refused is a line, too', async () => {
    await connect({ url }, { path: '/ws/nowhere', headers: { 'X-Request-Id': 'refused' } }).catch(() => 0);
    const line = await logged(atrium, 'the handshake', ({ requestId }) => requestId === 'refused');
    expect(line).toMatchObject({ module: 'Socket', method: 'GET', status: 404 });
    expect([typeof line.traceId, typeof line.durationMs]).toEqual(['string', 'number']);
  });
});

describe('Input', () => {
  it('forges no line and reaches no terminal: what it would take is escaped', async () => {
    const forged = '{"level":"fatal","module":"Forged","msg":"all is lost"}';
    const title = `fault\r\n${forged}\u001b[31mred\u009b31m\u2028${forged}`;
    const { requestId } = await lineOf('POST', '/v1/items', {
      json: { title, type: 'x', data: {} },
      headers: { 'User-Agent': `x\t${forged}` },
    });
    const problem = await logged(
      atrium,
      'the problem',
      (each) => each.module === 'Problem' && each.requestId === requestId,
    );
    expect(problem.msg).toContain('\\u001b[31mred\\u009b31m\\u2028');
    expect(logLines(atrium).filter(({ module }) => module === 'Forged')).toEqual([]);
    expect(atrium.output()).not.toMatch(/(?!\n)[\p{Cc}\u2028]/u);
  });
});

describe('Secrets', () => {
  it('are in no line, wherever they were sent and whatever failed then', async () => {
    const secret = (place: string) => `planted-${place}-${'s'.repeat(8)}`;
    const call = http({ url });
    const password = secret('password');
    const grace = await registerUser({ url }, { password });
    await call.post('/v1/auth/login', { email: grace.user.email, password: secret('wrong') });
    await grace.http.post('/v1/auth/change-password', {
      currentPassword: secret('old'),
      newPassword: secret('new'),
    });
    await call.get(`/v1/me?token=${secret('query')}&access_token=${secret('query')}`, {
      headers: { Authorization: `Bearer ${secret('bearer')}`, Cookie: `atrium-refresh=${secret('cookie')}` },
    });
    await call.post('/v1/auth/refresh', { refreshToken: secret('refresh') });
    await call.post('/v1/auth/refresh', { refreshToken: grace.refreshToken });
    await call.post('/v1/auth/reset-password', { token: secret('reset'), password: secret('reset') });
    await call.post('/oauth/token', undefined, {
      raw: `grant_type=client_credentials&client_id=x&client_secret=${secret('client')}`,
      headers: { 'Content-Type': 'application/x-www-form-urlencoded' },
    });
    await call.get(`/v1/auth/oauth/x/callback?code=${secret('code')}&state=${secret('state')}`);
    // Quoted by an error of the database, in the shapes in which they come.
    for (const title of [
      `fault Authorization: Bearer ${secret('header')}`,
      `fault {"password":"${secret('json')}","client_secret": "${secret('json')}"}`,
      `fault https://app.example.com/?a=1&token=${secret('link')}&code=${secret('link')}`,
      `fault postgresql://atrium:${secret('database')}@db.internal/atrium`,
      `fault ${ada.token}`,
      `fault ${grace.refreshToken}`,
    ])
      await ada.http.post('/v1/items', { title, type: 'x', data: {} });
    await client.query('ALTER TABLE users RENAME TO gone');
    await call.post('/v1/auth/register', { email: 'eve@example.com', password: secret('failing') });
    await call.post('/v1/auth/login', { email: 'eve@example.com', password: secret('failing') });
    await client.query('ALTER TABLE gone RENAME TO users');
    await lineOf('GET', '/v1/me');

    const output = atrium.output();
    expect(output.split(FAULT).length).toBeGreaterThan(6);
    const shown = [...output.matchAll(/planted-[\w-]+/g)].map(([text]) => text);
    expect(shown).toEqual([]);
    for (const token of [
      ada.token,
      ada.refreshToken,
      grace.refreshToken,
      grace.token,
      testVariables('')['TOKEN_SECRET'],
    ])
      expect(output).not.toContain(token);
  });
});

describe('How much is logged', () => {
  it('is everything after SIGUSR2, and as before after the next', async () => {
    atrium.child.kill('SIGUSR2');
    await logged(atrium, 'everything', ({ msg }) => msg === 'Everything is logged');
    atrium.child.kill('SIGUSR2');
    await logged(atrium, 'as before', ({ msg }) => msg === 'As much is logged as before');
  });
});
