import { NotFound, Problem } from '../common/problem.js';

/** 401 `invalid_enrolment_token`: unknown, used up, withdrawn or too old. */
export class InvalidEnrolmentToken extends Problem {
  constructor() {
    super(
      401,
      'invalid_enrolment_token',
      'This enrolment token is unknown, used up, withdrawn or too old; ask for another.',
    );
  }
}

/** 404 `not_found`: no such enrolment token. */
export class EnrolmentTokenNotFound extends NotFound {
  constructor() {
    super('There is no such enrolment token; it may have been used up or withdrawn.');
  }
}

/** 409 `too_many_enrolment_tokens`: the bound of a workspace. */
export class TooManyEnrolmentTokens extends Problem {
  constructor(limit: number) {
    super(
      409,
      'too_many_enrolment_tokens',
      `The workspace has ${limit} open enrolment tokens, which is the most; delete some first.`,
    );
  }
}
