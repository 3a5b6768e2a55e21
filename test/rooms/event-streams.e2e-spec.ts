import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { Browser } from '../support/browser.js';
import {
  bearer,
  closeStreams,
  follow,
  openStream,
  type StreamClient,
  streamsOf,
} from '../support/event-streams.js';
import { http } from '../support/http.js';
import { addMember, createItem, PASSWORD, type Person, registerUser } from '../support/people.js';
import { startProxy } from '../support/severable-proxy.js';
import { closeSockets, connectAndJoin, seqOf } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

let app: TestApp;
let elsewhere: Instance;
let ada: Person;
let room: string;
beforeAll(async () => {
  app = await startAtrium({ EVENT_STREAM_LIMIT: '3' });
  elsewhere = await app.startSecondInstance({ EVENT_STREAM_LIMIT: '100' });
});
beforeEach(async () => {
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeStreams);
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

const seqs = ({ events }: StreamClient) => events.map(({ cursor }) => seqOf(cursor));
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n + 1);

describe('An event stream', () => {
  it('is text/event-stream that nothing on the way keeps or collects, and begins at once', async () => {
    const { response, text } = await openStream(app, { room }, bearer(ada)).then(async (stream) => {
      await until('joined', () => stream.text.endsWith('\n\n'));
      return stream;
    });
    expect(response.statusCode).toBe(200);
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    expect(response.headers['content-encoding']).toBeUndefined();
    expect(text).toMatch(/^retry: \d+\nid: [0-9a-z]+-0\nevent: joined\ndata: \{.*\}\n\n$/);
    const [, data = ''] = /data: (.*)/.exec(text) ?? [];
    const { cursor } = JSON.parse(data) as { cursor: string };
    expect(JSON.parse(data)).toMatchObject({ room, cursor, recovered: false });
  });

  it('beats while nothing happens, by comments that clients do not see', async () => {
    // Sockets of an instance that expects to hear of them as often would not survive a busy machine.
    const quick = await app.startSecondInstance({ SOCKET_HEARTBEAT_MS: '1000' });
    const stream = await openStream(quick, { room }, bearer(ada));
    await until('a heartbeat', () => stream.text.includes('\n\n:\n\n'));
  });

  it('brings every event once, in order, from every instance, the same as sockets are sent', async () => {
    const streams = await Promise.all([app, elsewhere].map((at) => follow(at, ada.token, room)));
    const socket = await connectAndJoin(app, ada.token, room);
    const other = http(elsewhere, ada.token);
    const item = { title: 'ü "x"\r\n\u2028', type: 'x', data: { text: 'a\nb\r\n\nid: 7\n\n' } };
    await Promise.all(upTo(40).map((n) => (n % 2 ? ada.http : other).post('/v1/items', item)));
    const sent = await socket.received(room, 40);
    for (const stream of streams) {
      const received = await stream.received('event', 40);
      expect(stream.events).toEqual(sent);
      expect(received.map(({ lastEventId }) => lastEventId)).toEqual(sent.map(({ cursor }) => cursor));
    }
  });

  it('brings what is not kept, too, without an id', async () => {
    const stream = await follow(app, ada.token, room);
    const socket = await connectAndJoin(app, ada.token, room);
    await socket.send('publish', { room, type: 'typing', data: { who: 'ada' }, durable: false });
    const [message] = await stream.received('event');
    expect(message).toMatchObject({ data: { event: { type: 'typing' } } });
    expect(seqOf(message?.lastEventId)).toBe(0);
  });

  it('of an item has that item alone', async () => {
    const [{ id }] = [await createItem(ada), await createItem(ada)];
    const stream = await follow(app, ada.token, `items/${id}`);
    await createItem(ada);
    await ada.http.patch(`/v1/items/${id}`, { data: {} });
    await stream.received('event');
    expect(seqs(stream)).toEqual([4]);
  });

  it('answers HEAD with its headers, and is done', async () => {
    const answer = await ada.http.call('HEAD', `/v1/events/stream?room=${room}`);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    expect(streamsOf(app).size).toBe(0);
  });
});

