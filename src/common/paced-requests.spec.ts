import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { arrivedAt, PacedRequests } from './paced-requests.js';

const BUSY = 200;
const NEW = 20;

let server: Server;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

/** @returns its port */
async function serve(paced: PacedRequests, listener: RequestListener): Promise<number> {
  server = createServer(paced.pace(listener)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A connection on which there is always a request. */
function busy(port: number): Socket {
  const socket = connect(port, '127.0.0.1');
  const ask = () => socket.write('GET /work HTTP/1.1\r\nHost: x\r\n\r\n');
  socket.on('connect', ask).on('data', ask);
  sockets.push(socket);
  return socket;
}

describe('Requests that are begun a few at a time', () => {
  it('leave new connections their turn, however many are busy', async () => {
    let served = 0;
    const port = await serve(new PacedRequests(), (_, response) => {
      served++;
      response.end();
    });
    await Promise.all(Array.from({ length: BUSY }, () => once(busy(port), 'data')));
    const before = served;
    let accepted = 0;
    const all = new Promise<void>((resolve) => {
      server.on('connection', () => {
        if (++accepted === NEW) resolve();
      });
    });
    for (let n = 0; n < NEW; n++) busy(port);
    await all;
    // One is accepted in each round: unpaced, a round is a request of each that is busy.
    expect(served - before).toBeLessThan((NEW * BUSY) / 4);
  });

  it('are begun in the order in which they came, and say when that was; probes do not wait', async () => {
    const begun: string[] = [];
    const waited: number[] = [];
    const paced = new PacedRequests();
    const arrived = performance.now();
    const port = await serve(paced, (request, response) => {
      begun.push(request.url ?? '');
      waited.push(arrivedAt(request));
      response.end();
    });
    // Of one connection, since its requests are read in one go.
    const paths = Array.from({ length: 40 }, (_, n) => `/${n}`);
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    const asked = [...paths, '/health/live'];
    socket.write(asked.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(''));
    let answers = 0;
    await new Promise<void>((resolve) => {
      socket.on('data', (data: Buffer) => {
        answers += data.toString().split('HTTP/1.1 200').length - 1;
        if (answers === asked.length) resolve();
      });
    });
    expect(begun.filter((path) => path !== '/health/live')).toEqual(paths);
    expect(begun.indexOf('/health/live')).toBe(16);
    expect(Math.min(...waited)).toBeGreaterThanOrEqual(arrived);
    // The last one came with the first.
    expect(waited[40]).toBeLessThanOrEqual(performance.now());
    expect([paced.oldestMs, paced.isFull]).toEqual([0, false]);
  });
});
