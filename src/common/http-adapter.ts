import { Logger } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Request, Response } from 'express';
import { matchesNone } from './conditional.js';
import { WORKSPACE } from './log-context.js';
import { PacedRequests } from './paced-requests.js';
import { reasonOf } from './reason.js';
import { CACHING, Representation, representationHeaders, type RepresentationMeta } from './representation.js';
import { Streamed } from './streamed.js';

/** What a whole request may take to arrive: an upload. Other bodies have a shorter time of their own. */
const WHOLE_REQUEST_MS = 300_000;
/** How often it is looked for those that take longer. */
const CHECKING_MS = 1_000;

/** Nest's Express adapter, which also knows how to send a {@link Representation} and a {@link Streamed} answer. */
export class AtriumHttpAdapter extends ExpressAdapter {
  /** What was asked and has to wait until it is begun. */
  readonly paced = new PacedRequests();

  /** @param headersTimeoutMs how long the headers of a request may take to arrive */
  constructor(private readonly headersTimeoutMs: number) {
    super();
  }

  override initHttpServer(): void {
    const options = {
      headersTimeout: this.headersTimeoutMs,
      requestTimeout: WHOLE_REQUEST_MS,
      connectionsCheckingInterval: Math.min(CHECKING_MS, this.headersTimeoutMs),
      // Node's own refusal has no body; ours is a problem (`requireHost`).
      requireHostHeader: false,
      // Whoever offers another protocol besides (HTTP/2 by `h2c`) is answered in this one (RFC 9110, section 7.8).
      shouldUpgradeCallback: ({ headers }: IncomingMessage) => /^websocket$/i.test(headers.upgrade ?? ''),
    };
    const listener = this.paced.pace(this.getInstance<RequestListener>());
    const server = createServer(options, listener);
    // What else than to go on (`100-continue`) somebody expects is not promised, and may be ignored (RFC 9110, 10.1.1).
    this.httpServer = server.on('checkExpectation', listener);
  }

  override reply(response: Response, body: unknown, statusCode?: number): unknown {
    if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', CACHING);
    if (body instanceof Streamed) return sendStreamed(response, body);
    if (!(body instanceof Representation)) return super.reply(response, body, statusCode) as unknown;
    const { version, pages, workspaceId, status = statusCode } = body.meta;
    if (workspaceId !== undefined) response.locals[WORKSPACE] = workspaceId;
    if (status !== undefined) response.statusCode = status;
    const headers = representationHeaders(body);
    for (const name in headers) response.setHeader(name, headers[name]);
    const links = pages && pageLinks(response.req.originalUrl, pages);
    if (links) response.setHeader('Link', links);
    if (version !== undefined && isUnchanged(response.req, version)) {
      response.removeHeader('Content-Type');
      response.statusCode = 304;
      return response.end();
    }
    return body.json === '' ? response.end() : response.end(body.json);
  }
}

const logger = new Logger('Problem');

const isReaderGone = (error: unknown): boolean =>
  (error as NodeJS.ErrnoException).code === 'ERR_STREAM_PREMATURE_CLOSE';

async function sendStreamed(
  response: Response,
  { text, meta, release, signal }: Streamed<unknown>,
): Promise<void> {
  try {
    response.setHeader('Content-Type', meta.contentType);
    response.setHeader('Content-Disposition', `attachment; filename="${meta.fileName}"`);
    response.setHeader('Stream-Cursor', meta.cursor);
    if (response.req.method === 'HEAD') response.end();
    else await pipeline(Readable.from(text), response, { signal });
  } catch (error) {
    // A part of the answer is sent, and its end is missing: no more than that can be told to whoever reads it.
    response.destroy();
    if (!signal?.aborted && !isReaderGone(error))
      logger.error(`An answer was broken off: ${reasonOf(error)}`, error);
  } finally {
    await release();
  }
}

/** More would not fit into the headers that clients accept; the cursors are in the body too. */
const MAX_LINK_LENGTH = 4_096;

/** The pages beside this one (RFC 8288), as the same address with another cursor; empty when there are none. */
function pageLinks(url: string, { next, previous }: NonNullable<RepresentationMeta['pages']>): string {
  if (next === null && previous === null) return '';
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  const parameters = new URLSearchParams(mark < 0 ? '' : url.slice(mark + 1));
  const link = (cursor: string | null, relation: string): string[] => {
    if (cursor === null) return [];
    parameters.set('cursor', cursor);
    return [`<${path}?${parameters.toString()}>; rel="${relation}"`];
  };
  const links = [...link(next, 'next'), ...link(previous, 'prev')].join(', ');
  return links.length > MAX_LINK_LENGTH ? '' : links;
}

function isUnchanged(request: Request, version: number): boolean {
  const header = request.headers['if-none-match'];
  return (
    header !== undefined &&
    (request.method === 'GET' || request.method === 'HEAD') &&
    matchesNone(header, version)
  );
}
