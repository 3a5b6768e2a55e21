import { Forbidden, NotFound, Problem, ValidationFailed } from '../common/problem.js';

/** 404 `not_found`: no such workspace, or none that the caller may see. */
export class WorkspaceNotFound extends NotFound {
  constructor() {
    super('There is no such workspace, or you are not a member of it.');
  }
}

/** 404 `not_found`: nobody of that id in a workspace that the caller sees. */
export class MemberNotFound extends NotFound {
  constructor() {
    super('There is no such member in this workspace.');
  }
}

/** 404 `not_found`: no such open invitation. */
export class InvitationNotFound extends NotFound {
  constructor() {
    super('There is no such invitation; it may have been accepted, replaced or withdrawn.');
  }
}

/** 403 `forbidden`: what concerns owners is for owners. */
export class OwnersOnly extends Forbidden {
  constructor() {
    super('Only an owner may make, change or remove owners.');
  }
}

/** 409 `last_owner`: a workspace has an owner at all times. */
export class LastOwner extends Problem {
  constructor() {
    super(409, 'last_owner', 'A workspace needs an owner: make somebody else an owner first, or delete it.');
  }
}

/** 409 `personal_workspace`: it belongs to an account as long as that exists. */
export class PersonalWorkspace extends Problem {
  constructor() {
    super(409, 'personal_workspace', 'A personal workspace stays with its account, which stays its owner.');
  }
}

/** 409 `already_member`. */
export class AlreadyMember extends Problem {
  constructor() {
    super(409, 'already_member', 'This person is a member already; change the role instead.');
  }
}

/** 409 `too_many_members`, `too_many_invitations` or `too_many_workspaces`: a bound is reached. */
export class TooMany extends Problem {
  constructor(what: 'members' | 'invitations' | 'workspaces', limit: number) {
    const where = what === 'workspaces' ? 'You own' : 'The workspace has';
    super(409, `too_many_${what}`, `${where} ${limit} ${what}, which is the most; remove some first.`);
  }
}

/** 404 `invalid_invitation`: the token is unknown, used, withdrawn, replaced or too old. */
export class InvalidInvitation extends Problem {
  constructor() {
    super(
      404,
      'invalid_invitation',
      'This invitation has expired or was used or withdrawn; ask for another.',
    );
  }
}

/** 403 `other_address`: the token is good, but was sent to somebody else's address. */
export class OtherAddress extends Problem {
  constructor() {
    super(403, 'other_address', 'This invitation is for another e-mail address; sign in with that account.');
  }
}

/** 400 `validation_failed`: a deletion that does not repeat the name. */
export class NotConfirmed extends ValidationFailed {
  constructor() {
    super([{ pointer: '/confirm', detail: 'must be the name of the workspace, exactly' }]);
  }
}
