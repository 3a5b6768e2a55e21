import { runCommand } from '../../src/cli/run.js';
import { testVariables, type Variables } from './variables.js';

/** How a command has ended. */
export interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of administration on a database, in this process. */
export async function runAtrium(
  args: readonly string[],
  databaseUrl: string,
  variables: Variables = {},
): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  const code = await runCommand(args, {
    variables: testVariables(databaseUrl, variables),
    out: (text) => void (said.stdout += text),
    err: (text) => void (said.stderr += text),
  });
  return { code, ...said };
}
