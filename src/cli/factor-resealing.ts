import type { DataSource } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import { OPERATOR } from '../common/client-info.js';
import type { FactorSecrets } from '../mfa/factor-secrets.js';

const BATCH = 500;
const READ = `SELECT user_id AS "userId", secret FROM totp_factors WHERE $1::uuid IS NULL OR user_id > $1
  ORDER BY user_id LIMIT ${BATCH}`;
/** Not where it has changed meanwhile: then it was sealed a moment ago. */
const WRITE = `UPDATE totp_factors f SET secret = n.secret
  FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) AS n (user_id, before, secret)
  WHERE f.user_id = n.user_id AND f.secret = n.before`;

/** How the secrets of authenticator apps stood. */
export interface Resealed {
  /** How many there are. */
  readonly total: number;
  /** Sealed under a secret of before, and under the one of now since. */
  readonly resealed: number;
  /** Sealed under none of the secrets that are known: their apps do not work. */
  readonly unreadable: number;
}

interface Sealed {
  readonly userId: string;
  readonly secret: Buffer;
}

/**
 * Seals every secret of an authenticator app under the first `FACTOR_SECRET`, so that the others can go. Harmless
 * beside running instances, and when it is done again.
 */
export async function resealFactors(database: DataSource, secrets: FactorSecrets): Promise<Resealed> {
  const counted = { total: 0, resealed: 0, unreadable: 0 };
  let rows: Sealed[] = [];
  do {
    rows = await database.query<Sealed[]>(READ, [rows.at(-1)?.userId ?? null]);
    const looks = rows.map((row) => lookAt(row, secrets));
    const stale = looks.filter(({ sealedAnew }) => sealedAnew !== undefined);
    if (stale.length > 0)
      await database.query(WRITE, [
        stale.map(({ userId }) => userId),
        stale.map(({ secret }) => secret),
        stale.map(({ sealedAnew }) => sealedAnew),
      ]);
    counted.total += rows.length;
    counted.resealed += stale.length;
    counted.unreadable += looks.filter(({ isReadable }) => !isReadable).length;
  } while (rows.length === BATCH);
  await new AuditTrail(database).record({ action: 'mfa.totp.resealed', client: OPERATOR, detail: counted });
  return counted;
}

function lookAt(row: Sealed, secrets: FactorSecrets) {
  try {
    return { ...row, isReadable: true, sealedAnew: secrets.open(row.userId, row.secret).sealedAnew };
  } catch {
    return { ...row, isReadable: false, sealedAnew: undefined };
  }
}
