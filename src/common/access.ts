import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { Request } from 'express';

/** Whoever calls. */
export interface Principal {
  readonly kind: 'user' | 'agent';
  /** UUID of the user or agent. */
  readonly id: string;
  /** UUID of the login that the access token belongs to. */
  readonly sessionId: string;
  /** When the access token ends, in milliseconds since the Unix epoch. */
  readonly expiresAt: number;
  /** Of agents, and of no others. */
  readonly agent?: AgentClaims;
  /** Of the request that it sends, if that came under an `Idempotency-Key`. */
  readonly claim?: RequestClaim;
}

/** The right to run a request under its `Idempotency-Key`, and to say how it ended. */
export interface RequestClaim {
  readonly principalId: string;
  /** SHA-256 of the key. */
  readonly keyHash: Buffer;
  /** Whoever claims the key anew has another. */
  readonly id: string;
  /** For an answer with secrets: the database does not have it. */
  readonly sealingKey: Buffer;
}

/** What the access token of an agent says besides. */
export interface AgentClaims {
  /** The one that it belongs to, and that is meant where none is named. */
  readonly workspaceId: string;
  /** UUID of the token (`jti`): one token can be ended alone. */
  readonly tokenId: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
}

/** Whether the end of a session, or of one token, concerns this principal. */
export const endsWith = ({ sessionId, agent }: Principal, ended: string): boolean =>
  sessionId === ended || agent?.tokenId === ended;

/** What a route demands of its caller; every route declares one, and a route without lets nobody in. */
export type Access = 'public' | 'authenticated' | RequiredPermission;

/**
 * Any principal with a valid access token may knock; the record's own statement lets in who has this permission
 * in the record's workspace.
 */
export interface RequiredPermission {
  readonly permission: string;
  /** Whether it may also be done to oneself without it. */
  readonly orSelf?: boolean;
}

export const ACCESS = 'atrium:access';

/** Anyone may call this route, with or without a token. */
export const Public = (): MethodDecorator & ClassDecorator => SetMetadata<string, Access>(ACCESS, 'public');

/** Any principal with a valid access token may call; what it may see is decided in the record's own statement. */
export const Authenticated = (): MethodDecorator & ClassDecorator =>
  SetMetadata<string, Access>(ACCESS, 'authenticated');

/** A request that a guard has let through. */
export interface AuthenticatedRequest extends Request {
  user: Principal;
  /** What the route requires in the workspace that the request is about, if it requires something. */
  required?: RequiredPermission;
}

/** The caller of an authenticated route. */
export const CurrentPrincipal = createParamDecorator(
  (_: unknown, context: ExecutionContext): Principal =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().user,
);

/** The bearer token of a request (RFC 6750, section 2.1), unverified; `undefined` without one. */
export function bearerToken(request: Request): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(request.headers.authorization ?? '')?.[1];
}

/** {@link bearerToken} as a parameter, for public routes that make use of a token. */
export const Bearer = createParamDecorator((_: unknown, context: ExecutionContext): string | undefined =>
  bearerToken(context.switchToHttp().getRequest<Request>()),
);
