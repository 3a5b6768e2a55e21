import { expect, it } from '@jest/globals';
import type { Request, Response } from 'express';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { PacedRequests } from '../../common/paced-requests.js';
import { Logs } from './logs.js';
import { requestLog, statusOf } from './request-log.js';

const CALLERS = 60;

it('a caller who has gone while others were begun is told of once, and nothing is done for it', async () => {
  const statuses: number[] = [];
  let begun = 0;
  const connections = new Set<Socket>();
  const logs = new Logs({ environment: 'production', logLevels: { default: 'fatal', modules: {} } });
  const log = requestLog(logs, { ended: (_, response) => statuses.push(statusOf(response)) });
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void log(request as Request, response as Response, () => {
      // All have been read by the end of this round; then all of them go.
      if (begun++ === 0) setImmediate(() => connections.forEach((connection) => connection.destroy()));
    });
  };
  const server = createServer(new PacedRequests().pace(listener));
  server.on('connection', (connection) => connections.add(connection)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const sockets = Array.from({ length: CALLERS }, () => connect(port, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'connect')));
  while (connections.size < CALLERS) await new Promise(setImmediate);
  for (const socket of sockets)
    socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
  while (statuses.length < CALLERS) await new Promise(setImmediate);
  server.close();
  await once(server, 'close');
  expect(begun).toBeLessThan(CALLERS);
  expect(statuses).toEqual(Array.from({ length: CALLERS }, () => 499));
});
