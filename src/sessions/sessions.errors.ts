import { NotFound, Problem, Unauthenticated } from '../common/problem.js';

/** 401 `invalid_refresh_token`: unknown, used up, expired or revoked; log in again. */
export class InvalidRefreshToken extends Problem {
  constructor() {
    super(401, 'invalid_refresh_token', 'The refresh token is not valid any more; log in again.');
  }
}

/** 401 `session_revoked`: logged out, or ended from elsewhere; log in again. */
export class SessionRevoked extends Unauthenticated {
  constructor() {
    super('This session has ended; log in again.', undefined, 'session_revoked');
  }
}

/** 404 `not_found`: the caller has no such session, or it has ended. */
export class SessionNotFound extends NotFound {
  constructor() {
    super('You have no such session, or it has ended.');
  }
}

/** 403 `foreign_origin`: a cookie came with a request of a page that is none of ours. */
export class ForeignOrigin extends Problem {
  constructor() {
    super(
      403,
      'foreign_origin',
      'A cookie is taken from pages of this origin and of CORS_ORIGINS only; this request came from elsewhere.',
    );
  }
}

/** 403 `csrf_failed`: a cookie came without the CSRF token that belongs to it. */
export class CsrfFailed extends Problem {
  constructor() {
    super(
      403,
      'csrf_failed',
      'With the cookie, send the csrfToken of this session in the X-CSRF-Token header; log in again if it is lost.',
    );
  }
}