describe('A stream that breaks', () => {
  it('is resumed by the client itself, at another instance, with exactly what was missed', async () => {
    const proxy = await startProxy(app.url);
    try {
      let at: { url: string } = proxy;
      const stream = await follow(() => at, ada.token, room);
      for (const _ of upTo(3)) await createItem(ada);
      await stream.received('event', 3);
      at = elsewhere;
      await proxy.cut();
      for (const _ of upTo(5)) await createItem(ada);
      await stream.received('event', 8);
      await createItem(ada);
      await stream.received('event', 9);
      expect(seqs(stream)).toEqual(upTo(9));
      expect(stream.resumedAfter).toEqual([undefined, stream.events[2]?.cursor]);
      expect(stream.of('joined')[1]?.data).toMatchObject({
        recovered: true,
        cursor: stream.events[2]?.cursor,
      });
      await until('forgotten', () => streamsOf(app).size === 0);
    } finally {
      await proxy.cut();
    }
  });

  it('before anything happened is resumed from where it began', async () => {
    const proxy = await startProxy(app.url);
    try {
      let at: { url: string } = proxy;
      const stream = await follow(() => at, ada.token, room);
      at = elsewhere;
      await proxy.cut();
      await createItem(ada);
      await stream.received('event');
      expect(seqs(stream)).toEqual([1]);
    } finally {
      await proxy.cut();
    }
  });

  it('takes `after` where there is no Last-Event-ID, and the latter where there are both', async () => {
    for (const _ of upTo(4)) await createItem(ada);
    const { cursor } = (await follow(app, ada.token, room)).of<{ cursor: string }>('joined')[0].data;
    const at = (seq: number) => cursor.replace(/\d+$/, String(seq));
    const stream = await follow(app, ada.token, room, at(2));
    await stream.received('event', 2);
    expect(seqs(stream)).toEqual([3, 4]);
    const raw = await openStream(app, { room, after: at(1) }, { ...bearer(ada), 'Last-Event-ID': at(3) });
    await until('the event', () => raw.text.includes(`id: ${at(4)}\n`));
    expect(raw.text).not.toContain(`id: ${at(2)}\n`);
  });

  it('with a cursor that leads nowhere is told so first, and goes on from now', async () => {
    await createItem(ada);
    const { data } = (await follow(app, ada.token, room)).of<{ cursor: string }>('joined')[0];
    const ahead = data.cursor.replace(/\d+$/, '99');
    for (const [after, reason] of [
      ['0123456789ab-1', 'epoch_changed'],
      [ahead, 'cursor_ahead'],
    ] as const) {
      const stream = await follow(app, ada.token, room, after);
      expect(stream.of('joined')[0]?.data).toMatchObject({
        room,
        cursor: data.cursor,
        recovered: false,
        reason,
      });
      stream.close();
    }
    for (const [query, code] of [
      [`room=${room}&after=x`, 'invalid_cursor'],
      ['room=nonsense', 'validation_failed'],
    ])
      expect(await ada.http.get(`/v1/events/stream?${query}`)).toMatchObject({ status: 400, body: { code } });
  });
});

