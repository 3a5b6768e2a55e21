import { ExpressAdapter } from '@nestjs/platform-express';
import type { Request, Response } from 'express';
import { matchesNone } from './conditional.js';
import { Representation } from './representation.js';

/** Kept by the caller alone, and asked for again before it is used: that is what the ETag is for. */
const CACHING = 'private, no-cache';

/** Nest's Express adapter, which also knows how to send a {@link Representation}. */
export class AtriumHttpAdapter extends ExpressAdapter {
  override reply(response: Response, body: unknown, statusCode?: number): unknown {
    if (!response.hasHeader('Cache-Control')) response.setHeader('Cache-Control', CACHING);
    if (!(body instanceof Representation)) return super.reply(response, body, statusCode) as unknown;
    const { version, cursor, location, status = statusCode } = body.meta;
    if (status !== undefined) response.statusCode = status;
    if (cursor !== undefined) response.setHeader('Stream-Cursor', cursor);
    if (location !== undefined) response.setHeader('Location', location);
    if (version !== undefined) {
      response.setHeader('ETag', `"${version}"`);
      if (isUnchanged(response.req, version)) {
        response.statusCode = 304;
        return response.end();
      }
    }
    if (body.json === '') return response.end();
    response.setHeader('Content-Type', 'application/json; charset=utf-8');
    return response.end(body.json);
  }
}

function isUnchanged(request: Request, version: number): boolean {
  const header = request.headers['if-none-match'];
  return (
    header !== undefined &&
    (request.method === 'GET' || request.method === 'HEAD') &&
    matchesNone(header, version)
  );
}
