import { Problem } from '../common/problem.js';

/** 401 `invalid_refresh_token`: unknown, used up, expired or revoked; log in again. */
export class InvalidRefreshToken extends Problem {
  constructor() {
    super(401, 'invalid_refresh_token', 'The refresh token is not valid any more; log in again.');
  }
}
