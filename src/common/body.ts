import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { JSON_PATCH_TYPE, JsonPatchDocument } from './json-patch.js';
import { JsonRefused, parseJsonBytes } from './json.js';
import { Problem, ValidationFailed } from './problem.js';
import { timely } from './timely.js';

/** 400 `malformed_json`: the body is not JSON at all. */
export class MalformedJson extends Problem {
  constructor(detail: string) {
    super(400, 'malformed_json', detail);
  }
}

/** 413 `body_too_large`. */
export class BodyTooLarge extends Problem {
  constructor(limitBytes: number) {
    super(413, 'body_too_large', `The body must be at most ${limitBytes} bytes.`);
  }
}

/** 415 `unsupported_media_type`, with the types that would do. */
export class UnsupportedMediaType extends Problem {
  constructor(method: string, accepted: readonly string[]) {
    const types = accepted.join(', ');
    super(415, 'unsupported_media_type', `Send the body as one of: ${types}.`, {
      headers: method === 'PATCH' ? { 'Accept-Patch': types } : { 'Accept-Post': types },
    });
  }
}

/** 400 `unreadable_body`: it ended early, or its encoding is broken. */
export class UnreadableBody extends Problem {
  constructor(cause: unknown) {
    super(400, 'unreadable_body', 'The body could not be read: it was cut short or its encoding is broken.', {
      cause,
    });
  }
}

/** 415 `unsupported_media_type`, with the encodings that would do (RFC 9110, section 12.5.3). */
class UnsupportedEncoding extends Problem {
  constructor(detail: string, accepted: string) {
    super(415, 'unsupported_media_type', detail, { headers: { 'Accept-Encoding': accepted } });
  }
}
/** What is read as it comes is not unpacked. */
const encodedUpload = () => new UnsupportedEncoding('Send this body unencoded.', 'identity');
const unknownEncoding = () =>
  new UnsupportedEncoding(
    'Send the body unencoded, or with gzip, deflate, br or zstd.',
    'gzip, deflate, br, zstd',
  );

/** A body that is no JSON, and of any length: its handler reads it. */
export interface StreamedBody {
  readonly method: string;
  readonly path: RegExp;
  readonly types: readonly string[];
}

const JSON_TYPE = 'application/json';
const MERGE_PATCH_TYPE = 'application/merge-patch+json';

/**
 * Reads JSON bodies into `request.body`: bounded, decoded strictly, parsed by {@link parseJsonBytes}. Any
 * other media type is refused rather than ignored, so that no caller believes it was understood.
 * @param timeoutMs how long one may take to arrive
 * @param takesJsonPatch the paths that also take a JSON Patch, which becomes a {@link JsonPatchDocument}
 */
export function jsonBody(
  limitBytes: number,
  timeoutMs: number,
  takesJsonPatch: readonly RegExp[],
  streams: readonly StreamedBody[] = [],
): RequestHandler {
  const read = timely(express.raw({ limit: limitBytes, type: () => true }), timeoutMs);
  const acceptedTypes = ({ method, path }: Request): string[] => {
    if (method !== 'PATCH') return [JSON_TYPE];
    return [
      MERGE_PATCH_TYPE,
      JSON_TYPE,
      ...(takesJsonPatch.some((each) => each.test(path)) ? [JSON_PATCH_TYPE] : []),
    ];
  };
  return (request: Request, response: Response, next: NextFunction): void => {
    const streamed = streams.find(({ method, path }) => method === request.method && path.test(request.path));
    if (!mayHaveBody(request)) {
      // No patch is not an empty one.
      if (request.method === 'PATCH' && !streamed) request.body = null;
      return next();
    }
    const accepted = streamed?.types ?? acceptedTypes(request);
    const type = mediaType(request);
    if (type === undefined || !accepted.includes(type))
      return next(new UnsupportedMediaType(request.method, accepted));
    if (streamed) {
      const isEncoded = (request.headers['content-encoding'] ?? 'identity') !== 'identity';
      return next(isEncoded ? encodedUpload() : undefined);
    }
    void read(request, response, (error?: unknown) => {
      if (error) return next(asProblem(error, limitBytes));
      try {
        request.body = Buffer.isBuffer(request.body) ? parse(request.body, type) : undefined;
        next();
      } catch (refusal) {
        next(refusal);
      }
    });
  };
}

function mayHaveBody(request: Request): boolean {
  const length = request.headers['content-length'];
  return (
    request.method !== 'GET' &&
    request.method !== 'HEAD' &&
    (request.headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0'))
  );
}

/** The media type of a body, unless it is in another charset than UTF-8. */
function mediaType(request: Request): string | undefined {
  const [type = '', ...parameters] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
  const charset = parameters
    .map((parameter) => /^\s*charset="?([^"]*)"?\s*$/.exec(parameter)?.[1])
    .find(Boolean);
  return charset === undefined || /^utf-?8$/.test(charset) ? type.trim() : undefined;
}

function parse(bytes: Buffer, type: string): unknown {
  try {
    const value = parseJsonBytes(bytes);
    return type === JSON_PATCH_TYPE ? JsonPatchDocument.read(value) : value;
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    throw error.problem.pointer === ''
      ? new MalformedJson(`The body ${error.problem.detail}.`)
      : new ValidationFailed([error.problem]);
  }
}

function asProblem(error: unknown, limitBytes: number): Problem {
  if (error instanceof Problem) return error;
  const { status } = error as { status?: number };
  if (status === 413) return new BodyTooLarge(limitBytes);
  if (status === 415) return unknownEncoding();
  return new UnreadableBody(error);
}
