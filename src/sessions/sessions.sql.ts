/**
 * Opens session $1 of user $2, unless the account was disabled or its credentials changed ($8) since they were
 * proven. The share lock makes one of this and a change of the account wait for the other.
 */
export const OPEN_SESSION = `
  INSERT INTO sessions (id, user_id, seed, rotations, expires_at, user_agent, address, amr)
  SELECT $1, u.id, $3, ARRAY[now()], now() + make_interval(secs => $4), $5, $6, $7
  FROM users u
  WHERE u.id = $2 AND u.disabled_at IS NULL AND u.credentials_version = $8
  FOR SHARE OF u
  RETURNING id`;

/** Token $2 is the one that is due, or was exchanged within the grace of $3 seconds. */
const IS_GOOD = `(generation = $2 OR
  COALESCE(rotations[generation - $2] > now() - make_interval(secs => $3), false))`;

/** One statement decides between first use, a repeat within the grace, and reuse; racers queue on the row. */
export const ROTATE_SESSION = `
  UPDATE sessions SET
    rotations = CASE WHEN generation = $2 THEN (ARRAY[now()] || rotations)[1:20] ELSE rotations END,
    generation = CASE WHEN generation = $2 THEN generation + 1 ELSE generation END,
    address = CASE WHEN ${IS_GOOD} THEN $5 ELSE address END,
    revoked_at = CASE WHEN ${IS_GOOD} THEN NULL ELSE now() END,
    revoked_reason = CASE WHEN ${IS_GOOD} THEN NULL ELSE 'reuse' END
  WHERE id = $1 AND revoked_at IS NULL AND expires_at > now()
    AND rotations[1] > now() - make_interval(secs => $4)
  RETURNING generation, revoked_at IS NOT NULL AS reused`;

/**
 * Ends sessions. Their rows are locked first, in order, so that two endings never wait for each other, and so
 * that the time of the end is no older than the wait: other instances look for recent ends.
 */
const end = (where: string): string => `
  WITH ending AS MATERIALIZED (
    SELECT id FROM sessions WHERE ${where} AND revoked_at IS NULL ORDER BY id FOR NO KEY UPDATE
  )
  UPDATE sessions s SET revoked_at = clock_timestamp(), revoked_reason = $3
  FROM ending WHERE s.id = ending.id
  RETURNING s.id`;

/** All sessions of user $1 but $2, which may be null. */
export const END_SESSIONS = end('user_id = $1 AND id IS DISTINCT FROM $2::uuid');
/** Session $2 of user $1. */
export const END_SESSION = end('user_id = $1 AND id = $2');

/** Session $1 of user $2 has just proven again who it is, by $3 (RFC 8176). */
export const RENEW_PROOF = `
  UPDATE sessions SET authenticated_at = now(), amr = ARRAY(SELECT DISTINCT unnest(amr || $3::text[]) ORDER BY 1)
  WHERE id = $1 AND user_id = $2 AND revoked_at IS NULL
  RETURNING id`;

/** What the sessions of a deleted account say about a person goes with it. */
export const FORGET_DEVICES = `UPDATE sessions SET user_agent = NULL, address = 'unknown' WHERE user_id = $1`;
