import { randomUUID } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';

/** Short and printable, so that it can stand in a log line and a header as it is. */
const ACCEPTABLE = /^[\w.:-]{1,128}$/;

const ID = Symbol('request id');

/** Gives every request an id, the caller's `X-Request-Id` if it sent a fit one, and answers with it. */
export function requestId(
  request: Request & { [ID]?: string },
  response: Response,
  next: NextFunction,
): void {
  const given = request.headers['x-request-id'];
  const id = typeof given === 'string' && ACCEPTABLE.test(given) ? given : randomUUID();
  request[ID] = id;
  response.setHeader('X-Request-Id', id);
  next();
}

/** The id that {@link requestId} gave to this request. */
export function requestIdOf(request: object): string {
  return (request as { [ID]?: string })[ID] ?? 'unknown';
}
