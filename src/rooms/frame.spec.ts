import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { WebSocket, WebSocketServer } from 'ws';
import { StreamEvent } from '../events/stream-event.js';
import { encodeFrame, EventFrames, SOCKET_WIRE, messageFrame } from './frame.js';

/** The text of a small frame. */
const textOf = (frame: Buffer): string => frame.subarray(frame[1] === 126 ? 4 : 2).toString();

describe('A frame that goes past the sender of ws', () => {
  let server: WebSocketServer;
  let client: WebSocket;
  let write: (bytes: Buffer) => void;
  beforeAll(async () => {
    server = new WebSocketServer({ port: 0, host: '127.0.0.1' });
    await once(server, 'listening');
    client = new WebSocket(`ws://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const [[, request]] = (await Promise.all([once(server, 'connection'), once(client, 'open')])) as [
      [WebSocket, { socket: { write(bytes: Buffer): void } }],
      unknown,
    ];
    write = (bytes) => request.socket.write(bytes);
  });
  afterAll(() => {
    client.terminate();
    server.close();
  });

  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 200_000])('of %d bytes arrives as it is', async (length) => {
    const text = 'x'.repeat(length);
    const arrives = once(client, 'message');
    write(encodeFrame(text));
    const [bytes, isBinary] = (await arrives) as [Buffer, boolean];
    expect(isBinary).toBe(false);
    expect(bytes.toString()).toBe(text);
  });

  it('arrives in order among others in one write, with characters of any length', async () => {
    const texts = ['a', 'ü😀'.repeat(40), '', 'z'.repeat(70_000), '{"event":"pong"}'];
    const arrived: string[] = [];
    const all = new Promise<void>((resolve) => {
      const listen = (bytes: Buffer) => {
        if (arrived.push(bytes.toString()) < texts.length) return;
        client.off('message', listen);
        resolve();
      };
      client.on('message', listen);
    });
    write(Buffer.concat(texts.map(encodeFrame)));
    await all;
    expect(arrived).toEqual(texts);
  });

  it('may be written to many sockets: it is neither masked nor changed', () => {
    const frame = encodeFrame('hello');
    expect(frame).toEqual(Buffer.from([0x81, 5, ...Buffer.from('hello')])); // RFC 6455, section 5.7
  });
});

describe('A message', () => {
  it('repeats the id of the frame that it answers, and has none otherwise', () => {
    expect(textOf(messageFrame('pong', {}, 7))).toBe('{"event":"pong","data":{},"id":7}');
    expect(textOf(messageFrame('pong', {}, 0))).toBe('{"event":"pong","data":{},"id":0}');
    expect(textOf(messageFrame('pong', {}))).toBe('{"event":"pong","data":{}}');
  });
});

describe('The frames of a room', () => {
  const event = new StreamEvent({
    streamId: 'stream',
    seq: 3,
    id: 'id',
    type: 'note',
    subject: 'items/1',
    principalId: 'somebody',
    time: '2026-01-31 08:00:00.5+00',
    data: '{"a": 1}',
  });

  it('are built once for each event, however many sockets they go to', () => {
    const frames = new EventFrames(SOCKET_WIRE, 'items/1', ({ seq }) => `epoch-${seq}`);
    expect(frames.of(event)).toBe(frames.of(event));
    expect(JSON.parse(textOf(frames.of(event)))).toMatchObject({
      event: 'event',
      data: {
        room: 'items/1',
        cursor: 'epoch-3',
        event: { time: '2026-01-31T08:00:00.500Z', data: { a: 1 } },
      },
    });
  });
});
