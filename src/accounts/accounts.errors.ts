import { Problem } from '../common/problem.js';

/** 409 `email_taken`: an account with this address exists. */
export class EmailTaken extends Problem {
  constructor() {
    super(409, 'email_taken', 'There is an account with this e-mail address; log in instead.');
  }
}

/** 401 `invalid_credentials`: unknown address or wrong password, without saying which. */
export class InvalidCredentials extends Problem {
  constructor() {
    super(401, 'invalid_credentials', 'The e-mail address or the password is wrong.');
  }
}
