import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Streams } from '../../src/events/streams.js';
import type { Connection } from '../../src/rooms/connection.js';
import { Connections } from '../../src/rooms/connections.js';
import type { EventStream } from '../../src/rooms/event-stream.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import {
  bearer,
  closeStreams,
  follow,
  openStream,
  type RawStream,
  streamsOf,
} from '../support/event-streams.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

const SMALL = 65_536;
const LARGE = 1_048_576;
/** More than the kernel's buffers take for a reader that never reads. */
const BYTES = 12_000_000;
const FRAME = 50_000;
const COUNT = BYTES / FRAME;

let app: TestApp;
let small: Instance;
beforeAll(async () => {
  app = await startAtrium({ SOCKET_FRAME_RATE: '100000', SOCKET_BUFFER_LIMIT_BYTES: String(LARGE) });
  small = await app.startSecondInstance({ SOCKET_BUFFER_LIMIT_BYTES: String(SMALL) });
});
afterEach(closeStreams);
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

interface ServerSide extends Omit<Connection, 'socket'> {
  readonly socket: Socket;
}
/** The other end of a client's socket. */
async function serverSide(instance: Instance, client: SocketClient): Promise<ServerSide> {
  const ready = await client.waitFor('ready', () => client.frames[0]);
  const { byClient } = instance.nest.get<Connections, { byClient: Map<unknown, ServerSide> }>(Connections);
  return [...byClient.values()].find(({ id }) => id === ready.data.connectionId)!;
}
/** Watches how much waits for a socket. */
function watch({ socket }: ServerSide): { most: number } {
  const watched = { most: 0 };
  const write = socket.write.bind(socket) as (bytes: Buffer, done?: () => void) => boolean;
  jest.spyOn(socket, 'write').mockImplementation(((bytes: Buffer, done?: () => void) => {
    const answer = write(bytes, done);
    watched.most = Math.max(watched.most, socket.writableLength);
    return answer;
  }) as typeof socket.write);
  return watched;
}
const flood = async (publisher: SocketClient, room: string, durable = true) => {
  const data = { text: 'x'.repeat(FRAME) };
  for (let n = 0; n < COUNT; n += 16)
    await Promise.all(
      Array.from({ length: Math.min(16, COUNT - n) }, () =>
        publisher.send('publish', { room, type: 'note', data, durable }),
      ),
    );
};
/** The same many bytes, without anybody who publishes them. */
const fill = (person: Person, count = COUNT) =>
  app.sql(
    `WITH stream AS (UPDATE streams SET head = head + $2 WHERE id = $1 RETURNING id, head - $2 AS base)
    INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    SELECT id, base + n, gen_random_uuid(), 'note', 'workspaces/' || id, $1, to_jsonb(repeat('x', $3))
    FROM stream, generate_series(1, $2) n`,
    [person.workspaceId, count, FRAME],
  );
const seqs = (client: SocketClient, room: string) => client.events(room).map(({ cursor }) => seqOf(cursor));
const all = Array.from({ length: COUNT }, (_, n) => n + 1);
const someone = async () => {
  const ada = await registerUser(app);
  return { ada, room: `workspaces/${ada.workspaceId}` };
};
/** Moves the time by which idle sockets are judged. */
const letPass = (ms: number) => {
  const real = performance.now.bind(performance);
  jest.spyOn(performance, 'now').mockImplementation(() => real() + ms);
};

