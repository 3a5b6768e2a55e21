import { Problem } from '../common/problem.js';

/** 409 `email_taken`: an account with this address exists. */
export class EmailTaken extends Problem {
  constructor() {
    super(409, 'email_taken', 'There is an account with this e-mail address; log in instead.');
  }
}

/** 401 `invalid_credentials`: unknown address or wrong password, without saying which. */
export class InvalidCredentials extends Problem {
  /** @param userId whose account was tried, for the audit trail; the caller is never told */
  constructor(readonly userId?: string) {
    super(401, 'invalid_credentials', 'The e-mail address or the password is wrong.');
  }
}

/** 403 `wrong_password`: somebody who is logged in gave another password than the account's. */
export class WrongPassword extends Problem {
  constructor() {
    super(403, 'wrong_password', "This is not the account's password; nothing was changed.");
  }
}

/** 409 `password_not_set`: the account signs in by other means, and this asks for a password. */
export class PasswordNotSet extends Problem {
  constructor() {
    super(
      409,
      'password_not_set',
      'This account has no password yet. Set one with POST /v1/auth/forgot-password, then try again.',
    );
  }
}

/** 400 `invalid_token`: the token of a mail is unknown, used, replaced by a newer one, or too old. */
export class InvalidMailedToken extends Problem {
  constructor() {
    super(
      400,
      'invalid_token',
      'This link has been used, has expired or is not valid any more; ask for another.',
    );
  }
}

/** 429 `too_many_mails`: the account asked for as many mails as it may within an hour. */
export class TooManyMails extends Problem {
  constructor() {
    super(429, 'too_many_mails', 'Enough mails were sent for now; try again in an hour.', {
      headers: { 'Retry-After': '3600' },
    });
  }
}

/** 409 `last_sign_in_method`: without this nobody could sign in to the account. */
export class LastSignInMethod extends Problem {
  constructor() {
    super(
      409,
      'last_sign_in_method',
      'This is the only way to sign in to your account. Add another first: a password, a passkey or a provider.',
    );
  }
}
