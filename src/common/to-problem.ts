import type { Logger } from '@nestjs/common';
import { Problem } from './problem.js';
import { reasonOf } from './reason.js';

/** Turns what was thrown into a problem, if it knows that kind of error. */
export type ProblemTranslator = (error: unknown) => Problem | undefined;

/** The problem that the caller is told of; what nobody foresaw is `internal`, without a word of the cause. */
export function toProblem(error: unknown, translate: ProblemTranslator): Problem {
  if (error instanceof Problem) return error;
  return (
    translate(error) ??
    new Problem(
      500,
      'internal',
      'Something went wrong on our side. Quote the requestId when you report it.',
      {
        cause: error,
      },
    )
  );
}

/** Writes the cause of a problem on our side to the log. */
export function logProblem(logger: Logger, error: unknown, problem: Problem): void {
  const cause = problem.cause ?? error;
  const text = `${problem.code}: ${reasonOf(cause)}`;
  if (cause instanceof Error) logger.error(text, cause);
  else logger.error(text);
}
