import { Injectable } from '@nestjs/common';
import { AccessTokens, type AgentToken } from '../sessions/access-tokens.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';
import { isSecretOf } from './client-secrets.js';

/** An enabled agent that has proven who it is. */
export interface ProvenAgent {
  readonly id: string;
  readonly workspaceId: string;
  /** What it may do at most. */
  readonly scopes: readonly string[];
  /** By what it proved itself. */
  readonly credentialId: string;
  readonly sessionId: string;
  /** Until that is good no more, in seconds; null: for ever. */
  readonly secondsLeft: number | null;
}

/** Every column as PostgreSQL's text. */
export interface LoginRow {
  id: string;
  workspace_id: string;
  scopes: string;
  credential_id: string;
  session_id: string;
  seconds_left: string | null;
}

const LOGIN = `a.id, a.workspace_id,
  array_to_json(CASE WHEN c.scopes IS NULL THEN a.scopes
    ELSE ARRAY(SELECT unnest(c.scopes) INTERSECT SELECT unnest(a.scopes)) END)::text AS scopes,
  c.id AS credential_id, c.session_id, floor(extract(epoch FROM c.expires_at - now()))::int AS seconds_left
  FROM agents a JOIN agent_credentials c ON c.agent_id = a.id AND (c.expires_at IS NULL OR c.expires_at > now())`;

const SECRETS: Statement = {
  name: 'agents.secrets',
  text: `SELECT encode(c.secret_hash, 'hex') AS hash, ${LOGIN}
    WHERE a.id = $1 AND a.status = 'enabled' AND c.kind = 'secret'`,
};

/** Of credential $1, a device's. */
export const DEVICES: Statement = {
  name: 'agents.devices',
  text: `SELECT encode(c.seed, 'hex') AS seed, c.generation, ${LOGIN}
    WHERE c.id = $1 AND a.status = 'enabled' AND c.kind = 'device'`,
};

export const KEYS: Statement = {
  name: 'agents.keys',
  text: `SELECT c.public_key::text AS jwk, ${LOGIN} WHERE a.id = $1 AND a.status = 'enabled' AND c.kind = 'key'`,
};

/** Of credential $1: written at most once a minute. */
const SEEN: Statement = {
  name: 'agents.seen',
  text: `WITH used AS (
      UPDATE agent_credentials SET last_used_at = now()
      WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
      RETURNING agent_id
    )
    UPDATE agents a SET last_seen_at = now() FROM used WHERE a.id = used.agent_id`,
};

/** How agents prove who they are, and what they are given for it. */
@Injectable()
export class AgentLogins {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly tokens: AccessTokens,
  ) {}

  /** @returns `undefined` if there is no such agent, it is disabled, or none of its secrets is this one */
  async bySecret(clientId: string, secret: string): Promise<ProvenAgent | undefined> {
    const rows = await this.statements.run<LoginRow & { hash: string }>(SECRETS, [clientId]);
    // All of them, so that the time says nothing about which.
    const [found] = rows.filter(({ hash }) => isSecretOf(secret, Buffer.from(hash, 'hex')));
    return found && toProvenAgent(found);
  }

  /**
   * An access token for an agent, which lives no longer than what it proved itself by.
   * @param scopes some of those that it may have
   * @param issuer one of `AtriumConfig.issuers`
   */
  async issue(
    agent: ProvenAgent,
    scopes: readonly string[],
    issuer: string,
    clientId = agent.id,
  ): Promise<AgentToken> {
    await this.statements.run(SEEN, [agent.credentialId]);
    return this.tokens.signForAgent({ ...agent, clientId, scopes, issuer });
  }
}

export const toProvenAgent = (row: LoginRow): ProvenAgent => ({
  id: row.id,
  workspaceId: row.workspace_id,
  scopes: JSON.parse(row.scopes) as string[],
  credentialId: row.credential_id,
  sessionId: row.session_id,
  secondsLeft: row.seconds_left === null ? null : Number(row.seconds_left),
});
