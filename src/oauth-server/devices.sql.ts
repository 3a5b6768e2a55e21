import type { Statement } from '../database/pipelined-statements.js';

/** Takes some expired ones along, so that they never pile up. */
export const BEGIN: Statement = {
  name: 'devices.begin',
  text: `WITH expired AS (
      DELETE FROM device_authorizations WHERE id IN (
        SELECT id FROM device_authorizations WHERE expires_at < now() - interval '1 hour' LIMIT 10
        FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO device_authorizations
      (id, device_code_hash, user_code, name, kind, scopes, address, interval_seconds, expires_at)
    VALUES ($1, decode($2, 'hex'), $3, $4, $5, $6, $7, $8::int, now() + make_interval(secs => $9::int))
    ON CONFLICT DO NOTHING RETURNING 1`,
};

/** One statement judges a poll, so that of two at once one is given the tokens. */
export const POLL: Statement = {
  name: 'devices.poll',
  text: `WITH polled AS MATERIALIZED (
      SELECT id, status, expires_at <= now() AS expired, credential_id,
        COALESCE(polled_at > now() - make_interval(secs => interval_seconds), false) AS too_fast
      FROM device_authorizations WHERE device_code_hash = decode($1, 'hex') FOR UPDATE
    )
    UPDATE device_authorizations d SET polled_at = now(),
      interval_seconds = CASE WHEN p.too_fast THEN least(d.interval_seconds + 5, 60) ELSE d.interval_seconds END,
      status = CASE WHEN p.status = 'approved' AND NOT p.expired THEN 'used' ELSE d.status END
    FROM polled p WHERE d.id = p.id
    RETURNING p.status, p.expired, p.too_fast, p.credential_id`,
};

const COLUMNS = `user_code, name, kind, array_to_json(scopes)::text AS scopes, address, created_at::text,
  expires_at::text`;
const IS_WAITING = `user_code = $1 AND status = 'pending' AND expires_at > now()`;

export const READ: Statement = {
  name: 'devices.read',
  text: `SELECT ${COLUMNS} FROM device_authorizations WHERE ${IS_WAITING}`,
};

export const LOCK = `SELECT ${COLUMNS} FROM device_authorizations WHERE ${IS_WAITING} FOR UPDATE`;

export const APPROVE = `UPDATE device_authorizations SET status = 'approved', credential_id = $2 WHERE user_code = $1`;

export const DENY = `UPDATE device_authorizations SET status = 'denied' WHERE ${IS_WAITING} RETURNING id`;
