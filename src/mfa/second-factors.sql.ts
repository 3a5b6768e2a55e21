import type { EntityManager } from 'typeorm';

/** What an account has beside its first proof. */
export interface Factors {
  /** RFC 3339; null without an authenticator app. */
  readonly totpSince: string | null;
  readonly passkeys: number;
  readonly recoveryCodes: number;
  /** By which a second factor can be shown; none if none is asked for. */
  readonly methods: readonly FactorMethod[];
}

export type FactorMethod = 'totp' | 'webauthn' | 'recovery';

/** Columns of {@link FactorsRow} for an account whose id is the expression `user`, our own SQL and never input. */
const factorColumns = (user: string): string => `
  (SELECT confirmed_at FROM totp_factors WHERE user_id = ${user}) AS totp_since,
  (SELECT count(*)::int FROM passkeys WHERE user_id = ${user}) AS passkeys,
  (SELECT count(*)::int FROM recovery_codes WHERE user_id = ${user}) AS recovery_codes`;

export interface FactorsRow {
  totp_since: Date | null;
  passkeys: number;
  recovery_codes: number;
}

export function toFactors(row: FactorsRow): Factors {
  const { totp_since: since, passkeys, recovery_codes: recoveryCodes } = row;
  const methods: FactorMethod[] = [];
  if (since) methods.push('totp');
  if (passkeys > 0) methods.push('webauthn');
  if (methods.length > 0 && recoveryCodes > 0) methods.push('recovery');
  return { totpSince: since?.toISOString() ?? null, passkeys, recoveryCodes, methods };
}

const FACTORS = `SELECT ${factorColumns('$1::uuid')}`;

/** How session $2 of account $1 stands; its proof is recent for $3 seconds. */
export const STANDING = `
  SELECT s.authenticated_at > now() - make_interval(secs => $3) AS recent, s.amr,
    u.password_hash IS NOT NULL AS has_password, ${factorColumns('u.id')}
  FROM users u JOIN sessions s ON s.user_id = u.id WHERE u.id = $1 AND s.id = $2`;

export async function factorsOf(manager: EntityManager, userId: string): Promise<Factors> {
  const [row] = await manager.query<FactorsRow[]>(FACTORS, [userId]);
  return toFactors(row ?? { totp_since: null, passkeys: 0, recovery_codes: 0 });
}