describe.each([
  ['the default bound', LARGE, () => app],
  ['the smallest bound', SMALL, () => small],
])('A reader that stops reading, with %s', (_, bound, at) => {
  const stall = async (ada: Person, room: string) => {
    const slow = await connectAndJoin(at(), ada.token, room);
    const server = await serverSide(at(), slow);
    slow.socket.pause();
    return { slow, server, watched: watch(server) };
  };

  it('never has more waiting than its bound and one frame; its neighbours hear everything meanwhile', async () => {
    const { ada, room } = await someone();
    const { slow, server, watched } = await stall(ada, room);
    const neighbour = await connectAndJoin(at(), ada.token, room);
    await flood(neighbour, room);
    await neighbour.received(room, COUNT);
    expect(seqs(neighbour, room)).toEqual(all);
    expect(server.isLagging).toBe(true);
    expect(watched.most).toBeGreaterThan(0);
    expect(watched.most).toBeLessThan(bound / 2 + FRAME + 2_000);
    // It reads again, by fits and starts: everything comes, each once, in order, and what is new as well.
    for (let count = 20; count < COUNT; count += 20) {
      slow.socket.resume();
      await slow.waitFor('a few more', () => slow.events(room).length >= count);
      slow.socket.pause(); // time for the server to send all that it would
      for (let n = 0; n < 3; n++) await neighbour.barrier();
    }
    slow.socket.resume();
    await slow.received(room, COUNT);
    await neighbour.send('publish', { room, type: 'note', data: {} });
    await slow.received(room, COUNT + 1);
    await slow.barrier();
    expect(seqs(slow, room)).toEqual([...all, COUNT + 1]);
    await until('caught up', () => !server.isLagging);
    expect(watched.most).toBeLessThan(bound / 2 + FRAME + 2_000);
  });

  it('is spared what is ephemeral', async () => {
    const { ada, room } = await someone();
    const { server, watched } = await stall(ada, room);
    const neighbour = await connectAndJoin(at(), ada.token, room);
    await flood(neighbour, room, false);
    await neighbour.received(room, COUNT);
    expect(server.isLagging).toBe(true);
    expect(watched.most).toBeLessThan(bound / 2 + FRAME + 2_000);
  });

  it('for twenty seconds is closed with 4200, told so if it still reads, and cut off if not', async () => {
    const { ada, room } = await someone();
    const [{ slow, server }, dead] = [await stall(ada, room), await stall(ada, room)];
    const neighbour = await connectAndJoin(at(), ada.token, room);
    await fill(ada);
    await neighbour.received(room, COUNT);
    letPass(20_001);
    await until('given up', () => !server.isOpen && !dead.server.isOpen);
    slow.socket.resume();
    expect(await slow.closed).toMatchObject({ code: 4200 });
    await until('cut off', () => dead.server.socket.destroyed);
    await neighbour.barrier();
    // What was heard is the beginning of the stream, and the rest follows after it.
    const heard = seqs(slow, room);
    expect(heard).toEqual(all.slice(0, heard.length));
    const again = await connect(at(), { token: ada.token });
    await again.join(room, slow.events(room).at(-1)?.cursor);
    await again.received(room, COUNT - heard.length);
    expect([...heard, ...seqs(again, room)]).toEqual(all);
  });

  it('while it resumes from far behind has the bound too, and leaves it with everything', async () => {
    const { ada, room } = await someone();
    const { cursor } = await (await connect(at(), { token: ada.token })).join(room);
    await fill(ada);
    const slow = await connect(at(), { token: ada.token });
    const watched = watch(await serverSide(at(), slow));
    slow.post('join', { room, after: cursor });
    slow.socket.pause();
    await until('lagging', async () => (await serverSide(at(), slow)).isLagging);
    slow.socket.resume();
    await slow.received(room, COUNT);
    expect(seqs(slow, room)).toEqual(all);
    expect(watched.most).toBeLessThan(bound / 2 + FRAME + 2_000);
  });

  it('that joins with much at hand is given what fits, not all of it', async () => {
    const { ada, room } = await someone();
    const { slow, server, watched } = await stall(ada, room);
    const neighbour = await connectAndJoin(at(), ada.token, room);
    const message = { room, type: 'note', data: 'x'.repeat(FRAME) };
    // Until the kernel takes no more, and the reader does not lag yet or has just begun to.
    while (server.socket.writableLength === 0) await neighbour.send('publish', message);
    const recent = neighbour.events(room).slice(-20);
    const id = slow.post('join', { room, after: recent[0]?.cursor });
    await until('lagging', () => server.isLagging);
    for (let n = 0; n < 3; n++) await neighbour.barrier();
    expect(watched.most).toBeLessThan(bound / 2 + FRAME + 2_000);
    slow.socket.resume();
    await slow.reply(id);
    const since = () => {
      const joined = slow.frames.findIndex((frame) => frame.id === id);
      return slow.frames.slice(joined).filter(({ event }) => event === 'event');
    };
    await slow.waitFor('what follows', () => since().length >= recent.length - 1);
    await slow.barrier();
    const heard = since();
    expect(heard.map(({ data }) => data.cursor)).toEqual(recent.slice(1).map(({ cursor }) => cursor));
  });

  it('is asked for no more either: its frames wait until it has read the answers', async () => {
    const { ada, room } = await someone();
    const { slow, server } = await stall(ada, room);
    const neighbour = await connectAndJoin(at(), ada.token, room);
    await fill(ada);
    await neighbour.received(room, COUNT);
    expect(server.isLagging).toBe(true);
    const id = slow.post('publish', { room, type: 'late', data: {} });
    for (let n = 0; n < 3; n++) await neighbour.barrier();
    expect(neighbour.events(room).at(-1)?.event.type).toBe('note');
    slow.socket.resume();
    expect((await slow.reply(id)).event).toBe('published');
    await neighbour.received(room, COUNT + 1);
  });
});

