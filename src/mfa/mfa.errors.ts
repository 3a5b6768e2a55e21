import { NotFound, Problem, type ProblemBody } from '../common/problem.js';

/** 403 `step_up_required`: the session's proof is too old, or lacks the account's second factor. */
export class StepUpRequired extends Problem {
  /** @param methods by any one of which `POST /v1/auth/mfa/step-up` mends it; none: sign in anew */
  constructor(private readonly methods: readonly string[]) {
    super(
      403,
      'step_up_required',
      methods.length > 0
        ? 'Prove again who you are with POST /v1/auth/mfa/step-up, by one of the methods, then repeat this.'
        : 'Sign in again, then repeat this.',
    );
  }

  override body(requestId: string): ProblemBody {
    return Object.assign(super.body(requestId), { methods: [...this.methods] });
  }
}

/** 401 `invalid_mfa_token`: unknown, used, tried too often, too old, or the password has changed since. */
export class InvalidMfaToken extends Problem {
  constructor() {
    super(401, 'invalid_mfa_token', 'The mfaToken is not valid any more; log in again.');
  }
}

/** Why a proof was not taken, for the audit trail; the caller is not told. */
export type RefusalReason = 'wrong' | 'replayed' | 'counter';

/** A factor was shown, and it was not good. 401 of a sign-in; 403 where the caller is signed in already. */
export abstract class WrongFactor extends Problem {
  abstract readonly reason: RefusalReason;
}

/** `passkey_refused`: another challenge, site, account or key, no user verification, or a counter that went back. */
export class PasskeyRefused extends WrongFactor {
  constructor(
    status: 400 | 401 | 403,
    readonly reason: RefusalReason = 'wrong',
    cause?: unknown,
  ) {
    super(
      status,
      'passkey_refused',
      'This passkey or its answer is not good here; ask for new options and try again.',
      {
        cause,
      },
    );
  }
}

/** 409 `passkey_registered`: this passkey is known already. */
export class PasskeyRegistered extends Problem {
  constructor() {
    super(409, 'passkey_registered', 'This passkey is registered already.');
  }
}

/** 409 `too_many_passkeys`. */
export class TooManyPasskeys extends Problem {
  constructor(limit: number) {
    super(409, 'too_many_passkeys', `An account has at most ${limit} passkeys; remove one first.`);
  }
}

/** 404 `not_found`: the caller has no such passkey. */
export class PasskeyNotFound extends NotFound {
  constructor() {
    super('You have no such passkey.');
  }
}

/** `wrong_code`: the second factor was not good. 401 of a sign-in; 403 where the caller is signed in already. */
export class WrongCode extends WrongFactor {
  constructor(
    status: 401 | 403,
    readonly reason: RefusalReason = 'wrong',
  ) {
    super(
      status,
      'wrong_code',
      'This is not a good code, or it was used before: wait for the next one of the app, or use another method.',
    );
  }
}

/** 409 `totp_already_enabled`: there is an authenticator app. */
export class TotpAlreadyEnabled extends Problem {
  constructor() {
    super(409, 'totp_already_enabled', 'This account has an authenticator app; remove it first.');
  }
}

/** 404 `not_found`: nothing to confirm or to remove. */
export class TotpNotFound extends NotFound {
  constructor() {
    super('This account has no authenticator app, or none that waits to be confirmed.');
  }
}

/** 409 `mfa_not_enabled`: recovery codes stand in for a second factor, and there is none. */
export class MfaNotEnabled extends Problem {
  constructor() {
    super(409, 'mfa_not_enabled', 'This account has no second factor; add one first.');
  }
}
