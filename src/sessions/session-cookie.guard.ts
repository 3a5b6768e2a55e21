import { type CanActivate, createParamDecorator, type ExecutionContext, Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { bearerToken } from '../common/access.js';
import { BrowserOrigins } from './browser-origins.js';
import { SessionCookies } from './session-cookies.js';
import { CsrfFailed, InvalidRefreshToken } from './sessions.errors.js';

const borne = new WeakMap<Request, string>();

/** Whether the request acts by its cookie. */
export const isCookieBorne = (request: Request): boolean => borne.has(request);

/** The refresh token of a request that acts by its cookie, and may: {@link SessionCookieGuard} has looked. */
export const RefreshCookie = createParamDecorator((_: unknown, context: ExecutionContext) =>
  borne.get(context.switchToHttp().getRequest<Request>()),
);

/**
 * For routes that take a refresh token. One in the body, or a bearer token, speaks for itself; a cookie is sent
 * by the browser whoever asked it to, so the request must come from our own pages and carry the CSRF header.
 */
@Injectable()
export class SessionCookieGuard implements CanActivate {
  constructor(
    private readonly cookies: SessionCookies,
    private readonly origins: BrowserOrigins,
  ) {}

  /**
   * @throws {import('./sessions.errors.js').ForeignOrigin}
   * @throws {CsrfFailed}
   * @throws {InvalidRefreshToken} if the cookie holds no refresh token
   */
  canActivate(context: ExecutionContext): boolean {
    const request = context.switchToHttp().getRequest<Request>();
    if (bearerToken(request) !== undefined || bringsToken(request.body)) return true;
    const token = this.cookies.read(request);
    if (token === undefined) return true;
    this.origins.refuseForeign(request);
    const sessionId = this.cookies.sessionOf(token);
    if (sessionId === undefined) throw new InvalidRefreshToken();
    if (!this.cookies.hasCsrfToken(request, sessionId)) throw new CsrfFailed();
    borne.set(request, token);
    return true;
  }
}

/** Before the body is validated: it can be anything. */
const bringsToken = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'refreshToken' in body;
