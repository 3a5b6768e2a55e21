/** A variable is wrong or missing: `problems` holds one line per variable, each with the mend. */
export class ConfigurationError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`Atrium cannot start with this configuration:\n${problems.map((line) => `  ${line}`).join('\n')}`);
    this.name = 'ConfigurationError';
  }
}
