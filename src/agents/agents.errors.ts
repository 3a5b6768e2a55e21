import { NotFound, Problem } from '../common/problem.js';

/** 404 `not_found`: no such agent, or none that the caller may see. */
export class AgentNotFound extends NotFound {
  constructor() {
    super('There is no such agent, or it is not yours to see.');
  }
}

/** 409 `too_many_agents`: the bound of a workspace. */
export class TooManyAgents extends Problem {
  constructor(limit: number) {
    super(409, 'too_many_agents', `The workspace has ${limit} agents, which is the most; delete some first.`);
  }
}
