import {
  applyDecorators,
  type CallHandler,
  type ExecutionContext,
  Header,
  Injectable,
  type NestInterceptor,
  UseInterceptors,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { map, type Observable } from 'rxjs';
import { BrowserOrigins } from './browser-origins.js';
import { SessionCookies } from './session-cookies.js';
import { isCookieBorne } from './session-cookie.guard.js';
import { SessionEnded } from './session-ended.js';
import type { SessionResponse } from './sessions.dto.js';

/**
 * How the refresh token of an answer travels: in the body or, when the request said `"transport": "cookie"` or
 * came by the cookie, as a cookie only. An error sets and clears nothing: the cookie may be another tab's by now.
 */
@Injectable()
export class SessionTransportInterceptor implements NestInterceptor {
  constructor(
    private readonly cookies: SessionCookies,
    private readonly origins: BrowserOrigins,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler<unknown>): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<Request>();
    const response = http.getResponse<Response>();
    const asked = asksForCookie(request.body);
    // Nobody else's page may log its visitor in.
    if (asked) this.origins.refuseForeign(request);
    return next.handle().pipe(
      map((answer) => {
        if (answer instanceof SessionEnded) {
          this.cookies.clear(request, response, answer.sessionId);
          return undefined;
        }
        if (isSession(answer) && (asked || isCookieBorne(request)))
          return this.byCookie(request, response, answer);
        return answer;
      }),
    );
  }

  private byCookie(
    request: Request,
    response: Response,
    { refreshToken, ...answer }: SessionResponse & { refreshToken: string },
  ): SessionResponse {
    return { ...answer, csrfToken: this.cookies.write(request, response, refreshToken) };
  }
}

/**
 * Of every route that starts, continues or ends sessions: honours the cookie transport, and keeps tokens from
 * caches (RFC 6749, section 5.1).
 */
export const SessionTransport = (): MethodDecorator =>
  applyDecorators(Header('Cache-Control', 'no-store'), UseInterceptors(SessionTransportInterceptor));

/** Before the body is validated: it can be anything. */
const asksForCookie = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && 'transport' in body && body.transport === 'cookie';

const isSession = (answer: unknown): answer is SessionResponse & { refreshToken: string } =>
  typeof answer === 'object' &&
  answer !== null &&
  'refreshToken' in answer &&
  typeof answer.refreshToken === 'string';
