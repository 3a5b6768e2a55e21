import { NotFound, Problem } from '../common/problem.js';

/** 404 `not_found`: no provider is configured under this name. */
export class ProviderNotFound extends NotFound {
  constructor() {
    super('There is no sign-in with a provider of this name.');
  }
}

/** 503 `provider_unavailable`: the provider did not answer in time, or said that it cannot. */
export class ProviderUnavailable extends Problem {
  constructor(cause?: unknown) {
    super(503, 'provider_unavailable', 'The provider does not answer at the moment; try again.', {
      cause,
      headers: { 'Retry-After': '5' },
    });
  }
}

/** 502 `provider_answer_invalid`: what the provider answered cannot be trusted, or is of another sign-in. */
export class ProviderAnswerInvalid extends Problem {
  constructor(cause?: unknown) {
    super(502, 'provider_answer_invalid', 'What came from the provider is not valid; start again.', {
      cause,
    });
  }
}

/** 403 `provider_refused`: the provider did not let the person in, or they changed their mind. */
export class ProviderRefused extends Problem {
  constructor(cause?: unknown) {
    super(403, 'provider_refused', 'The provider did not confirm the sign-in.', { cause });
  }
}

/** 403 `provider_address_unverified`: the provider vouches for no address, and a new account needs one. */
export class ProviderAddressUnverified extends Problem {
  constructor() {
    super(
      403,
      'provider_address_unverified',
      'The provider does not vouch for an e-mail address of yours. Verify it there, or register here and link the provider.',
    );
  }
}

/** 409 `account_unverified`: there is an account with this address, and nobody knows yet whose it is. */
export class AccountUnverified extends Problem {
  constructor() {
    super(
      409,
      'account_unverified',
      'There is an account with this e-mail address that was never verified. Set a new password with POST /v1/auth/forgot-password, then sign in with the provider again.',
    );
  }
}

/** 409 `identity_taken`: this identity belongs to another account. */
export class IdentityTaken extends Problem {
  constructor() {
    super(409, 'identity_taken', 'This identity is linked to another account; unlink it there first.');
  }
}

/** 400 `invalid_oauth_state`: no such sign-in is under way in this browser. */
export class InvalidOAuthState extends Problem {
  constructor() {
    super(400, 'invalid_oauth_state', 'No such sign-in is under way in this browser; start again.');
  }
}

/** 400 `invalid_exchange_code`: unknown, used, older than a minute, or of another browser or app. */
export class InvalidExchangeCode extends Problem {
  constructor() {
    super(400, 'invalid_exchange_code', 'The code is not valid, or not any more; start again.');
  }
}

/** 404 `not_found`: the caller has no such identity. */
export class IdentityNotFound extends NotFound {
  constructor() {
    super('You have no such identity.');
  }
}
