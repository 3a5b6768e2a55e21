import { Injectable } from '@nestjs/common';
import { parseCookie } from 'cookie';
import { doubleCsrf, type DoubleCsrfUtilities } from 'csrf-csrf';
import type { CookieOptions, Request, Response } from 'express';
import { hkdfSync } from 'node:crypto';
import { AtriumConfig } from '../config/config.js';
import { RefreshTokens } from './refresh-tokens.js';

/** The header that repeats the CSRF cookie. */
export const CSRF_HEADER = 'x-csrf-token';

/**
 * The cookies of browsers that keep their refresh token out of reach of scripts, and the double-submit CSRF
 * tokens that go with them, each bound to its session.
 *
 * Over https they are `__Host-` cookies: no other host, not even a subdomain, can set or read them. Browsers
 * take that prefix with `Secure` only, so in development, over http, the names are plain.
 */
@Injectable()
export class SessionCookies {
  readonly refreshName: string;
  readonly csrfName: string;
  private readonly options: CookieOptions;
  private readonly csrf: DoubleCsrfUtilities;
  /** The session that a request is about, while it is served. */
  private readonly sessionIds = new WeakMap<Request, string>();

  constructor(
    config: AtriumConfig,
    private readonly refreshTokens: RefreshTokens,
  ) {
    const secure = config.environment === 'production' || config.publicUrl.startsWith('https:');
    const prefix = secure ? '__Host-' : '';
    this.refreshName = `${prefix}atrium-refresh`;
    this.csrfName = `${prefix}atrium-csrf`;
    this.options = {
      path: '/',
      secure,
      sameSite: 'strict',
      maxAge: Math.min(config.sessions.inactivitySeconds, config.sessions.lifetimeSeconds) * 1_000,
    };
    const key = Buffer.from(hkdfSync('sha256', config.tokens.secret, '', 'atrium csrf tokens', 32));
    this.csrf = doubleCsrf({
      getSecret: () => key.toString('base64'),
      getSessionIdentifier: (request) => this.sessionIds.get(request) ?? '',
      getCsrfTokenFromRequest: (request) => request.get(CSRF_HEADER),
      cookieName: this.csrfName,
      // Read by the web app, which repeats it in the header.
      cookieOptions: { ...this.options, httpOnly: false },
    });
  }

  /** The refresh token that the browser sent, whatever it is worth. */
  read(request: Request): string | undefined {
    const cookies = parseCookie(request.headers.cookie ?? '');
    request.cookies = cookies; // where csrf-csrf looks
    return cookies[this.refreshName];
  }

  /** The session that a refresh token claims to be of. */
  sessionOf(token: string | undefined): string | undefined {
    return token === undefined ? undefined : this.refreshTokens.read(token)?.sessionId;
  }

  /**
   * Gives the browser a session's refresh token. A CSRF token that it has for this session stays as it is,
   * because other tabs hold it, too.
   * @returns the CSRF token
   */
  write(request: Request, response: Response, refreshToken: string): string {
    this.read(request);
    this.sessionIds.set(request, this.sessionOf(refreshToken) ?? '');
    response.cookie(this.refreshName, refreshToken, { ...this.options, httpOnly: true });
    return this.csrf.generateCsrfToken(request, response);
  }

  /** Takes the cookies of a session from the browser; those of another session stay. */
  clear(request: Request, response: Response, sessionId: string): void {
    if (this.sessionOf(this.read(request)) !== sessionId) return;
    const { maxAge: _, ...options } = this.options;
    response.clearCookie(this.refreshName, { ...options, httpOnly: true });
    response.clearCookie(this.csrfName, options);
  }

  /** Whether header and cookie hold the same CSRF token, and it is the one of this session. */
  hasCsrfToken(request: Request, sessionId: string): boolean {
    this.read(request);
    this.sessionIds.set(request, sessionId);
    return this.csrf.validateRequest(request);
  }
}
