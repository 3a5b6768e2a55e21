import { randomUUID } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
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
  const id = newRequestId(request.headers);
  request[ID] = id;
  response.setHeader('X-Request-Id', id);
  next();
}

/** The id that a request brings along, if it is fit, or a new one. */
export function newRequestId(headers: IncomingHttpHeaders): string {
  const given = headers['x-request-id'];
  return typeof given === 'string' && ACCEPTABLE.test(given) ? given : randomUUID();
}

/** The id that {@link requestId} gave to this request. */
export function requestIdOf(request: object): string {
  return (request as { [ID]?: string })[ID] ?? 'unknown';
}
