import type { Statement } from '../database/pipelined-statements.js';

/** How long an answer is given again. */
const KEPT = `interval '24 hours'`;
/** No request runs for so long: the process that claimed the key is gone. */
const ABANDONED = `interval '60 seconds'`;

/**
 * Takes a key that is free or expired; with `$5`, also one whose request was cut off: its answer would stand here if
 * anything had been done, and by losing its claim it loses the right to do it still; or it may be done again. One row in
 * any case, unless somebody takes it at the very same time: with `claimed`, or with what the one who came first has left.
 */
export const CLAIM_KEY: Statement = {
  name: 'idempotency.claim',
  text: `WITH claimed AS (
      INSERT INTO idempotency_keys AS k (principal_id, key_hash, fingerprint, claim, expires_at)
      VALUES ($1, $2, $3, $4, now() + ${KEPT})
      ON CONFLICT (principal_id, key_hash) DO UPDATE SET fingerprint = excluded.fingerprint,
        claim = excluded.claim, state = 'running', status = NULL, headers = NULL, body = NULL,
        claimed_at = now(), expires_at = excluded.expires_at
      WHERE k.expires_at <= now() OR ($5::boolean AND k.fingerprint = excluded.fingerprint
        AND (k.state = 'unknown' OR (k.state = 'running' AND k.claimed_at < now() - ${ABANDONED})))
      RETURNING 1
    )
    SELECT true AS claimed, NULL AS state, NULL AS same, NULL AS status, NULL AS headers, NULL AS body
      FROM claimed
    UNION ALL
    SELECT false, CASE WHEN state = 'running' AND claimed_at < now() - ${ABANDONED} THEN 'unknown' ELSE state END,
      (fingerprint = $3)::text, status::text, headers::text, body
      FROM idempotency_keys
      WHERE principal_id = $1 AND key_hash = $2 AND NOT EXISTS (SELECT 1 FROM claimed)`,
};

export const ANSWER_KEY: Statement = {
  name: 'idempotency.answer',
  text: `UPDATE idempotency_keys SET state = 'answered', status = $4, headers = $5, body = $6
    WHERE principal_id = $1 AND key_hash = $2 AND claim = $3`,
};

/** {@link ANSWER_KEY} within the transaction that does what was asked for: no row if the claim was lost. */
export const KEEP_ANSWER = `WITH kept AS (
    UPDATE idempotency_keys SET state = 'answered', status = $4, headers = $5, body = $6
    WHERE principal_id = $1 AND key_hash = $2 AND claim = $3 RETURNING 1
  ) SELECT 1 FROM kept`;

export const DOUBT_KEY: Statement = {
  name: 'idempotency.doubt',
  text: `UPDATE idempotency_keys SET state = 'unknown'
    WHERE principal_id = $1 AND key_hash = $2 AND claim = $3 AND state = 'running'`,
};

export const RELEASE_KEY: Statement = {
  name: 'idempotency.release',
  text: `DELETE FROM idempotency_keys WHERE principal_id = $1 AND key_hash = $2 AND claim = $3`,
};

export const COUNT_KEYS: Statement = {
  name: 'idempotency.count',
  text: `SELECT count(*) AS count FROM (SELECT 1 FROM idempotency_keys WHERE principal_id = $1 LIMIT $2) k`,
};

/** Some of the expired: a purge must not hold up what waits behind it. */
export const PURGE_KEYS: Statement = {
  name: 'idempotency.purge',
  text: `WITH expired AS (
      SELECT principal_id, key_hash FROM idempotency_keys WHERE expires_at <= now()
      ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED
    )
    DELETE FROM idempotency_keys k USING expired e
    WHERE k.principal_id = e.principal_id AND k.key_hash = e.key_hash RETURNING 1`,
};
