import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect, connectAndJoin, type SocketClient } from '../support/sockets.js';

let app: TestApp;
let strict: Instance;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  strict = await app.startSecondInstance({ SOCKET_FRAME_LIMIT_BYTES: '1024', SOCKET_FRAME_RATE: '5' });
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterAll(() => app.stop());

/** Sends something that has no id, and waits for the next frame. */
const ask = async (client: SocketClient, message: string) => {
  const before = client.frames.length;
  client.raw(message);
  return client.waitFor('an answer', () => client.frames[before]);
};
const ready = async (at: { url: string } = app) => {
  const client = await connect(at, { token: ada.token });
  await client.waitFor('ready', () => client.frames[0]);
  return client;
};

describe('A frame that is not one', () => {
  it.each([
    ['nothing', ''],
    ['no JSON', '{"event":'],
    ['a list', '[]'],
    ['a text', '"ping"'],
    ['null', 'null'],
    ['without event', '{"data":{}}'],
    ['with an event that is no text', '{"event":1}'],
    ['with an id that is no number', '{"event":"ping","id":"1"}'],
    ['with an id that is no whole number', '{"event":"ping","id":1.5}'],
    ['with an id that loses precision', '{"event":"ping","id":9007199254740993}'],
    ['nested too deep', `{"event":"publish","data":{"data":${'['.repeat(200)}${']'.repeat(200)}}}`],
  ])('(%s) is answered, and the socket goes on', async (_, message) => {
    const client = await ready();
    const answer = await ask(client, message);
    expect(answer).toMatchObject({ event: 'error', data: { code: 'malformed_frame' } });
    expect(answer.data.detail).not.toMatch(/undefined|\[object/);
    await client.barrier();
  });

  it.each([
    ['no text as event', '{"event":1,"id":7}'],
    ['a key beside data that is not allowed', '{"event":"ping","__proto__":{},"id":7}'],
    ['too much nesting', `{"id":7,"event":"ping","data":{"data":${'['.repeat(200)}${']'.repeat(200)}}}`],
  ])('with %s is answered under its id, if it has one', async (_, message) => {
    const client = await ready();
    expect(await ask(client, message)).toMatchObject({ id: 7, data: { code: 'malformed_frame' } });
    await client.barrier();
  });

  it.each([
    ['a NUL character', '{"data":"a\\u0000b"}', '/data'],
    ['half of a surrogate pair', '{"data":["\\ud800"]}', '/data/0'],
    ['a __proto__ key', '{"data":{"__proto__":{"admin":true}}}', '/data/__proto__'],
    ['an escaped __proto__ key', '{"\\u005f_proto__":{"admin":true}}', '/__proto__'],
    ['a number that loses precision', '{"data":{"n":12345678901234567890}}', '/data/n'],
    ['a number out of range', '{"data":1e400}', '/data'],
  ])(
    'that says %s is told where, under its id, and is no strike against the socket',
    async (_, data, pointer) => {
      const client = await ready();
      for (let n = 0; n < 12; n++) {
        const answer = await ask(client, `{"event":"publish","data":${data},"id":${n}}`);
        expect(answer).toMatchObject({
          event: 'error',
          id: n,
          data: { code: 'validation_failed', errors: [{ pointer }] },
        });
      }
      await client.barrier();
    },
  );

  it.each(['nonsense', 'constructor', '__proto__', 'toString', 'JOIN', ''])(
    'asks for %p, which does not exist: the answer says so, under its id',
    async (event) => {
      const client = await ready();
      const answer = await client.send(event);
      expect(answer).toMatchObject({ event: 'error', data: { code: 'unknown_event' } });
    },
  );

  it.each([[[]], [null], ['text'], [7]])('with %p as data is refused, under its id', async (data) => {
    const client = await ready();
    expect(await client.send('join', data)).toMatchObject({
      event: 'error',
      data: { code: 'validation_failed' },
    });
  });

  it('ten times in a row ends the socket with 4400, nine times do not', async () => {
    const client = await ready();
    for (let n = 0; n < 9; n++) client.raw('nonsense');
    await client.barrier();
    for (let n = 0; n < 9; n++) client.raw('nonsense');
    await client.barrier();
    client.raw('nonsense'); // the first in a row again
    await client.barrier();
    for (let n = 0; n < 10; n++) client.raw('nonsense');
    expect(await client.closed).toMatchObject({ code: 4400 });
    const errors = client.frames.filter(({ event }) => event === 'error');
    expect(errors).toHaveLength(29); // each of them was answered
  });

  it('because it is binary ends the socket with 4400', async () => {
    const client = await ready();
    client.raw(Buffer.from('{"event":"ping"}'));
    expect(await client.closed).toMatchObject({ code: 4400 });
  });

  it('because it is no UTF-8 ends the socket with 1007', async () => {
    const client = await ready();
    client.socket.send(Buffer.from([0x7b, 0xff, 0x7d]), { binary: false });
    expect(await client.closed).toMatchObject({ code: 1007 });
  });
});

describe('A frame too many', () => {
  it('bytes: 1009; one of just the size allowed is taken', async () => {
    const frame = (length: number) => {
      const empty = JSON.stringify({ event: 'ping', data: '', id: 1 });
      return JSON.stringify({ event: 'ping', data: 'x'.repeat(length - empty.length), id: 1 });
    };
    const client = await ready(strict);
    expect(await ask(client, frame(1_024))).toMatchObject({ event: 'pong', id: 1 });
    client.raw(frame(1_025));
    expect(await client.closed).toMatchObject({ code: 1009 });
  });

  it('per second: 4429 after a burst of two seconds; who keeps to the rate is left alone', async () => {
    const client = await ready(strict);
    for (let n = 0; n < 40; n++) client.raw('{"event":"ping"}');
    expect(await client.closed).toMatchObject({ code: 4429 });
    const pongs = client.frames.filter(({ event }) => event === 'pong').length;
    expect(pongs).toBeLessThanOrEqual(15);
    const calm = await ready(strict);
    for (let n = 0; n < 10; n++) calm.raw('{"event":"ping"}');
    await calm.waitFor('every pong', () => calm.frames.length >= 11);
  });

  it('ends that socket only', async () => {
    const neighbour = await connectAndJoin(strict, ada.token, room);
    const client = await ready(strict);
    client.raw('x'.repeat(2_000));
    await client.closed;
    await neighbour.barrier();
  });
});
