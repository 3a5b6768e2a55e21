import { Problem } from '../common/problem.js';

/** 400 `invalid_idempotency_key`: the header is neither a quoted string (RFC 8941) nor a bare one. */
export class InvalidIdempotencyKey extends Problem {
  constructor() {
    super(
      400,
      'invalid_idempotency_key',
      'Idempotency-Key must be one text of 1 to 255 visible ASCII characters, best a quoted UUID.',
    );
  }
}

/** 409 `idempotency_in_progress`: the first request under this key has no answer yet. */
export class IdempotencyInProgress extends Problem {
  constructor() {
    super(409, 'idempotency_in_progress', 'The first request under this key is still running; ask again.', {
      headers: { 'Retry-After': '1' },
    });
  }
}

/** 409 `idempotency_outcome_unknown`: the first request was cut off; nobody knows whether it was done. */
export class IdempotencyOutcomeUnknown extends Problem {
  constructor() {
    super(
      409,
      'idempotency_outcome_unknown',
      'The first request under this key was cut off and may or may not have been done: look, then use another key.',
    );
  }
}

/** 422 `idempotency_key_reused`: the key belongs to another request. */
export class IdempotencyKeyReused extends Problem {
  constructor() {
    super(
      422,
      'idempotency_key_reused',
      'This Idempotency-Key was used for another route or body: use a new key for a new request.',
    );
  }
}

/** 429 `too_many_idempotency_keys`: the bound of what is kept for one principal. */
export class TooManyIdempotencyKeys extends Problem {
  constructor(limit: number) {
    super(
      429,
      'too_many_idempotency_keys',
      `More than ${limit} keys within 24 hours; nothing was done. Wait, or send the request without a key.`,
      { headers: { 'Retry-After': '3600' } },
    );
  }
}
