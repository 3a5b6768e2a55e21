import { type CanActivate, type ExecutionContext, Injectable, Logger } from '@nestjs/common';
import type { Response } from 'express';
import type { AuthenticatedRequest, RequestClaim } from '../common/access.js';
import { AlreadyAnswered } from '../common/already-answered.js';
import { OutcomeUnknown, type Problem } from '../common/problem.js';
import { reasonOf } from '../common/reason.js';
import { NO_STORE } from '../common/representation.js';
import { IdempotencyKeys, type KeptAnswer } from './idempotency-keys.js';
import { keepsAnswer, mayRunAgain } from './keeps-answer.js';

/** What an answer consists of beside status and body; the rest is of the connection or the request. */
const KEPT_HEADERS = [
  ...['Content-Type', 'Cache-Control', 'ETag', 'Location', 'Stream-Cursor', 'Link'],
  ...['Upload-Offset', 'Upload-Complete', 'Upload-Limit'],
];

/**
 * Honours `Idempotency-Key` on every POST of a signed-in principal, whatever the route. Runs after the guards that
 * find the principal, limit it and ask for proofs; a request without the header passes at once.
 *
 * An answer of success is kept before it is sent. Errors are not: nothing was done, so the key is free for another
 * try, unless nobody knows. What no cache may keep (`no-store`), secrets and tokens, is kept where the handler does so.
 */
@Injectable()
export class IdempotencyGuard implements CanActivate {
  private readonly logger = new Logger(IdempotencyGuard.name);

  constructor(private readonly keys: IdempotencyKeys) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    if (context.getType() !== 'http') return true;
    const http = context.switchToHttp();
    const request = http.getRequest<Partial<AuthenticatedRequest> & AuthenticatedRequest>();
    const key = request.headers['idempotency-key'];
    if (key === undefined || request.method !== 'POST' || (request.user as unknown) === undefined)
      return true;
    const handler = context.getHandler();
    const takesOver = keepsAnswer(handler) || mayRunAgain(handler);
    return this.claim(request, http.getResponse<Response>(), String(key), takesOver);
  }

  private async claim(
    request: AuthenticatedRequest,
    response: Response,
    key: string,
    takesOver: boolean,
  ): Promise<boolean> {
    const claimed = await this.keys.claim(request.user.id, key, fingerprintOf(request), takesOver);
    if ('status' in claimed) {
      this.replay(response, claimed);
      throw new AlreadyAnswered();
    }
    request.user = { ...request.user, claim: claimed };
    this.settleBeforeEnd(response, claimed, takesOver);
    return true;
  }

  private replay(response: Response, { status, headers, body }: KeptAnswer): void {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    response.setHeader('Idempotency-Replayed', 'true');
    response.statusCode = status;
    response.end(body);
  }

  /** Holds back the end of the answer until the database knows it. */
  private settleBeforeEnd(response: Response, claim: RequestClaim, keeps: boolean): void {
    const end = response.end.bind(response) as (chunk?: unknown, encoding?: unknown) => Response;
    const settleAndEnd = (chunk?: unknown, encoding?: unknown): Response => {
      response.end = end as Response['end'];
      void this.settle(response, claim, textOf(chunk), keeps).finally(() => end(chunk, encoding));
      return response;
    };
    response.end = settleAndEnd as Response['end'];
  }

  private async settle(response: Response, claim: RequestClaim, body: string, keeps: boolean): Promise<void> {
    try {
      const problem = response.locals['problem'] as Problem | undefined;
      if (problem instanceof OutcomeUnknown || problem?.code === 'internal') await this.keys.doubt(claim);
      else if (problem) await this.keys.release(claim);
      else if (response.getHeader('Cache-Control') === NO_STORE) {
        if (!keeps) await this.keys.release(claim);
      } else
        await this.keys.answer(claim, { status: response.statusCode, headers: keptHeaders(response), body });
    } catch (error) {
      // The caller learns what was done. A repeat is told that nobody knows, and does nothing twice.
      this.logger.warn(`The answer under an Idempotency-Key was not kept: ${reasonOf(error)}`);
    }
  }
}

/** What must be the same when it is repeated; of a body that is read as it comes, what its headers say. */
function fingerprintOf({ originalUrl, body, headers }: AuthenticatedRequest): string {
  const content: unknown = body ?? [
    headers['content-type'],
    Number(headers['content-length'] ?? 0),
    headers['content-digest'],
    headers['upload-complete'],
  ];
  return `${originalUrl}\n${JSON.stringify(content)}`;
}

const textOf = (chunk: unknown): string =>
  typeof chunk === 'string' ? chunk : Buffer.isBuffer(chunk) ? chunk.toString('utf8') : '';

function keptHeaders(response: Response): Record<string, string> {
  const present = KEPT_HEADERS.filter((name) => response.hasHeader(name));
  return Object.fromEntries(present.map((name) => [name, String(response.getHeader(name))]));
}
