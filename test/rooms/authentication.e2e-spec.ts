import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Lifecycle } from '../../src/common/lifecycle.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type LoginAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, HandshakeRefused } from '../support/sockets.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  elsewhere = await app.startSecondInstance({ CORS_ORIGINS: 'https://app.example.com' });
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const room = () => `workspaces/${ada.workspaceId}`;
const login = async (person: Person, at: { url: string } = app) => {
  const { user, password } = person;
  return (await http(at).post<LoginAnswer>('/v1/auth/login', { email: user.email, password })).body;
};
/** Moves the time by which idle sockets are judged. */
const letPass = (ms: number) => {
  const real = performance.now.bind(performance);
  jest.spyOn(performance, 'now').mockImplementation(() => real() + ms);
};

describe('A socket proves who it speaks for before anything else', () => {
  it('by the Authorization header of the handshake', async () => {
    const client = await connect(app, { token: ada.token });
    const ready = await client.waitFor('ready', () => client.frames[0]);
    expect(ready).toEqual({
      event: 'ready',
      data: {
        connectionId: expect.any(String),
        expiresAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        heartbeat: 25_000,
      },
    });
    expect((await client.send('ping')).event).toBe('pong');
  });

  it('or by its first frame', async () => {
    const client = await connect(app);
    const ready = await client.send('auth', { token: ada.token });
    expect(ready.event).toBe('ready');
    expect(await client.join(room())).toMatchObject({ recovered: false });
  });

  it.each(['join', 'publish', 'ping', 'leave', 'nonsense'])(
    '%s before that is refused, and the socket closed',
    async (event) => {
      const client = await connect(app);
      const id = client.post(event, { room: room(), type: 'note', data: {} });
      client.post('auth', { token: ada.token }); // too late
      expect(await client.closed).toMatchObject({ code: 4001 });
      expect(client.frames).toEqual([
        { event: 'error', id, data: { code: 'unauthenticated', detail: expect.any(String) } },
      ]);
      const stored = await app.sql('SELECT 1 FROM events WHERE stream_id = $1', [ada.workspaceId]);
      expect(stored).toEqual([]);
    },
  );

  it('within ten seconds', async () => {
    const silent = await connect(app);
    const known = await connectAndJoin(app, ada.token, room());
    letPass(10_001);
    expect(await silent.closed).toMatchObject({ code: 4001 });
    await known.barrier();
  });

  it.each([
    ['forged', () => 'forged'],
    ['signed by somebody else', () => ada.token.replace(/[^.]+$/, (signature) => `A${signature.slice(1)}B`)],
    ['a refresh token', () => ada.refreshToken],
    ['empty', () => ''],
  ])('a token that is %s is answered with an error and 4001', async (_, token) => {
    const byFrame = await connect(app);
    const id = byFrame.post('auth', { token: token() });
    expect(await byFrame.closed).toMatchObject({ code: 4001 });
    expect(byFrame.frames).toEqual([
      { event: 'error', id, data: expect.objectContaining({ code: 'unauthenticated' }) },
    ]);
    const byHeader = await connect(app, { headers: { Authorization: `Bearer ${token()}` } });
    expect(await byHeader.closed).toMatchObject({ code: 4001 });
    expect(byHeader.frames).toMatchObject([{ event: 'error', data: { code: 'unauthenticated' } }]);
  });

  it('an auth frame without a token is no proof either', async () => {
    const client = await connect(app);
    const answer = await client.send('auth', {});
    expect(answer).toMatchObject({ event: 'error', data: { code: 'validation_failed' } });
    client.post('ping');
    expect(await client.closed).toMatchObject({ code: 4001 });
  });

  it('a token in the URL is ignored', async () => {
    const client = await connect(app, { path: `/ws?token=${ada.token}&access_token=${ada.token}` });
    client.post('join', { room: room() });
    expect(await client.closed).toMatchObject({ code: 4001 });
  });
});

