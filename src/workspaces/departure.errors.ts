import { Problem } from '../common/problem.js';

/** How many workspaces the problem names. */
const NAMED = 10;

/** 409 `owns_workspaces`: an account cannot go while workspaces would be left without an owner. */
export class OwnsWorkspaces extends Problem {
  constructor(workspaces: readonly { readonly id: string; readonly name: string }[]) {
    const named = workspaces.slice(0, NAMED).map(({ id, name }) => `${JSON.stringify(name)} (${id})`);
    const more = workspaces.length > NAMED ? ` and ${workspaces.length - NAMED} more` : '';
    super(
      409,
      'owns_workspaces',
      `You are the only owner of ${named.join(', ')}${more}. Make somebody else an owner or delete them first; nothing was changed.`,
    );
  }
}
