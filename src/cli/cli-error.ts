/** How a command ends, besides 0. */
export const EXIT = {
  /** What was asked for is not so, or is not there. */
  failed: 1,
  /** It was called in a way that it does not know. */
  usage: 2,
  /** The configuration is wrong (`EX_CONFIG` of sysexits.h). */
  configuration: 78,
} as const;

/** Something that the operator can mend, or wanted to know: told in words, without a stack. */
export class CliError extends Error {}
