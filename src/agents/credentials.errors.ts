import { NotFound, Problem } from '../common/problem.js';

/** 404 `not_found`: the agent has no such credential. */
export class CredentialNotFound extends NotFound {
  constructor() {
    super('The agent has no such credential.');
  }
}

/** 409 `too_many_credentials`: the bound of an agent. */
export class TooManyCredentials extends Problem {
  constructor(limit: number) {
    super(
      409,
      'too_many_credentials',
      `The agent has ${limit} credentials, which is the most; delete some first.`,
    );
  }
}
