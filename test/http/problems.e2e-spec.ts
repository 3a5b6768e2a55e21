import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Answer, http, type ProblemAnswer } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ CORS_ORIGINS: 'https://app.example.com,http://localhost:5173' });
  ada = await registerUser(app);
});
afterAll(() => app.stop());

function expectProblem(answer: Answer<ProblemAnswer>, status: number, code: string): void {
  expect(answer.status).toBe(status);
  expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
  expect(answer.headers.get('cache-control')).toBe('no-store');
  expect(answer.body).toMatchObject({ status, code, type: `urn:atrium:problem:${code}` });
  expect(answer.body.title).toMatch(/^[A-Z]/);
  expect(answer.body.detail).toMatch(/\S/);
  expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
  expect(answer.text).not.toMatch(/stack|\.ts:|\.js:|node_modules|SELECT|INSERT/);
}

describe('Every error is a problem', () => {
  it.each([
    '/',
    '/v1',
    '/v1/nothing',
    '/v1/items/x/y',
    '/%00',
    '/..%2f..%2fetc/passwd',
    '/v1//items',
    '/%c0%80',
  ])('404 at %s', async (path) => expectProblem(await http(app).get(path), 404, 'not_found'));

  it.each([
    ['PUT', '/v1/items', 'GET, HEAD, POST'],
    ['DELETE', '/v1/items', 'GET, HEAD, POST'],
    ['PUT', '/v1/items/019a0000-0000-7000-8000-000000000000', 'DELETE, GET, HEAD, PATCH'],
    ['GET', '/v1/auth/login', 'POST'],
    ['HEAD', '/v1/auth/login', 'POST'],
    ['POST', '/health/ready', 'GET, HEAD'],
    ['DELETE', '/health/live', 'GET, HEAD'],
    ['POST', '/openapi.json', 'GET, HEAD'],
  ])('405 for %s %s, with the methods that would do', async (method, path, allow) => {
    const answer = await http(app, ada.token).call(method, path);
    expect(answer.headers.get('allow')).toBe(allow);
    if (method === 'HEAD') expect(answer.status).toBe(405);
    else expectProblem(answer, 405, 'method_not_allowed');
  });

  it.each(['/v1/items/%zz', '/v1/items/%', '/v1/items/%c0%80', '/v1/workspaces/%ff'])(
    '400 for a path that does not decode: %s',
    async (path) => expectProblem(await ada.http.get(path), 400, 'bad_request'),
  );

  it('401 without a token', async () => expectProblem(await http(app).get('/v1/me'), 401, 'unauthenticated'));

  it.each([
    ['/v1/auth/login', { email: 'nobody@example.com', password: 'correct horse battery' }],
    ['/v1/auth/refresh', { refreshToken: 'forged' }],
    ['/v1/auth/mfa/verify', { mfaToken: 'forged', code: '123456' }],
    ['/v1/agents/enrol', { token: 'forged', name: 'x' }],
  ])('401 at %s names a scheme to authenticate by, as every 401 must', async (path, body) => {
    const answer = await http(app).post(path, body);
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="atrium"']);
  });

  it('401 with a token that is not good says so, and without one asks for one (RFC 6750, section 3.1)', async () => {
    const challenge = async (token?: string) =>
      (await http(app, token).get('/v1/me')).headers.get('www-authenticate');
    expect(await challenge()).toBe('Bearer realm="atrium"');
    expect(await challenge('forged')).toBe('Bearer realm="atrium", error="invalid_token"');
    const bob = await registerUser(app);
    await bob.http.post('/v1/auth/logout');
    expect(await challenge(bob.token)).toBe('Bearer realm="atrium", error="invalid_token"');
    expect(
      (await ada.http.post('/v1/auth/refresh', { refreshToken: 'forged' })).headers.get('www-authenticate'),
    ).toBe('Bearer realm="atrium"');
  });

  it.each(['/ws', '/ws/items/019a0000-0000-7000-8000-000000000000'])(
    '426 at %s for a request that asks for no socket, with what to ask for',
    async (path) => {
      const answer = await http(app).get(path);
      expectProblem(answer, 426, 'upgrade_required');
      expect(answer.headers.get('upgrade')).toBe('websocket');
    },
  );

  it('500 for what nobody foresaw: nothing of the cause leaves, and the next request works', async () => {
    await app.sql(`ALTER TABLE items ADD CONSTRAINT secret_rule CHECK (title <> 'unforeseen')`);
    const answer = await ada.http.post('/v1/items', { title: 'unforeseen', type: 'x', data: {} });
    await app.sql('ALTER TABLE items DROP CONSTRAINT secret_rule');
    expectProblem(answer, 500, 'internal');
    expect(answer.text).not.toMatch(/secret_rule|check|constraint|unforeseen|items|cause/i);
    expect((await ada.http.get('/v1/items')).status).toBe(200);
  });

  it('500 when a table is missing, without naming it', async () => {
    await app.sql('ALTER TABLE memberships RENAME TO gone');
    const answers = [await ada.http.get('/v1/items'), await ada.http.get('/v1/workspaces')];
    await app.sql('ALTER TABLE gone RENAME TO memberships');
    for (const answer of answers) {
      expectProblem(answer, 500, 'internal');
      expect(answer.text).not.toMatch(/memberships|relation/);
    }
    expect((await ada.http.get('/v1/items')).status).toBe(200);
  });
});