describe('Whoever may not join', () => {
  it('gets no stream: no token, another room, a token in the address, a cookie alone', async () => {
    const path = `/v1/events/stream?room=${room}`;
    expect((await http(app).get(path)).status).toBe(401);
    expect((await http(app).get(`${path}&access_token=${ada.token}`)).status).toBe(401);
    expect((await (await registerUser(app)).http.get(path)).body.code).toBe('not_found');
    const browser = new Browser(app);
    const signedIn = { email: ada.user.email, password: PASSWORD, transport: 'cookie' };
    expect((await browser.post('/v1/auth/login', { json: signedIn })).status).toBe(200);
    expect(browser.cookies.size).toBeGreaterThan(0);
    expect((await browser.call('GET', path, {})).status).toBe(401);
    expect(streamsOf(app).size).toBe(0);
  });

  it('any more is told so and hears nothing from then on, at every instance; the client stops', async () => {
    const bob = await registerUser(app);
    const workspace = await createWorkspace(ada);
    await addMember(app, workspace.id, bob, 'member');
    const name = `workspaces/${workspace.id}`;
    const streams = await Promise.all([app, elsewhere].map((at) => follow(at, bob.token, name)));
    await createItem(ada, { workspaceId: workspace.id });
    await ada.http.delete(`/v1/workspaces/${workspace.id}/members/${bob.user.id}`);
    await createItem(ada, { workspaceId: workspace.id });
    for (const stream of streams) {
      await until('given up', () => stream.hasGivenUp);
      expect(stream.messages.map(({ event, data }) => [event, data.code])).toEqual([
        ['joined', undefined],
        ['event', undefined],
        ['left', 'membership_lost'],
      ]);
      expect(stream.statuses).toEqual([200, 404]);
    }
  });

  it('since the session was ended is told 4003, and stops', async () => {
    const streams = await Promise.all([app, elsewhere].map((at) => follow(at, ada.token, room)));
    await ada.http.post('/v1/auth/logout');
    for (const stream of streams) {
      await until('given up', () => stream.hasGivenUp);
      expect(stream.of('close').map(({ data }) => data)).toEqual([{ code: 4003, reason: 'session revoked' }]);
      expect(stream.statuses).toEqual([200, 401]);
    }
  });
});

describe('A stream is ended', () => {
  it('with 4210 when its token expires', async () => {
    const third = await app.startSecondInstance();
    const stream = await openStream(third, { room }, bearer(ada));
    await until('joined', () => stream.text !== '');
    third.moveClock(901_000);
    await until('ended', () => stream.ended);
    expect(stream.ended).toBe('whole');
    third.moveClock(-901_000); // all instances of one process share its passport
    await third.stop();
    expect(stream.text).toMatch(/\n\nevent: close\ndata: \{"code":4210,"reason":"token expired"\}\n\n$/);
  });

  it('with 1012 and a time to wait when its instance stops; what came before is there', async () => {
    const third = await app.startSecondInstance();
    const stream = await openStream(third, { room }, bearer(ada));
    await until('joined', () => stream.text !== '');
    await createItem(ada);
    await until('the event', () => stream.text.includes('event: event'));
    await third.stop();
    await until('ended', () => stream.ended);
    expect(stream.ended).toBe('whole');
    expect(stream.text).toMatch(
      /\nretry: \d+\nevent: close\ndata: \{"code":1012,"reason":"restarting"\}\n\n$/,
    );
  });

  it('by its client, and nothing of it is left', async () => {
    const stream = await follow(app, ada.token, room);
    expect(streamsOf(app).size).toBe(1);
    stream.close();
    await until('forgotten', () => streamsOf(app).size === 0);
  });
});

describe('One principal', () => {
  it('has so many streams at an instance and no more; another is not concerned', async () => {
    const path = `/v1/events/stream?room=${room}`;
    const [first] = await Promise.all(upTo(3).map(() => follow(app, ada.token, room)));
    expect(await ada.http.get(path)).toMatchObject({ status: 429, body: { code: 'too_many_streams' } });
    const bob = await registerUser(app);
    await follow(app, bob.token, `workspaces/${bob.workspaceId}`);
    first?.close();
    await until('one is free', () => streamsOf(app).size === 3);
    await follow(app, ada.token, room);
    // What was refused does not count.
    const eve = await registerUser(app);
    for (const _ of upTo(5)) expect((await eve.http.get(path)).status).toBe(404);
    await follow(app, eve.token, `workspaces/${eve.workspaceId}`);
  });
});
