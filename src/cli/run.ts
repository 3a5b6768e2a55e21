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
  // By the words themselves: of a call that is wrong, not all may have been understood.
  const isForMachines = args.includes('--json');
  const fail = (text: string): void => err(`${isForMachines ? JSON.stringify({ error: text }) : text}\n`);
  const program = buildProgram({
    variables,
    out,
    err: isForMachines ? () => undefined : err,
    answer: ({ json, text }, asJson) => out(`${asJson ? JSON.stringify(json) : text}\n`),
    exit: (other) => (code = other),
  });
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      // Help was asked for.
      if (error.exitCode === 0) return 0;
      // People were told by Commander.
      if (isForMachines) fail(wrongCall(error));
      return EXIT.usage;
    }
    fail(isExpected(error) ? error.message : String((error as Error).stack));
    return error instanceof ConfigurationError ? EXIT.configuration : EXIT.failed;
  }
}

const isExpected = (error: unknown): error is Error =>
  error instanceof CliError || error instanceof ConfigurationError || error instanceof EmbeddedServerError;

/** What was wrong with a call, in a sentence. */
const wrongCall = ({ code, message }: CommanderError): string =>
  code === 'commander.help'
    ? 'The call names no command: --help lists them.'
    : message.replace(/^error: /, '').replaceAll('\n', ' ');
