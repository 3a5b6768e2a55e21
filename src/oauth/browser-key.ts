import {
  type CallHandler,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
} from '@nestjs/common';
import { parseCookie } from 'cookie';
import type { CookieOptions, Request, Response } from 'express';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { type Observable, tap } from 'rxjs';
import { AtriumConfig } from '../config/config.js';
import { FlowStartResponse } from './oauth.dto.js';
import type { FlowSecrets } from './providers.js';

const KEY = /^[\w-]{43}$/;
/** As long as a sign-in may take, and the exchange after it. */
const COOKIE_MS = 900_000;

/**
 * A secret that one browser holds, while it signs in, in a cookie that scripts cannot read. It ties every step to
 * the browser that took the first (RFC 9700, section 4.7.1), and the secrets of a sign-in are derived from it,
 * so that the database holds none of them. Tabs share it.
 */
export class BrowserKey {
  private constructor(readonly value: string) {}

  static of(cookie: string | undefined): BrowserKey {
    const isKey = cookie !== undefined && KEY.test(cookie);
    return new BrowserKey(isKey ? cookie : randomBytes(32).toString('base64url'));
  }

  /** What may be kept of it. */
  get hash(): string {
    return createHash('sha256').update(this.value).digest('base64url');
  }

  /** The secrets of the sign-in that has this `state`. */
  secrets(state: string): FlowSecrets {
    return { state, nonce: this.derive(`nonce ${state}`), codeVerifier: this.derive(`pkce ${state}`) };
  }

  private derive(text: string): string {
    return createHmac('sha256', this.value).update(text).digest('base64url');
  }
}

const keys = new WeakMap<Request, BrowserKey>();

/** The {@link BrowserKey} of a request; of one without, a new one that fits nothing yet. */
export const Browser = createParamDecorator(
  (_: unknown, context: ExecutionContext): BrowserKey =>
    keys.get(context.switchToHttp().getRequest<Request>()) ?? BrowserKey.of(undefined),
);

/** Reads the cookie, and gives it to the browser when a sign-in starts. */
@Injectable()
export class BrowserKeyInterceptor implements NestInterceptor {
  private readonly name: string;
  private readonly options: CookieOptions;

  constructor(config: AtriumConfig) {
    const secure = config.environment === 'production' || config.publicUrl.startsWith('https:');
    this.name = secure ? '__Host-atrium-oauth' : 'atrium-oauth';
    // Lax: the provider sends the browser back by a link from another site.
    this.options = { path: '/', secure, httpOnly: true, sameSite: 'lax', maxAge: COOKIE_MS };
  }

  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const key = BrowserKey.of(parseCookie(request.headers.cookie ?? '')[this.name]);
    keys.set(request, key);
    return next.handle().pipe(
      tap((answer) => {
        if (answer instanceof FlowStartResponse)
          http.getResponse<Response>().cookie(this.name, key.value, this.options);
      }),
    );
  }
}