describe('The request id', () => {
  it.each(['abc-123', 'a.b:c_d', 'x'.repeat(128)])('%s is taken from the caller', async (id) => {
    const answer = await http(app).get('/v1/nothing', { headers: { 'X-Request-Id': id } });
    expect(answer.headers.get('x-request-id')).toBe(id);
    expect(answer.body.requestId).toBe(id);
  });

  it.each(['', 'has space', '<script>', 'a"b', 'x'.repeat(129), 'ü', '{"json":1}', 'a,b'])(
    'is a new one where the caller sent %j',
    async (id) => {
      const answer = await http(app).get('/v1/nothing', { headers: { 'X-Request-Id': id } });
      expect(answer.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
      expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
    },
  );

  it('is on every answer, and no two requests share one', async () => {
    const answers = await Promise.all([
      http(app).get('/health/live'),
      ada.http.get('/v1/me'),
      ada.http.get('/v1/items'),
      http(app).get('/openapi.json'),
      http(app).call('OPTIONS', '/v1/items'),
      http(app).call('HEAD', '/health/live'),
    ]);
    const ids = answers.map(({ headers }) => headers.get('x-request-id'));
    expect(ids.every((id) => /^[0-9a-f-]{36}$/.test(id ?? ''))).toBe(true);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('Methods that say something of others', () => {
  it('HEAD answers the headers of GET and no body', async () => {
    const { body } = await ada.http.post<{ id: string }>('/v1/items', { title: 'x', type: 'x', data: {} });
    for (const path of ['/v1/me', '/v1/items', `/v1/items/${body.id}`]) {
      const [head, get] = [await ada.http.call('HEAD', path), await ada.http.get(path)];
      expect([head.status, head.text]).toEqual([200, '']);
      for (const name of ['etag', 'stream-cursor', 'content-type', 'cache-control'])
        expect([name, head.headers.get(name)]).toEqual([name, get.headers.get(name)]);
    }
    expect((await http(app).call('HEAD', '/v1/me')).status).toBe(401);
  });

  it.each([
    ['/v1/items', 'GET, HEAD, OPTIONS, POST'],
    ['/oauth/token', 'OPTIONS, POST'],
    ['/v1/nothing', null],
  ])('OPTIONS at %s tells what it takes', async (path, allow) => {
    expect((await http(app).call('OPTIONS', path)).headers.get('allow')).toBe(allow);
  });

  it('a preflight from an allowed origin is granted, with what a client of ours sends', async () => {
    const answer = await http(app).call('OPTIONS', '/v1/items', {
      headers: {
        Origin: 'https://app.example.com',
        'Access-Control-Request-Method': 'PATCH',
        'Access-Control-Request-Headers': 'authorization,content-type,if-match',
      },
    });
    expect(answer.status).toBe(204);
    expect(answer.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
    expect(answer.headers.get('access-control-allow-methods')).toContain('PATCH');
    expect(answer.headers.get('access-control-allow-headers')).toBe('authorization,content-type,if-match');
    expect(answer.headers.get('vary')).toContain('Origin');
  });

  it.each(['https://evil.example', 'https://app.example.com.evil.example', 'http://app.example.com', 'null'])(
    'a preflight from %s is granted nothing',
    async (origin) => {
      for (const method of ['OPTIONS', 'GET']) {
        const answer = await http(app).call(method, '/v1/items', {
          headers: { Origin: origin, 'Access-Control-Request-Method': 'POST' },
        });
        expect(answer.headers.get('access-control-allow-origin')).toBeNull();
      }
    },
  );

  it('an allowed origin may read what a client of ours needs, also of an error', async () => {
    for (const token of [ada.token, 'forged']) {
      const answer = await http(app, token).get('/v1/items', {
        headers: { Origin: 'http://localhost:5173' },
      });
      expect(answer.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
      const exposed = answer.headers.get('access-control-expose-headers')?.split(/, */) ?? [];
      expect(exposed).toEqual(expect.arrayContaining(['ETag', 'Location', 'Stream-Cursor', 'X-Request-Id']));
    }
  });
});

describe('Security headers', () => {
  it.each(['/v1/me', '/health/live', '/v1/nothing', '/docs'])('are on %s', async (path) => {
    const { headers } = await http(app).get(path);
    expect(headers.get('content-security-policy')).toMatch(/default-src 'self'/);
    expect(headers.get('strict-transport-security')).toMatch(/max-age=\d{7,}/);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('x-frame-options')).toBe('SAMEORIGIN');
    expect(headers.get('referrer-policy')).toBe('no-referrer');
    expect(headers.get('x-powered-by')).toBeNull();
  });

  it('keep answers with private data out of shared caches', async () => {
    for (const path of ['/v1/me', '/v1/items', '/v1/workspaces', `/v1/workspaces/${ada.workspaceId}`])
      expect([path, (await ada.http.get(path)).headers.get('cache-control')]).toEqual([
        path,
        'private, no-cache',
      ]);
  });
});
