/** From the most to the least urgent. */
export const LOG_LEVELS = ['fatal', 'error', 'warn', 'log', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** One entry of `LOG_LEVELS`. */
export const MODULE_LEVEL = /^([\w.-]{1,64})=(fatal|error|warn|log|debug)$/;

/** @param entries each fit for {@link MODULE_LEVEL} */
export const readLogLevels = (entries: readonly string[]): Readonly<Record<string, LogLevel>> =>
  Object.fromEntries(entries.map((entry) => entry.split('=') as [string, LogLevel]));