describe('A token ends', () => {
  it('and with it the socket (4210), unless a newer one came before', async () => {
    const grace = await registerUser(app);
    const { accessToken } = await login(grace);
    const [expiring, renewed] = [
      await connect(app, { token: accessToken }),
      await connect(app, { token: accessToken }),
    ];
    const before = (await renewed.waitFor('ready', () => renewed.frames[0])).data.expiresAt as string;
    app.moveClock(600_000);
    try {
      const newer = (await login(grace)).accessToken;
      const ready = await renewed.send<{ expiresAt: string }>('auth', { token: newer });
      expect(Date.parse(ready.data.expiresAt) - Date.parse(before)).toBeGreaterThanOrEqual(599_000);
      app.moveClock(301_000);
      expect(await expiring.closed).toMatchObject({ code: 4210 });
      await renewed.barrier();
      const late = await connect(app);
      late.post('auth', { token: accessToken });
      expect(await late.closed).toMatchObject({ code: 4001 });
    } finally {
      app.moveClock(-901_000);
    }
  });

  it('a newer one of another principal is refused, and the socket goes on as it was', async () => {
    const mallory = await registerUser(app);
    const client = await connectAndJoin(app, ada.token, room());
    const answer = await client.send('auth', { token: mallory.token });
    expect(answer).toMatchObject({ event: 'error', data: { code: 'other_principal' } });
    expect(await client.send('join', { room: `workspaces/${mallory.workspaceId}` })).toMatchObject({
      event: 'error',
      data: { code: 'not_found' },
    });
    expect(await client.join(room())).toBeDefined();
  });

  it('a newer one that is not good is refused, and the socket goes on as it was', async () => {
    const client = await connectAndJoin(app, ada.token, room());
    const answer = await client.send('auth', { token: 'forged' });
    expect(answer).toMatchObject({ event: 'error', data: { code: 'unauthenticated' } });
    await client.barrier();
  });
});

describe('Logging out', () => {
  it('closes the sockets of that session with 4003: at once here, soon elsewhere', async () => {
    const { accessToken } = await login(ada);
    const here = await connectAndJoin(app, accessToken, room());
    const there = await connectAndJoin(elsewhere, accessToken, room());
    const otherSession = await connectAndJoin(elsewhere, ada.token, room());
    await http(app, accessToken).post('/v1/auth/logout');
    expect(await here.closed).toMatchObject({ code: 4003 });
    expect(await there.closed).toMatchObject({ code: 4003 });
    await otherSession.barrier();
  });

  it('a token of an ended session opens nothing: 4003', async () => {
    const { accessToken } = await login(ada);
    await http(app, accessToken).post('/v1/auth/logout');
    const byHeader = await connect(app, { token: accessToken });
    expect(await byHeader.closed).toMatchObject({ code: 4003 });
    const byFrame = await connect(app);
    const id = byFrame.post('auth', { token: accessToken });
    expect(await byFrame.closed).toMatchObject({ code: 4003 });
    expect(byFrame.frames).toMatchObject([{ event: 'error', id, data: { code: 'session_revoked' } }]);
  });

  it('nothing reaches the socket after it, not even what is written in the same moment', async () => {
    const { accessToken } = await login(ada);
    const client = await connectAndJoin(app, accessToken, room());
    const writer = await connectAndJoin(app, ada.token, room());
    await http(app, accessToken).post('/v1/auth/logout');
    await writer.send('publish', { room: room(), type: 'secret', data: {} });
    await client.closed;
    expect(client.events(room())).toEqual([]);
  });
});

describe('The handshake', () => {
  const status = (options: { path?: string; headers?: Record<string, string> }, at: { url: string } = app) =>
    connect(at, { token: ada.token, ...options }).then(
      () => 101,
      (error: unknown) => (error instanceof HandshakeRefused ? error.status : error),
    );

  it.each([
    ['https://evil.example', 403],
    ['null', 403],
    ['http://127.0.0.1:1', 403],
    ['https://app.example.com.evil.example', 403],
    ['https://app.example.com', 101],
  ])('from the origin %s is answered %d', async (origin, expected) => {
    expect(await status({ headers: { Origin: origin } }, elsewhere)).toBe(expected);
  });

  it('from the own origin, or from a client that has none, is taken', async () => {
    expect(await status({ headers: { Origin: app.url } })).toBe(101);
    expect(await status({})).toBe(101);
  });

  it.each(['/', '/wss', '/ws/items', '/ws/items/1', '/v1/items', '/ws//'])(
    'at %s is answered 404, with a problem as everywhere',
    async (path) => {
      const headers = { 'X-Request-Id': 'mine' };
      const refusal = await connect(app, { token: ada.token, path, headers }).catch(
        (error: unknown) => error,
      );
      if (!(refusal instanceof HandshakeRefused)) throw new Error(`${path} was answered`);
      expect(refusal.status).toBe(404);
      expect(refusal.headers).toMatchObject({
        'content-type': 'application/problem+json; charset=utf-8',
        'x-request-id': 'mine',
      });
      expect(JSON.parse(refusal.body)).toMatchObject({ status: 404, code: 'not_found', requestId: 'mine' });
    },
  );

  it('confirms no subprotocol that a client offers: none is spoken', async () => {
    // The client takes an answer that names one for an error, since it asked for none itself.
    expect(await status({ headers: { 'Sec-WebSocket-Protocol': 'graphql-ws, bearer' } })).toBe(101);
  });

  it('while the instance closes is answered 503, with the advice to come back', async () => {
    const instance = await app.startSecondInstance();
    instance.nest.get(Lifecycle).close(10_000);
    const refusal = await connect(instance, { token: ada.token }).catch((error: unknown) => error);
    expect(refusal).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    await instance.stop();
  });
});
