import type { LoggerService } from '@nestjs/common';
import { createRequire } from 'node:module';
import { type Logger, pino } from 'pino';
import { logFields } from '../../common/log-context.js';
import type { AtriumConfig } from '../../config/config.js';
import type { LogLevel } from '../../config/log-levels.js';
import { LogLevels } from './log-levels.js';
import { LogOutput } from './log-output.js';
import { CENSORED, cleanLine, cleanText, cleanValue, DEEPEST, SECRET_PATHS } from './redaction.js';

/** pino's words for ours, which are Nest's. */
const PINO_LEVELS = { fatal: 'fatal', error: 'error', warn: 'warn', log: 'info', debug: 'debug' } as const;
const STANDARD_OUTPUT = 1;

/** A line is told by who says it: `module`, the name that Nest calls context. */
const NOBODY = 'Atrium';

/**
 * The log: one JSON object a line, on standard output, by pino. Every line says what it belongs to (the request, the
 * socket, the job), nothing that a client sends can make a line of its own, and secrets are left out by name and by
 * shape. Behind Nest's `Logger`, so whoever logs knows nothing of it.
 */
export class Logs implements LoggerService {
  readonly levels: LogLevels;
  private readonly output = new LogOutput(STANDARD_OUTPUT);
  private readonly pino: Logger;
  private readonly isPretty: boolean;

  constructor(config: Pick<AtriumConfig, 'environment' | 'logLevels'>) {
    this.levels = new LogLevels(config.logLevels);
    this.isPretty = config.environment !== 'production' && process.stdout.isTTY && hasPretty();
    const options = {
      level: 'trace',
      base: undefined,
      timestamp: () => `,"time":"${isoTime()}"`,
      formatters: { level: (level: string) => ({ level }) },
      redact: { paths: SECRET_PATHS, censor: CENSORED },
    };
    this.pino = this.isPretty
      ? pino({
          ...options,
          // With a transport, pino wants its own levels.
          formatters: undefined,
          transport: {
            target: 'pino-pretty',
            options: { ignore: 'module', messageFormat: '{module}: {msg}' },
          },
        })
      : pino(options, this.output);
  }

  log(message: unknown, ...rest: unknown[]): void {
    this.say('log', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.say('fatal', message, rest);
    this.flushSync();
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.say('error', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.say('warn', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.say('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.say('debug', message, rest);
  }

  /**
   * A line that is said very often: put together without looking at each value.
   * @param fields texts without anything that JSON escapes, by the caller's word, and numbers
   */
  frequent(
    level: LogLevel,
    module: string,
    fields: Readonly<Record<string, string | number | boolean | undefined>>,
    message: string,
  ): void {
    if (this.isPretty) {
      this.pino[PINO_LEVELS[level]]({ module, ...fields }, message);
      return;
    }
    let line = `{"level":"${PINO_LEVELS[level]}","time":"${isoTime()}","module":"${module}"`;
    for (const name in fields) {
      const value = fields[name];
      if (typeof value === 'string') line += `,"${name}":"${value}"`;
      else if (value !== undefined) line += `,"${name}":${String(value)}`;
    }
    this.output.write(`${line},"msg":"${message}"}\n`);
  }

  /** To be awaited before the process ends. */
  end(): Promise<void> {
    return this.output.end();
  }

  /** When it ends at once. */
  flushSync(): void {
    this.output.flushSync();
  }

  private say(level: LogLevel, message: unknown, rest: unknown[]): void {
    // Nest hands the name of who says it as the last parameter and, for errors, a stack before it.
    const module = typeof rest.at(-1) === 'string' ? String(rest.at(-1)) : NOBODY;
    if (!this.levels.isEnabled(module, level)) return;
    const details = typeof rest.at(-1) === 'string' ? rest.slice(0, -1) : rest;
    const fields = { module: cleanLine(module), ...logFields(), ...describe(message, details) };
    this.pino[PINO_LEVELS[level]](fields, cleanLine(textOf(message)));
  }
}

function textOf(message: unknown): string {
  if (message instanceof Error) return message.message;
  return typeof message === 'object' && message !== null ? 'details' : String(message);
}

/** What a line has besides its text: of errors no more than what they are and where, since they hold what was sent. */
function describe(message: unknown, details: readonly unknown[]): object {
  const error = [message, ...details].find((each) => each instanceof Error);
  const stack = error ? stackOf(error) : details.find((each) => typeof each === 'string');
  return {
    ...(stack && { stack: cleanText(stack) }),
    ...(typeof message === 'object' && message !== null && !error && { data: cleanValue(message) }),
  };
}

function stackOf(error: Error, depth = 0): string {
  const stack = error.stack ?? error.message;
  if (!(error.cause instanceof Error) || depth >= DEEPEST) return stack;
  return `${stack}\ncaused by ${stackOf(error.cause, depth + 1)}`;
}

let millisecond = 0;
let text = '';

/** RFC 3339 in UTC; most lines share theirs with the one before. */
function isoTime(): string {
  const now = Date.now();
  if (now !== millisecond) {
    millisecond = now;
    text = new Date(now).toISOString();
  }
  return text;
}

/** It is a development dependency: not there in production, and nobody's fault. */
function hasPretty(): boolean {
  try {
    createRequire(import.meta.url).resolve('pino-pretty');
    return true;
  } catch {
    return false;
  }
}

const known = new WeakMap<AtriumConfig, Logs>();

/** The one log of a configuration: needed before there is anything that could be injected. */
export function logsOf(config: AtriumConfig): Logs {
  const found = known.get(config) ?? new Logs(config);
  known.set(config, found);
  return found;
}

/** What is started with a configuration that was completed goes on with the log of before. */
export function shareLogs(from: AtriumConfig, to: AtriumConfig): void {
  known.set(to, logsOf(from));
}
