import type { NextFunction, Request, Response } from 'express';
import type { IncomingMessage } from 'node:http';
import { handshakeAddressOf, networkOf } from '../common/client-info.js';
import { newRequestId } from '../common/request-id.js';
import { traceIdFor } from '../common/traceparent.js';
import { UpgradeRequired } from './rooms.errors.js';

/** `/ws`, or `/ws/{room}`. */
const PATH = /^\/ws(?:\/([a-z]{1,32}\/[0-9a-f-]{36}))?\/?$/;

/** The request by which a socket begins, as far as it is known by then. */
export interface Handshake {
  readonly requestId: string;
  readonly traceId: string;
  readonly method: string;
  /** `/ws`, or `/ws/:room`; `undefined` where no sockets are. */
  readonly route: string | undefined;
  /** The room that the address names. */
  readonly room: string | undefined;
  /** Whose it is, as addresses are counted. */
  readonly network: string;
  /** By {@link performance.now}. */
  readonly startedAt: number;
}

/** Refuses requests that come to where sockets are opened and ask for none. */
export function demandUpgrade(request: Request, _response: Response, next: NextFunction): void {
  const isMeant = (request.method === 'GET' || request.method === 'HEAD') && PATH.test(request.path);
  next(isMeant ? new UpgradeRequired() : undefined);
}

const known = new WeakMap<IncomingMessage, Handshake>();

/** @param trustProxy Express's own `trust proxy fn` */
export function beginHandshake(
  request: IncomingMessage,
  trustProxy: (address: string, hop: number) => boolean,
): Handshake {
  const { headers, method = 'GET', url = '' } = request;
  const path = PATH.exec(url.split('?', 1)[0] ?? '');
  const requestId = newRequestId(headers);
  const handshake = {
    requestId,
    traceId: traceIdFor(requestId, headers['traceparent']),
    method,
    route: path ? (path[1] === undefined ? '/ws' : '/ws/:room') : undefined,
    room: path?.[1],
    network: networkOf(handshakeAddressOf(request, trustProxy)),
    startedAt: performance.now(),
  };
  known.set(request, handshake);
  return handshake;
}

/** @throws if it has not begun: every socket comes through the adapter */
export function handshakeOf(request: IncomingMessage): Handshake {
  const handshake = known.get(request);
  if (!handshake) throw new Error('A socket must come through the adapter');
  return handshake;
}
