import type { AtriumProcess } from './process.js';
import { until } from './until.js';

/** One line of the log. */
export interface LogLine {
  readonly level: string;
  readonly time: string;
  readonly module: string;
  readonly msg: string;
  readonly requestId?: string;
  readonly traceId?: string;
  readonly principal?: string;
  readonly workspaceId?: string;
  readonly method?: string;
  readonly route?: string;
  readonly status?: number;
  readonly durationMs?: number;
  readonly aborted?: boolean;
  readonly connectionId?: string;
  readonly code?: number;
  readonly job?: string;
  readonly queue?: string;
  readonly stack?: string;
}

/** All lines that a process has logged by now. @throws if one of them is no JSON object */
export const logLines = (atrium: AtriumProcess): LogLine[] =>
  atrium
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine);

/** Waits for a line. */
export const logged = (
  atrium: AtriumProcess,
  what: string,
  fits: (line: LogLine) => boolean,
): Promise<LogLine> => until(`a line of the log: ${what}`, () => logLines(atrium).find(fits));
