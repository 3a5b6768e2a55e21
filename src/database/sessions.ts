import { Client, type ClientConfig } from 'pg';
import { SESSION_OPTIONS } from './session-options.js';

/** Where the database is, and what stands before it. */
export interface DatabaseAddress {
  /** `postgresql://user:password@host:port/name` */
  readonly url: string;
  /** Whether a pooler lends its connections for one transaction at a time: then a session is nobody's own. */
  readonly pooled?: boolean;
}

/** What a session, or, where sessions are nobody's own, each transaction runs with. Spans in ms. */
export interface SessionBounds {
  /** What `pg_stat_activity` shows. */
  readonly name: string;
  readonly statementTimeoutMs: number;
  readonly lockTimeoutMs?: number;
  readonly idleInTransactionTimeoutMs?: number;
  /** Other settings, by name. Ours: never a client's. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What a driver's client is made with. */
export type SessionConfig = ClientConfig & { readonly Client?: typeof Client };

/**
 * How sessions begin. Past PostgreSQL itself, each carries its settings from its first message on. A pooler in
 * transaction mode refuses most of these, or loses them; what it keeps for a client is told in the way that every
 * one takes, and the rest goes with the transactions that need it: {@link localSettings}.
 */
export function sessionConfig({ url, pooled }: DatabaseAddress, bounds: SessionBounds): SessionConfig {
  // Under one name, so that the pooler need not change it whenever it lends a connection to somebody else.
  if (pooled)
    return { connectionString: url, application_name: 'atrium', keepAlive: true, Client: PooledClient };
  const settings = Object.entries(bounds.settings ?? {}).map(([name, value]) => ` -c ${name}=${value}`);
  return {
    connectionString: url,
    application_name: bounds.name,
    keepAlive: true,
    options: SESSION_OPTIONS + settings.join(''),
    statement_timeout: bounds.statementTimeoutMs,
    ...(bounds.lockTimeoutMs !== undefined && { lock_timeout: bounds.lockTimeoutMs }),
    ...(bounds.idleInTransactionTimeoutMs !== undefined && {
      idle_in_transaction_session_timeout: bounds.idleInTransactionTimeoutMs,
    }),
  };
}

/** The bounds as statements for the beginning of a transaction: `SET LOCAL …; SET LOCAL …`. */
export function localSettings(bounds: Omit<SessionBounds, 'name'>): string {
  const settings: [string, string | number | undefined][] = [
    ['statement_timeout', bounds.statementTimeoutMs],
    ['lock_timeout', bounds.lockTimeoutMs],
    ['idle_in_transaction_session_timeout', bounds.idleInTransactionTimeoutMs],
    ...Object.entries(bounds.settings ?? {}),
  ];
  return settings
    .flatMap(([name, value]) => (value === undefined ? [] : [`SET LOCAL ${name} = '${value}'`]))
    .join('; ');
}

/** Whoever waits for a lock for longer gets it too late to be of use, and holds a connection meanwhile. */
const LOCK_TIMEOUT_MS = 3_000;

/** So long a statement of which the time limit is this waits for a lock. */
export const lockTimeoutOf = (statementTimeoutMs: number): number =>
  Math.min(LOCK_TIMEOUT_MS, Math.ceil(statementTimeoutMs / 2));

/** The bounds of ordinary work, of which all follow from that of a statement. */
export const boundsOf = (name: string, statementTimeoutMs: number): SessionBounds => ({
  name,
  statementTimeoutMs,
  lockTimeoutMs: lockTimeoutOf(statementTimeoutMs),
  idleInTransactionTimeoutMs: statementTimeoutMs * 2,
});

/** A client as these options want it. */
export const newClient = (config: SessionConfig): Client => new (config.Client ?? Client)(config);

interface StartsUp {
  getStartupConf(): Record<string, string>;
}

/**
 * Says in its first message how times are to be read. Poolers know these two, since PostgreSQL reports them, and see to
 * it that whatever session a client is lent has them; anything else they refuse, or ignore.
 */
class PooledClient extends Client {
  getStartupConf(): Record<string, string> {
    const own = (Client.prototype as unknown as StartsUp).getStartupConf.call(this);
    return { ...own, TimeZone: 'UTC', DateStyle: 'ISO, YMD' };
  }
}
