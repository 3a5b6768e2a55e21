import { Injectable } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import type { EntityManager } from 'typeorm';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { AtriumConfig } from '../config/config.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { RefreshTokens } from '../sessions/refresh-tokens.js';
import { AgentCredentials } from './agent-credentials.service.js';
import { DEVICES, type LoginRow, type ProvenAgent, toProvenAgent } from './agent-logins.js';
import type { AgentRow } from './agents.dto.js';
import { LOCK_AGENT } from './agents.sql.js';
import type { CredentialRow } from './credentials.dto.js';
import { LOCK_CREDENTIALS } from './credentials.sql.js';

/** A machine whose refresh token was good, with the next one. */
export interface RefreshedDevice {
  readonly agent: ProvenAgent;
  readonly refreshToken: string;
}

type DeviceRow = LoginRow & { seed: string; generation: string };

const INSERT = `INSERT INTO agent_credentials
    (id, agent_id, kind, name, session_id, seed, rotated_at, created_by, expires_at)
  VALUES ($1, $2, 'device', NULL, gen_random_uuid(), $3, now(), $4, now() + make_interval(secs => $5::int))`;

/**
 * Token $2 is the one that is due, or was exchanged within the grace of $3 seconds; no row: it was copied. An end that
 * somebody settled stays.
 */
const ROTATE: Statement = {
  name: 'agents.rotate_device',
  text: `UPDATE agent_credentials c SET
      generation = CASE WHEN generation = $2::int THEN generation + 1 ELSE generation END,
      rotated_at = CASE WHEN generation = $2::int THEN now() ELSE rotated_at END,
      expires_at = least(now() + make_interval(secs => $4::int),
        (SELECT g.revoked_at FROM revoked_grants g WHERE g.id = c.session_id))
    WHERE id = $1 AND (expires_at IS NULL OR expires_at > now()) AND (generation = $2::int
      OR (generation = $2::int + 1 AND rotated_at > now() - make_interval(secs => $3::int)))
    RETURNING floor(extract(epoch FROM expires_at - now()))::int AS seconds_left`,
};

/**
 * Machines whose code a person approved: their credential is a refresh token, which trades once. One that comes back
 * later was copied, and ends the credential (RFC 9700, section 4.14.2).
 */
@Injectable()
export class AgentDevices {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly refreshTokens: RefreshTokens,
    private readonly credentials: AgentCredentials,
    private readonly config: AtriumConfig,
  ) {}

  /** Adds the credential of a device to a new agent, in the caller's transaction. @returns its id */
  async add(manager: EntityManager, agentId: string, by: string): Promise<string> {
    const id = newId();
    const { inactivitySeconds } = this.config.sessions;
    await manager.query(INSERT, [id, agentId, randomBytes(32), by, inactivitySeconds]);
    return id;
  }

  /** The first tokens of a device; `undefined` if its agent was disabled or deleted meanwhile. */
  async begin(credentialId: string): Promise<RefreshedDevice | undefined> {
    const row = await this.read(credentialId);
    if (!row) return undefined;
    const refreshToken = this.refreshTokens.derive(familyOf(row), 1);
    return { agent: toProvenAgent(row), refreshToken };
  }

  /** Trades a refresh token for the next. @returns `undefined` if it is not good */
  async refresh(token: string, client: ClientInfo): Promise<RefreshedDevice | undefined> {
    const found = await this.find(token);
    if (!found) return undefined;
    const { row, generation } = found;
    const { inactivitySeconds, refreshGraceSeconds } = this.config.sessions;
    const values = [row.credential_id, generation, refreshGraceSeconds, inactivitySeconds];
    const [rotated] = await this.statements.run<{ seconds_left: string }>(ROTATE, values);
    if (!rotated) {
      await this.end(row, client);
      return undefined;
    }
    const refreshToken = this.refreshTokens.derive(familyOf(row), generation + 1);
    return { agent: { ...toProvenAgent(row), secondsLeft: Number(rotated.seconds_left) }, refreshToken };
  }

  /** The agent of the refresh token that is due now; it is not traded. */
  async peek(token: string): Promise<ProvenAgent | undefined> {
    const found = await this.find(token);
    return found && Number(found.row.generation) === found.generation ? toProvenAgent(found.row) : undefined;
  }

  /** Ends the credential of a genuine refresh token, used up or not. @returns whether there was one */
  async revoke(token: string, client: ClientInfo): Promise<boolean> {
    const found = await this.find(token);
    if (found) await this.end(found.row, client);
    return found !== undefined;
  }

  private async read(credentialId: string): Promise<DeviceRow | undefined> {
    const [row] = await this.statements.run<DeviceRow>(DEVICES, [credentialId]);
    return row;
  }

  private async find(token: string): Promise<{ row: DeviceRow; generation: number } | undefined> {
    const claim = this.refreshTokens.read(token);
    const row = claim && (await this.read(claim.sessionId));
    if (!row || !this.refreshTokens.isGenuine(familyOf(row), claim)) return undefined;
    return { row, generation: claim.generation };
  }

  private async end({ id, credential_id: credentialId }: DeviceRow, client: ClientInfo): Promise<void> {
    let tell: (() => void) | undefined;
    await this.appending.run(async (manager) => {
      const [agent] = await manager.query<AgentRow[]>(LOCK_AGENT, [id]);
      const all = await manager.query<CredentialRow[]>(LOCK_CREDENTIALS, [id]);
      const credential = all.find((each) => each.id === credentialId);
      if (!credential) return { answer: undefined, events: [] };
      const removal = await this.credentials.removal(manager, id, agent, credential, client);
      tell = removal.tell;
      return { answer: undefined, events: [removal.event] };
    });
    tell?.();
  }
}

const familyOf = (row: DeviceRow) => ({ id: row.credential_id, seed: Buffer.from(row.seed, 'hex') });
