import type { Statement } from '../database/pipelined-statements.js';

/** A purge must not hold up what waits behind it. */
export const PURGE_BATCH = 1_000;

/** What a kind of counter forgives, and how it slows down. */
interface Patience {
  /** Failures until the first wait, which is a second; each further one doubles it. */
  readonly free: number;
  /** The longest wait, in seconds. */
  readonly longest: number;
  /** How many seconds it takes to forget one failure. */
  readonly forgets: number;
}

/**
 * An address that tries one account is slowed down soon. An account that is tried from everywhere is slowed down
 * late and a little, and an address that tries everybody's accounts likewise. Who tries second factors has the
 * password already, and a code has six digits: an account is closed to unknown addresses sooner, and for longer.
 */
const PATIENCE: Readonly<Record<'pair' | 'account' | 'address' | 'factor', Patience>> = {
  pair: { free: 5, longest: 900, forgets: 3_600 },
  account: { free: 50, longest: 60, forgets: 120 },
  address: { free: 30, longest: 900, forgets: 60 },
  factor: { free: 20, longest: 900, forgets: 3_600 },
};

const byKind = (pick: (patience: Patience) => number): string =>
  `CASE a.kind ${Object.entries(PATIENCE)
    .map(([kind, patience]) => `WHEN '${kind}' THEN ${pick(patience)}`)
    .join(' ')} END`;

/** From an address where the account has signed in of late, only that address's own failures count. */
const KNOWN = `signed_in_at > now() - interval '180 days'`;

/**
 * Counts an attempt before it is made, so that many at once cannot all slip through; one that has to wait counts
 * for nothing. Rows are locked in the order of their keys. $1 pair, $2 account, $3 address.
 */
const begin = (kind: 'account' | 'factor'): Statement => ({
  name: `password_attempts.begin_${kind}`,
  text: `WITH held AS (
      SELECT key, blocked_until, signed_in_at FROM password_attempts
      WHERE key IN ($1::bytea, $2::bytea, $3::bytea) ORDER BY key FOR UPDATE
    ), pair AS (
      SELECT coalesce(bool_or(key = $1 AND ${KNOWN}), false) AS known FROM held
    ), wait AS (
      SELECT max(blocked_until) AS until FROM held, pair
      WHERE blocked_until > now() AND (key = $1 OR NOT known)
    ), counted AS (
      INSERT INTO password_attempts AS a (key, kind, failures, last_at)
      SELECT k.key, k.kind, 1, now()
      FROM (VALUES ($1::bytea, 'pair'), ($2::bytea, '${kind}'), ($3::bytea, 'address')) k (key, kind), pair, wait
      WHERE wait.until IS NULL AND (k.key = $1 OR NOT known)
      ORDER BY k.key
      ON CONFLICT (key) DO UPDATE SET (failures, last_at, blocked_until) = (
        SELECT f.failures, now(), CASE WHEN ceil(f.failures) >= ${byKind(({ free }) => free)}
          THEN now() + make_interval(secs => least(${byKind(({ longest }) => longest)},
            power(2, least(ceil(f.failures) - ${byKind(({ free }) => free)}, 20)))) END
        FROM (SELECT 1 + greatest(0, a.failures -
          extract(epoch FROM now() - a.last_at)::float8 / ${byKind(({ forgets }) => forgets)}) AS failures) f)
    )
    SELECT ceil(extract(epoch FROM until - now()))::int AS wait, known FROM wait, pair`,
});
/** {@link begin} of a password. */
export const BEGIN_ATTEMPT = begin('account');
/** {@link begin} of a second factor. */
export const BEGIN_FACTOR_ATTEMPT = begin('factor');

/**
 * Takes an attempt back that was not in vain. $1 the keys under which it was counted, $2 whether the proof was good:
 * then the pair begins anew.
 */
export const FORGIVE_ATTEMPT: Statement = {
  name: 'password_attempts.forgive',
  text: `UPDATE password_attempts a SET
      failures = CASE WHEN a.kind = 'pair' AND $2::boolean THEN 0 ELSE greatest(0, a.failures - 1) END,
      blocked_until = CASE WHEN NOT (a.kind = 'pair' AND $2::boolean)
        AND ceil(a.failures - 1) >= ${byKind(({ free }) => free)} THEN a.blocked_until END
    FROM (SELECT key FROM password_attempts WHERE key = ANY ($1::bytea[]) ORDER BY key FOR UPDATE) held
    WHERE a.key = held.key`,
};

/** Remembers that an account has signed in from an address. $1 the pair. */
export const TRUST_PAIR: Statement = {
  name: 'password_attempts.trust',
  text: `INSERT INTO password_attempts (key, kind, failures, last_at, signed_in_at)
    VALUES ($1, 'pair', 0, now(), now())
    ON CONFLICT (key) DO UPDATE SET signed_in_at = now()`,
};

/** Some of what is of no more use. */
export const PURGE_ATTEMPTS: Statement = {
  name: 'password_attempts.purge',
  text: `DELETE FROM password_attempts WHERE key IN (
      SELECT key FROM password_attempts
      WHERE last_at < now() - interval '2 days' AND (signed_in_at IS NULL OR NOT ${KNOWN})
      ORDER BY last_at LIMIT ${PURGE_BATCH} FOR UPDATE SKIP LOCKED) RETURNING 1`,
};