describe('A page of a stream', () => {
  it('is bounded by what the events are, not by how well they compress', async () => {
    const { ada } = await someone();
    await fill(ada, 200);
    const streams = app.nest.get(Streams);
    const seen: number[] = [];
    for (let page; (page = await streams.read(ada.workspaceId, seen.length)), page.length > 0;) {
      expect(page.reduce((sum, { size }) => sum + size, 0)).toBeLessThan(400_000);
      seen.push(...page.map(({ seq }) => seq));
    }
    expect(seen).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
  });
});

describe('A reader of an event stream', () => {
  let ada: Person;
  let room: string;
  beforeEach(async () => void ({ ada, room } = await someone()));
  let beating: Instance;
  beforeAll(async () => {
    beating = await app.startSecondInstance({
      SOCKET_BUFFER_LIMIT_BYTES: String(SMALL),
      SOCKET_HEARTBEAT_MS: '1000',
    });
  });

  /** A stream that is not read, and the most that ever waited for it. */
  async function stall(): Promise<{ stalled: RawStream; server: EventStream; watched: { most: number } }> {
    const stalled = await openStream(beating, { room }, bearer(ada));
    stalled.response.pause();
    const server = [...streamsOf(beating)].at(-1)!;
    const { response } = server as unknown as { response: ServerResponse };
    const watched = { most: 0 };
    const write = response.write.bind(response) as (bytes: Buffer, done?: () => void) => boolean;
    jest.spyOn(response, 'write').mockImplementation(((bytes: Buffer, done?: () => void) => {
      const answer = write(bytes, done);
      watched.most = Math.max(watched.most, response.writableLength);
      return answer;
    }) as typeof response.write);
    return { stalled, server, watched };
  }

  it('never has more waiting than its bound; its neighbours hear everything, and so does it in the end', async () => {
    const { stalled, server, watched } = await stall();
    const neighbour = await follow(beating, ada.token, room);
    await fill(ada);
    await neighbour.received('event', COUNT);
    expect(server.isLagging).toBe(true);
    stalled.response.resume();
    const ids = () =>
      [...stalled.text.matchAll(/^id: .*-(\d+)\nevent: event$/gm)].map(([, seq]) => Number(seq));
    await until('everything', () => ids().length === COUNT);
    expect(ids()).toEqual(all);
    expect(watched.most).toBeGreaterThan(0);
    expect(watched.most).toBeLessThan(SMALL / 2 + FRAME + 2_000);
    await createItem(ada);
    await until('what is new', () => ids().length === COUNT + 1);
  });

  it('for twenty seconds is ended with 4200, told so if it still reads, and cut off if not', async () => {
    const [{ stalled, server }, dead] = [await stall(), await stall()];
    await fill(ada);
    await until('lagging', () => server.isLagging && dead.server.isLagging);
    letPass(20_001);
    await until('given up', () => !server.isOpen && !dead.server.isOpen);
    stalled.response.resume();
    await until('ended', () => stalled.ended);
    expect(stalled.text).toMatch(
      /event: close\ndata: \{"code":4200,"reason":"resume from the cursor"\}\n\n$/,
    );
    await until('cut off', () => streamsOf(beating).size === 0);
  });
});
