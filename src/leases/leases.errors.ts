import { Forbidden, NotFound, Problem, Unavailable } from '../common/problem.js';

/** 403 `forbidden`: leases are for agents. */
export class AgentsOnly extends Forbidden {
  constructor() {
    super('Only agents hold leases.');
  }
}

/** 404 `not_found`: nothing is leased under this id, or it is not the caller's to see. */
export class LeaseNotFound extends NotFound {
  constructor() {
    super('There is no such lease, or it has ended.');
  }
}

/** 409 `too_many_lease_types`: the bound of a workspace. */
export class TooManyLeaseTypes extends Problem {
  constructor(limit: number) {
    super(
      409,
      'too_many_lease_types',
      `Agents work on at most ${limit} types of items in a workspace: name types that they work on already.`,
    );
  }
}

/** 503 `unavailable`: as many agents wait for work at this instance as can. */
export class TooManyWaiting extends Unavailable {
  constructor() {
    super('Too many agents are waiting; try again.');
  }
}
