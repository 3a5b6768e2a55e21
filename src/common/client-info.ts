import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
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

const MAX_USER_AGENT = 512;

export function clientInfo(request: Request): ClientInfo {
  return {
    address: request.ip ?? 'unknown',
    userAgent: request.headers['user-agent']?.slice(0, MAX_USER_AGENT) ?? null,
    requestId: requestIdOf(request),
  };
}

/** The request's {@link ClientInfo} as a parameter. */
export const Client = createParamDecorator((_: unknown, context: ExecutionContext) =>
  clientInfo(context.switchToHttp().getRequest<Request>()),
);
