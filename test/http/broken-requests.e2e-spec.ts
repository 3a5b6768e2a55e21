import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { startAtrium, type TestApp } from '../support/app.js';
import { http, type ProblemAnswer } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ HEADERS_TIMEOUT_MS: '300', BODY_TIMEOUT_MS: '300' });
  ada = await registerUser(app);
});
afterAll(() => app.stop());

async function dial(): Promise<Socket> {
  const { hostname, port } = new URL(app.url);
  const socket = connect({ host: hostname, port: Number(port) });
  await once(socket, 'connect');
  return socket;
}

/** Sends this and no more. @returns what is answered before the connection is closed */
async function say(bytes: string): Promise<{ status: number; head: string; problem: ProblemAnswer }> {
  const socket = await dial();
  socket.write(bytes);
  const answer = await text(socket);
  const [head = '', body = ''] = answer.split('\r\n\r\n');
  return { status: Number(head.split(' ')[1]), head, problem: JSON.parse(body) as ProblemAnswer };
}

const head = (line: string, ...headers: string[]): string =>
  [line, 'Host: atrium', ...headers, '', ''].join('\r\n');
const post = (...headers: string[]): string =>
  head(
    'POST /v1/items HTTP/1.1',
    `Authorization: Bearer ${ada.token}`,
    'Content-Type: application/json',
    ...headers,
  );

const WEBSOCKET_KEY = 'dGhlIHNhbXBsZSBub25jZQ==';

describe('What is not a request', () => {
  it.each<[string, number, string, () => string]>([
    ['no HTTP', 400, 'bad_request', () => '\u0016\u0003\u0001 this is not HTTP\r\n\r\n'],
    ['a header without a name', 400, 'bad_request', () => head('GET / HTTP/1.1', ': x')],
    ['nobody whom it is for', 400, 'bad_request', () => 'GET /v1/me HTTP/1.1\r\nConnection: close\r\n\r\n'],
    [
      'two whom it is for',
      400,
      'bad_request',
      () => head('GET /health/live HTTP/1.1', 'HOST: another', 'Connection: close'),
    ],
    ['two lengths', 400, 'bad_request', () => post('Content-Length: 2', 'Content-Length: 3')],
    [
      'a length and chunks',
      400,
      'bad_request',
      () => post('Content-Length: 2', 'Transfer-Encoding: chunked'),
    ],
    ['a chunk without a size', 400, 'bad_request', () => `${post('Transfer-Encoding: chunked')}z\r\n`],
    [
      'too many headers',
      431,
      'headers_too_large',
      () => head('GET / HTTP/1.1', `X-Long: ${'x'.repeat(20_000)}`),
    ],
    ['half a head, and then nothing', 408, 'request_timeout', () => 'GET /v1/me HTTP/1.1\r\nHost: atr'],
    [
      'half a body, and then nothing',
      408,
      'request_timeout',
      () => `${post('Content-Length: 100')}{"title":`,
    ],
    [
      'half a chunk, and then nothing',
      408,
      'request_timeout',
      () => `${post('Transfer-Encoding: chunked')}5\r\n{"t`,
    ],
  ])('%s is answered %i, as a problem, and the connection is closed', async (_, status, code, bytes) => {
    const answer = await say(bytes());
    expect([answer.status, answer.problem.status, answer.problem.code]).toEqual([status, status, code]);
    expect(answer.head.toLowerCase()).toContain('content-type: application/problem+json; charset=utf-8');
    expect(answer.head.toLowerCase()).toContain('connection: close');
    expect(answer.head).toContain(answer.problem.requestId);
    expect((await http(app).get('/health/live')).status).toBe(200);
  });

  it.each<[string, number, string, readonly string[]]>([
    [
      'with another method',
      405,
      'POST',
      ['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${WEBSOCKET_KEY}`],
    ],
    ['without a key', 400, 'GET', ['Sec-WebSocket-Version: 13']],
    [
      'of an unknown version',
      400,
      'GET',
      ['Sec-WebSocket-Version: 99', `Sec-WebSocket-Key: ${WEBSOCKET_KEY}`],
    ],
    [
      'of a draft, in which browsers named the page by another header',
      400,
      'GET',
      ['Sec-WebSocket-Version: 8', `Sec-WebSocket-Key: ${WEBSOCKET_KEY}`],
    ],
  ])('a handshake %s is answered %i, as a problem', async (_, status, method, headers) => {
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', ...headers];
    const answer = await say(head(`${method} /ws HTTP/1.1`, ...upgrade));
    expect([answer.status, answer.problem.status]).toEqual([status, status]);
    expect(answer.head).toContain(answer.problem.requestId);
    expect(answer.head).toContain(method === 'GET' ? 'Sec-WebSocket-Version: 13' : 'Allow: GET');
  });

  it('a handshake over HTTP/1.0, or for two hosts, is answered 400, as a problem', async () => {
    const upgrade = ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'];
    const whole = [...upgrade, `Sec-WebSocket-Key: ${WEBSOCKET_KEY}`];
    for (const bytes of [head('GET /ws HTTP/1.0', ...whole), head('GET /ws HTTP/1.1', 'Host: b', ...whole)]) {
      const answer = await say(bytes);
      expect([answer.status, answer.problem.code]).toEqual([400, 'bad_request']);
    }
  });

  it('an offer of HTTP/2, or an expectation that nobody knows, changes nothing about a good one', async () => {
    for (const headers of [
      ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'],
      ['Expect: wonders'],
    ]) {
      const socket = await dial();
      const line = 'GET /v1/me HTTP/1.1';
      const closing = headers.length > 1 ? [] : ['Connection: close'];
      socket.write(head(line, `Authorization: Bearer ${ada.token}`, ...headers, ...closing));
      expect(String(await once(socket, 'data'))).toMatch(/^HTTP\/1\.1 200 /);
      socket.destroy();
    }
  });

  it('a form that does not come is given up, too', async () => {
    const headers = ['Content-Type: application/x-www-form-urlencoded', 'Content-Length: 100'];
    const { status } = await say(`${head('POST /oauth/token HTTP/1.1', ...headers)}grant_type=`);
    expect(status).toBe(408);
  });

  it('a body that comes slowly, but in time, is read', async () => {
    const socket = await dial();
    const json = JSON.stringify({ title: 'slow', type: 'x', data: {} });
    socket.write(post(`Content-Length: ${json.length}`, 'Connection: close') + json.slice(0, 10));
    await http(app).get('/health/live');
    socket.write(json.slice(10));
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 201 /);
  });

  it('behind an answer that has begun ends the connection without a word that could be taken for its rest', async () => {
    const socket = await dial();
    const room = `workspaces/${ada.workspaceId}`;
    socket.write(head(`GET /v1/events/stream?room=${room} HTTP/1.1`, `Authorization: Bearer ${ada.token}`));
    await once(socket, 'data');
    let rest = '';
    socket.setEncoding('utf8').on('data', (part: string) => (rest += part));
    socket.write('this is not HTTP\r\n\r\n');
    await once(socket, 'close');
    expect(rest).not.toContain('HTTP/1.1 400');
  });
});
