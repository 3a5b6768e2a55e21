import { Problem, Unauthenticated } from '../common/problem.js';

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
