import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { normalizeIp } from '@nestjs/throttler';
import type { Request } from 'express';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import proxyAddr from 'proxy-addr';
import { requestIdOf } from './request-id.js';

/** Where a request came from, for session lists, throttling and the audit trail. */
export interface ClientInfo {
  /** The peer's IP address, or what a trusted proxy says of it (`TRUST_PROXY`). */
  readonly address: string;
  /** At most 512 characters. */
  readonly userAgent: string | null;
  readonly requestId: string;
}

/** Somebody at the server's own command line, for what no request asked for. */
export const OPERATOR: ClientInfo = { address: 'local', userAgent: null, requestId: 'none' };

/** The same, where the id of a principal is wanted: the nil UUID (RFC 9562, section 5.9), which no user or agent has. */
export const OPERATOR_ID = '00000000-0000-0000-0000-000000000000';

const MAX_USER_AGENT = 512;

/** The IP address of a client: the peer's or, through proxies named by `TRUST_PROXY`, what they say. */
export function addressOf(request: Request): string {
  return known(request.ip, request);
}

/** {@link addressOf} for a request that Express does not see. @param trust its own `trust proxy fn` */
export function handshakeAddressOf(
  request: IncomingMessage,
  trust: (address: string, hop: number) => boolean,
): string {
  return known(proxyAddr(request, trust), request);
}

function known(told: string | undefined, { socket }: IncomingMessage): string {
  const address = told !== undefined && isIP(told) !== 0 ? told : socket.remoteAddress;
  // An IPv4 peer of a socket that listens to both families.
  return address?.replace(/^::ffff:(?=[\d.]+$)/, '') ?? 'unknown';
}

/** Who counts as one when addresses are counted: a customer has one IPv4 address, or a /64 of IPv6. */
export const networkOf = (address: string): string => normalizeIp(address);

export function clientInfo(request: Request): ClientInfo {
  return {
    address: addressOf(request),
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT) ?? null,
    requestId: requestIdOf(request),
  };
}

/** The request's {@link ClientInfo} as a parameter. */
export const Client = createParamDecorator((_: unknown, context: ExecutionContext) =>
  clientInfo(context.switchToHttp().getRequest<Request>()),
);
