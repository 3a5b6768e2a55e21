import { type ArgumentsHost, Catch, type ExceptionFilter } from '@nestjs/common';
import type { Response } from 'express';
import { ProblemFilter } from '../common/problem.filter.js';
import { databaseProblem } from '../database/database-problem.js';

/** The error codes of the token server, as the RFCs name them. */
export type OAuthErrorCode =
  /** RFC 6749, section 5.2. */
  | 'invalid_request'
  | 'invalid_client'
  | 'invalid_grant'
  | 'unauthorized_client'
  | 'unsupported_grant_type'
  | 'invalid_scope'
  /** RFC 8628, section 3.5. */
  | 'authorization_pending'
  | 'slow_down'
  | 'access_denied'
  | 'expired_token'
  /** RFC 7009, section 2.2.1. */
  | 'unsupported_token_type';

/** An answer of the token server that is no success: JSON by RFC 6749, section 5.2, and no problem document. */
export class OAuthError extends Error {
  /** @param description ASCII without quotes and backslashes, as the RFC wants it */
  constructor(
    readonly code: OAuthErrorCode,
    readonly description: string,
    readonly status = 400,
    readonly headers: Readonly<Record<string, string>> = {},
  ) {
    super(`${code}: ${description}`);
  }
}

/**
 * Who calls is not known. A caller that came by the `Authorization` header is told which scheme to use (RFC 6749, section
 * 5.2). Others are not: libraries take a challenge for the whole answer, and would not tell of `invalid_client`.
 */
export const invalidClient = (byHeader: boolean): OAuthError =>
  new OAuthError(
    'invalid_client',
    'Unknown client, wrong or expired credential, or the agent is disabled',
    401,
    byHeader ? { 'WWW-Authenticate': 'Basic realm="atrium", charset="UTF-8"' } : {},
  );

/** Answers {@link OAuthError}; everything else is a problem, as everywhere. */
@Catch()
export class OAuthErrorFilter implements ExceptionFilter {
  private readonly problems = new ProblemFilter(databaseProblem);

  catch(error: unknown, host: ArgumentsHost): void {
    if (!(error instanceof OAuthError)) return this.problems.catch(error, host);
    const response = host.switchToHttp().getResponse<Response>();
    for (const [name, value] of Object.entries(error.headers)) response.setHeader(name, value);
    response.setHeader('Cache-Control', 'no-store');
    response.setHeader('Pragma', 'no-cache');
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    response.statusCode = error.status;
    response.end(JSON.stringify({ error: error.code, error_description: error.description }));
  }
}
