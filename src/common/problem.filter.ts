import {
  type ArgumentsHost,
  Catch,
  type ExceptionFilter,
  HttpException,
  Logger,
  ServiceUnavailableException,
} from '@nestjs/common';
import type { Request, Response } from 'express';
import { bearerToken } from './access.js';
import { AlreadyAnswered } from './already-answered.js';
import { allowedMethods } from './allowed-methods.js';
import { Overloaded } from './overload.js';
import { NotFound, Problem, Unauthenticated, Unavailable } from './problem.js';
import { logProblem, type ProblemTranslator, toProblem } from './to-problem.js';
import { requestIdOf } from './request-id.js';

/** To whoever did send a token (RFC 6750, section 3.1). */
const INVALID_TOKEN = 'Bearer realm="atrium", error="invalid_token"';

/**
 * Answers every error as `application/problem+json` (RFC 9457). What was not meant for the caller, a stack or
 * a cause, goes to the log under the same request id.
 */
@Catch()
export class ProblemFilter implements ExceptionFilter {
  private readonly logger = new Logger('Problem');

  constructor(private readonly translate: ProblemTranslator = () => undefined) {}

  catch(error: unknown, host: ArgumentsHost): void {
    if (error instanceof AlreadyAnswered) return;
    const http = host.switchToHttp();
    const request = http.getRequest<Request>();
    const response = http.getResponse<Response>();
    const problem =
      error instanceof HttpException && !(error instanceof Problem)
        ? ofHttp(error, request)
        : toProblem(error, this.translate);
    const id = requestIdOf(request);
    // A probe that says no is an answer, not an error; refusing has to cost next to nothing.
    const isTold = error instanceof ServiceUnavailableException || error instanceof Overloaded;
    if (problem.getStatus() >= 500 && !isTold) logProblem(this.logger, error, problem);
    if (response.headersSent) {
      // The answer is under way: cutting it is the only way left to say that it is not whole.
      response.destroy();
      return;
    }
    response.locals['problem'] = problem;
    for (const [name, value] of Object.entries(problem.headers)) response.setHeader(name, value);
    if (problem instanceof Unauthenticated && bearerToken(request) !== undefined)
      response.setHeader('WWW-Authenticate', INVALID_TOKEN);
    response.setHeader('Content-Type', 'application/problem+json; charset=utf-8');
    response.setHeader('Cache-Control', 'no-store');
    response.statusCode = problem.getStatus();
    response.end(JSON.stringify(problem.body(id)));
  }
}

/** What Nest and Express throw themselves: no route, a path that does not decode, and the like. */
function ofHttp(error: HttpException, request: Request): Problem {
  const status = error.getStatus();
  if (status === 404) {
    const allowed = allowedMethods(request);
    if (allowed.length > 0 && !allowed.includes(request.method))
      return new Problem(405, 'method_not_allowed', `This address takes ${allowed.join(', ')}.`, {
        headers: { Allow: allowed.join(', ') },
      });
    return new NotFound('There is nothing at this address.');
  }
  if (error instanceof ServiceUnavailableException) return new Unavailable(notReady(error.getResponse()));
  return new Problem(status, status < 500 ? 'bad_request' : 'internal', error.message, { cause: error });
}

/** What a health check found wrong, by name. */
function notReady(result: unknown): string {
  const { error = {} } = result as { error?: Readonly<Record<string, { message?: string }>> };
  const wrong = Object.entries(error).map(([name, { message = 'down' }]) => `${name} (${message})`);
  return wrong.length > 0 ? `Not ready: ${wrong.join(', ')}.` : 'Not ready; try again.';
}
