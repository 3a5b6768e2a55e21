import type { NextFunction, Request, Response } from 'express';
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type Server, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import { Problem } from './problem.js';
import { requestIdOf } from './request-id.js';

/** 408 `request_timeout`: the request did not arrive in time. */
export class RequestTimeout extends Problem {
  constructor(cause?: unknown) {
    super(408, 'request_timeout', 'The request did not arrive in time.', { cause });
  }
}

/** 431 `headers_too_large`. */
export class HeadersTooLarge extends Problem {
  constructor() {
    super(431, 'headers_too_large', 'The headers must be at most 16 KiB together.');
  }
}

/** Refuses a request that does not say whom it is for, or says it twice (RFC 9112, section 3.2). */
export function requireHost(request: Request, _: Response, next: NextFunction): void {
  next(wrongHost(request));
}

/** Of two hosts, Node takes the first and a proxy may have judged the second; HTTP/1.0 needs none. */
export function wrongHost({ httpVersion, rawHeaders }: IncomingMessage): Problem | undefined {
  let hosts = 0;
  for (let n = 0; n < rawHeaders.length; n += 2)
    if (rawHeaders[n].length === 4 && rawHeaders[n].toLowerCase() === 'host') hosts++;
  if (hosts === 1 || (hosts === 0 && httpVersion !== '1.1')) return undefined;
  return new Problem(400, 'bad_request', 'A request needs one Host header.');
}

/** What Node's parser objects to, before there is a request that anybody could handle. */
function problemOf({ code }: NodeJS.ErrnoException): Problem {
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return new RequestTimeout();
  if (code === 'HPE_HEADER_OVERFLOW') return new HeadersTooLarge();
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW')
    return new Problem(413, 'body_too_large', 'The extensions of a chunk are too long.');
  return new Problem(400, 'bad_request', 'This is not a valid HTTP request.');
}

/**
 * Has what is not even a request answered as all else is, with a problem (RFC 9457), and the connection closed.
 * @param answered told of each
 */
export function answerBrokenRequests(
  server: Server,
  answered: (requestId: string, status: number) => void,
): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    // An answer that has begun, to a request before this one or to its beginning, must not go on as another.
    const answering = Reflect.get(socket, '_httpMessage') as
      { readonly headersSent: boolean; readonly req: IncomingMessage } | null | undefined;
    if (!socket.writable || error.code === 'ECONNRESET' || answering?.headersSent) {
      socket.destroy();
      return;
    }
    const problem = problemOf(error);
    // What breaks in its body is a request all the same: it has an id, and is told of when it ends.
    const begun = answering && !answering.req.complete ? answering.req : undefined;
    const id = begun ? requestIdOf(begun) : randomUUID();
    if (!begun) answered(id, problem.getStatus());
    socket.end(problemText(problem, id), () => socket.destroy());
  });
}

/** A problem as an answer for a connection that no framework has in hand; it closes with it. */
export function problemText(problem: Problem, requestId: string): string {
  const status = problem.getStatus();
  const body = JSON.stringify(problem.body(requestId));
  const headers = {
    ...problem.headers,
    'Content-Type': 'application/problem+json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Request-Id': requestId,
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines, '', body].join('\r\n');
}
