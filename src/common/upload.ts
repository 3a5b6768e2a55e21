import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { Problem } from './problem.js';

/** A part of an upload, or all of it (draft-ietf-httpbis-resumable-upload). */
export interface Upload {
  /** The bytes as they come; fails when the connection is cut. */
  readonly bytes: AsyncIterable<Buffer>;
  /** Without parameters, in lower case; empty if there is none. */
  readonly mediaType: string;
  /** Whether nothing comes after it. `undefined`: the sender knows nothing of parts. */
  readonly complete: boolean | undefined;
  /** Where it begins, in bytes. */
  readonly offset: number | undefined;
}

/** 400 `invalid_upload_header`. */
export class InvalidUploadHeader extends Problem {
  constructor(name: string, form: string) {
    super(400, 'invalid_upload_header', `${name} must be ${form}.`);
  }
}

/** Reads of the body what a stream of bytes is; see {@link import('./body.js').jsonBody}. */
export const UploadedBody = createParamDecorator((_: unknown, context: ExecutionContext): Upload => {
  const request = context.switchToHttp().getRequest<Request>();
  const { 'content-type': type = '', 'upload-complete': complete, 'upload-offset': offset } = request.headers;
  // Structured fields (RFC 9651): a boolean, an integer.
  if (complete !== undefined && complete !== '?0' && complete !== '?1')
    throw new InvalidUploadHeader('Upload-Complete', '?0 or ?1');
  if (offset !== undefined && !/^\d{1,15}$/.test(String(offset)))
    throw new InvalidUploadHeader('Upload-Offset', 'a number of bytes');
  return {
    bytes: request,
    mediaType: type.split(';', 1)[0].trim().toLowerCase(),
    complete: complete === undefined ? undefined : complete === '?1',
    offset: offset === undefined ? undefined : Number(offset),
  };
});
