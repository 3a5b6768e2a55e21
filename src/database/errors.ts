import { QueryRunnerAlreadyReleasedError, QueryRunnerProviderAlreadyReleasedError } from 'typeorm';

/**
 * The database could not be reached, or the connection broke before the answer came. What was under way may
 * or may not have happened: only the caller knows whether it is safe to try again. `cause` is the original error.
 */
export class DatabaseUnavailableError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'DatabaseUnavailableError';
  }
}

/** The database has not come to a statement in time, or not to its end: it may still be done. */
export class DatabaseOverdueError extends DatabaseUnavailableError {
  constructor() {
    super('The database has not answered in time');
    this.name = 'DatabaseOverdueError';
  }
}

/** The database has too much to do; this was not sent. Safe to try again a little later. */
export class DatabaseBusyError extends Error {
  /** @param why `100 statements wait` */
  constructor(why: string) {
    super(`The database is busy, try again in a moment: ${why}`);
    this.name = 'DatabaseBusyError';
  }
}

/** Unique violation (23505), on a constraint or unique index. */
const UNIQUE_VIOLATION = '23505';
/** Check violation (23514). */
const CHECK_VIOLATION = '23514';
/** Serialization failure and deadlock: the transaction was rolled back for its neighbours' sake. */
const ROLLED_BACK_FOR_OTHERS = new Set(['40001', '40P01']);
/** What Node reports when a socket cannot be opened or breaks. */
const SOCKET_FAILURES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
]);

interface ServerError {
  readonly code: string;
  readonly constraint: string | undefined;
  readonly severity: string | undefined;
}

/** PostgreSQL's own error, whether it comes as `pg` threw it or wrapped in TypeORM's `QueryFailedError`. */
function serverError(error: unknown): ServerError | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('driverError' in error && error.driverError !== error) return serverError(error.driverError);
  if (!('code' in error) || typeof error.code !== 'string') return undefined;
  return { code: error.code, constraint: text(error, 'constraint'), severity: text(error, 'severity') };
}

function text(source: object, key: string): string | undefined {
  const value: unknown = Reflect.get(source, key);
  return typeof value === 'string' ? value : undefined;
}

/** Whether a statement failed because a row with that key exists; of one constraint or index when it is named. */
export function isUniqueViolation(error: unknown, constraint?: string): boolean {
  const found = serverError(error);
  return found?.code === UNIQUE_VIOLATION && (constraint === undefined || found.constraint === constraint);
}

/** Whether a statement failed because a row would not be what this constraint demands. */
export function isCheckViolation(error: unknown, constraint: string): boolean {
  const found = serverError(error);
  return found?.code === CHECK_VIOLATION && found.constraint === constraint;
}

/** Whether PostgreSQL rolled the transaction back because of a concurrent one: run again, it may well succeed. */
export function isRetryable(error: unknown): boolean {
  const code = serverError(error)?.code;
  return code !== undefined && ROLLED_BACK_FOR_OTHERS.has(code);
}

/** Whether a lock was not to be had in time (55P03): nothing of the statement happened. */
export const isLockTimeout = (error: unknown): boolean => serverError(error)?.code === '55P03';

/** Whether the server has no room for it, on disk (53100) or in memory: nothing of it happened. */
export const isOutOfRoom = (error: unknown): boolean => /^53[124]00$/.test(serverError(error)?.code ?? '');

/** Whether a table is not there (42P01), or not any more. */
export const isMissingTable = (error: unknown): boolean => serverError(error)?.code === '42P01';

/** Whether the connection is what failed (SQLSTATE class 08, a server going down, a socket), not the statement. */
export function isConnectionLoss(error: unknown): boolean {
  if (error instanceof DatabaseUnavailableError) return true;
  // What TypeORM says to the next statement of a transaction whose connection broke meanwhile.
  if (error instanceof QueryRunnerAlreadyReleasedError) return true;
  if (error instanceof QueryRunnerProviderAlreadyReleasedError) return true;
  const found = serverError(error);
  if (!found)
    return error instanceof Error && /^(Connection terminated|timeout expired|Client )/.test(error.message);
  // 53300: too many connections. 57P01 to 57P03: told to go, crashed, still starting.
  return (
    SOCKET_FAILURES.has(found.code) ||
    found.severity === 'FATAL' ||
    found.severity === 'PANIC' ||
    /^(08|53300|57P0[1-3])/.test(found.code)
  );
}

/** Whether a pooler does not take what a session of ours begins with. */
export const isPoolersRefusal = (error: unknown): boolean =>
  serverError(error)?.code === '08P01' &&
  error instanceof Error &&
  error.message.includes('unsupported startup parameter');

/** Whether PostgreSQL refused or cancelled the statement itself, so that nothing of it happened. */
export function isStatementError(error: unknown): boolean {
  return serverError(error)?.severity !== undefined && !isConnectionLoss(error);
}

/** What PostgreSQL says of a statement that it refused, with its hint and the statement; `undefined` of other errors. */
export function serverRefusal(error: unknown): string | undefined {
  const found = serverError(error);
  if (found?.severity === undefined || !(error instanceof Error)) return undefined;
  const source = 'driverError' in error ? (error.driverError as object) : error;
  const statement = text(error, 'query');
  return [
    `PostgreSQL refuses it: ${error.message} (${found.code})`,
    text(source, 'detail'),
    text(source, 'hint'),
    statement && `The statement: ${statement.trim()}`,
  ]
    .filter(Boolean)
    .join('\n');
}

/** Whether PostgreSQL cancelled the statement because its time was up. */
export function isCancelled(error: unknown): boolean {
  return serverError(error)?.code === '57014';
}

/** Whether a prepared statement was refused because it is gone (26000) or the schema has changed since. */
export function isStalePlan(error: unknown): boolean {
  const code = serverError(error)?.code;
  return (
    code === '26000' ||
    (code === '0A000' && error instanceof Error && error.message.includes('cached plan must not change'))
  );
}
