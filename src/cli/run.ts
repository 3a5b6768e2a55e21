import { CommanderError } from 'commander';
import { ConfigurationError } from '../config/configuration-error.js';
import { EmbeddedServerError } from '../database/embedded.js';
import { CliError, EXIT } from './cli-error.js';
import type { Variables } from './connections.js';
import { buildProgram } from './program.js';

/** What a command is given, and where its words go. */
export interface Terminal {
  readonly variables: Variables;
  /** Answers. */
  readonly out: (text: string) => void;
  /** What went wrong. */
  readonly err: (text: string) => void;
}

/** Runs one command. @returns its exit code: 0, or one of {@link EXIT} */
export async function runCommand(
  args: readonly string[],
  { variables, out, err }: Terminal,
): Promise<number> {
  let code = 0;
  const program = buildProgram({
    variables,
    out,
    err,
    answer: ({ json, text }, asJson) => out(`${asJson ? JSON.stringify(json) : text}\n`),
    exit: (other) => (code = other),
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    // Help was asked for, or the call was wrong and Commander has said so.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT.usage;
    const text = isExpected(error) ? error.message : String((error as Error).stack);
    err(`${program.opts<{ json?: true }>().json ? JSON.stringify({ error: text }) : text}\n`);
    return error instanceof ConfigurationError ? EXIT.configuration : EXIT.failed;
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof CliError || error instanceof ConfigurationError || error instanceof EmbeddedServerError;
