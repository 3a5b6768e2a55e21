import { HttpException } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import type { InputError, ProblemBody } from './problem.dto.js';

export type { InputError, ProblemBody };

interface ProblemOptions {
  readonly errors?: readonly InputError[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** What every 401 must say (RFC 9110, section 11.6.1), where nothing more special is said. */
const BEARER = { 'WWW-Authenticate': 'Bearer realm="atrium"' };

/**
 * An answer that is not a success. Areas declare one subclass per stable code in their `*.errors.ts`.
 * The cause is for the log and never leaves the server.
 */
export class Problem extends HttpException {
  readonly errors?: readonly InputError[];
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    status: number,
    readonly code: string,
    readonly detail: string,
    options: ProblemOptions = {},
  ) {
    super(detail, status, { cause: options.cause });
    this.errors = options.errors;
    this.headers = status === 401 ? { ...BEARER, ...options.headers } : (options.headers ?? {});
  }

  body(requestId: string): ProblemBody {
    return {
      type: `urn:atrium:problem:${this.code}`,
      title: STATUS_CODES[this.getStatus()] ?? 'Error',
      status: this.getStatus(),
      detail: this.detail,
      code: this.code,
      requestId,
      ...(this.errors ? { errors: [...this.errors] } : {}),
    };
  }
}

/** How many wrong fields are told of: a request of thousands is answered with no more than it takes to mend one. */
const MAX_ERRORS = 100;

/** 400 `validation_failed`: the input is JSON, but not what this call takes. */
export class ValidationFailed extends Problem {
  constructor(errors: readonly InputError[]) {
    const [first] = errors;
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more, see errors)` : '';
    super(
      400,
      'validation_failed',
      first ? `${first.pointer || 'The input'} ${first.detail}${more}` : 'The input is not valid.',
      { errors: errors.slice(0, MAX_ERRORS) },
    );
  }
}

/** 404 `not_found`: it does not exist, or the caller may not know that it does. */
export class NotFound extends Problem {
  constructor(detail = 'There is nothing here for you.') {
    super(404, 'not_found', detail);
  }
}

/** 401 `unauthenticated`, with the challenge that RFC 6750 asks for. */
export class Unauthenticated extends Problem {
  constructor(
    detail = 'Send a valid access token: Authorization: Bearer <token>.',
    cause?: unknown,
    code = 'unauthenticated',
  ) {
    super(401, code, detail, { cause });
  }
}

/** 403 `forbidden`: the caller is known and may see it, but may not do this. */
export class Forbidden extends Problem {
  constructor(detail = 'Your role does not allow this.') {
    super(403, 'forbidden', detail);
  }
}

/** 412 `version_mismatch` (RFC 9110, section 13.1.1): the record has moved on; nothing was written. */
export class VersionMismatch extends Problem {
  constructor(current: number) {
    super(412, 'version_mismatch', `If-Match does not name the current version, which is "${current}".`, {
      headers: { ETag: `"${current}"` },
    });
  }
}

/** 428 `precondition_required` (RFC 6585, section 3): such changes must say which version they start from. */
export class PreconditionRequired extends Problem {
  constructor() {
    super(
      428,
      'precondition_required',
      'This workspace demands If-Match: read the record and send its ETag with the change.',
    );
  }
}

/** 503 `unavailable`: nothing was done, or nobody knows; try again after `Retry-After` seconds. */
export class Unavailable extends Problem {
  constructor(detail: string, cause?: unknown) {
    super(503, 'unavailable', detail, { cause, headers: { 'Retry-After': '1' } });
  }
}

/** {@link Unavailable}, where a write may or may not have been done. */
export class OutcomeUnknown extends Unavailable {}
