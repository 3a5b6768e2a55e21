import { Injectable } from '@nestjs/common';
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import type { JWTPayload } from 'jose';
import { Clock } from '../common/clock.js';
import { isId } from '../common/identifiers.js';
import type { JsonObject } from '../common/json.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { KEYS, type LoginRow, type ProvenAgent, toProvenAgent } from './agent-logins.js';
import { ASSERTION_ALGORITHMS } from './public-keys.js';

/** An assertion that is good for longer is refused: that long its `jti` must be remembered. */
const MAX_LIFETIME_SECONDS = 600;
/** By how much the agent's clock may differ. */
const TOLERANCE_SECONDS = 10;
const MAX_LENGTH = 8_192;

/** Once: no row for a `jti` that was used. Takes expired ones along, so that they never pile up. */
const USE_ASSERTION: Statement = {
  name: 'agents.use_assertion',
  text: `WITH expired AS (
      DELETE FROM used_assertions WHERE (agent_id, jti_hash) IN (
        SELECT agent_id, jti_hash FROM used_assertions WHERE expires_at < now() LIMIT 10 FOR UPDATE SKIP LOCKED)
    )
    INSERT INTO used_assertions (agent_id, jti_hash, expires_at)
    VALUES ($1, decode($2, 'hex'), now() + make_interval(secs => $3::int))
    ON CONFLICT DO NOTHING RETURNING 1`,
};

/** Agents that prove who they are by a signature (RFC 7523, section 3): each assertion is good once. */
@Injectable()
export class ClientAssertions {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly clock: Clock,
  ) {}

  /**
   * @param audiences one of which it must be meant for
   * @returns `undefined` if it is not good, whatever the reason
   */
  async read(assertion: string, audiences: readonly string[]): Promise<ProvenAgent | undefined> {
    const claimed = await readClaims(assertion);
    if (!claimed) return undefined;
    const { clientId, kid } = claimed;
    const rows = await this.statements.run<LoginRow & { jwk: string }>(KEYS, [clientId]);
    for (const row of rows) {
      const jwk = JSON.parse(row.jwk) as JsonObject;
      if (kid !== undefined && jwk['kid'] !== undefined && jwk['kid'] !== kid) continue;
      const claims = await this.verify(assertion, jwk, clientId, audiences);
      if (claims) return (await this.use(clientId, claims)) ? toProvenAgent(row) : undefined;
    }
    return undefined;
  }

  private async verify(
    assertion: string,
    jwk: JsonObject,
    clientId: string,
    audiences: readonly string[],
  ): Promise<JWTPayload | undefined> {
    const { jwtVerify } = await import('jose');
    const key: KeyObject = createPublicKey({ key: jwk, format: 'jwk' });
    try {
      const { payload } = await jwtVerify(assertion, key, {
        algorithms: typeof jwk['alg'] === 'string' ? [jwk['alg']] : ASSERTION_ALGORITHMS,
        issuer: clientId,
        subject: clientId,
        audience: [...audiences],
        requiredClaims: ['exp', 'jti'],
        currentDate: new Date(this.clock.now()),
        clockTolerance: TOLERANCE_SECONDS,
      });
      return payload;
    } catch {
      return undefined;
    }
  }

  private async use(agentId: string, { exp = 0, jti }: JWTPayload): Promise<boolean> {
    // A NumericDate may have a fraction (RFC 7519, section 2).
    const left = Math.ceil(exp) - Math.floor(this.clock.now() / 1_000) + TOLERANCE_SECONDS;
    if (left > MAX_LIFETIME_SECONDS + TOLERANCE_SECONDS || typeof jti !== 'string' || jti === '')
      return false;
    const hash = createHash('sha256').update(jti).digest('hex');
    const used = await this.statements.run(USE_ASSERTION, [agentId, hash, left]);
    return used.length > 0;
  }
}

/** Who an assertion says that it is of, and of which key, before anything is believed. */
async function readClaims(assertion: string): Promise<{ clientId: string; kid?: string } | undefined> {
  if (assertion.length > MAX_LENGTH) return undefined;
  const { decodeJwt, decodeProtectedHeader } = await import('jose');
  try {
    const { sub: clientId } = decodeJwt(assertion);
    const { kid } = decodeProtectedHeader(assertion);
    return clientId !== undefined && isId(clientId) ? { clientId, kid } : undefined;
  } catch {
    return undefined;
  }
}
