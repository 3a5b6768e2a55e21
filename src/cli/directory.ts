import type { DataSource } from 'typeorm';
import { normaliseEmail } from '../accounts/email.js';
import { isId } from '../common/identifiers.js';
import { CliError } from './cli-error.js';
import type { Row } from './output.js';

/** A page: so many, behind an id. */
export interface Page {
  readonly limit: number;
  readonly after: string | undefined;
}

const USER = `id, email, name, email_verified_at AS "verifiedAt", disabled_at AS "disabledAt",
  created_at AS "createdAt"`;
const AGENT = `a.id, a.workspace_id AS "workspaceId", a.name, a.kind, a.status, a.last_seen_at AS "lastSeenAt",
  COALESCE(p.state, CASE WHEN a.last_seen_at IS NULL THEN 'never seen' ELSE 'no heartbeats' END) AS presence`;
const AGENTS = `agents a LEFT JOIN agent_presences p ON p.agent_id = a.id`;

const LIST_USERS = `SELECT ${USER} FROM users WHERE ($1::text IS NULL OR position(lower($1) in email) > 0)
  AND ($2::uuid IS NULL OR id > $2) ORDER BY id LIMIT $3`;
const READ_USER = `SELECT ${USER}, version, (SELECT count(*)::int FROM sessions s
  WHERE s.user_id = users.id AND s.revoked_at IS NULL AND s.expires_at > now()) AS sessions
  FROM users WHERE id = $1 OR email = $2`;
const LIST_SESSIONS = `SELECT id, created_at AS "createdAt", rotations[1] AS "lastUsedAt", expires_at AS "expiresAt", address,
  user_agent AS "userAgent"
  FROM sessions WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > now()
  ORDER BY created_at DESC, id LIMIT $2`;
const OWNER_OF_SESSION = `SELECT user_id FROM sessions WHERE id = $1 AND user_id IS NOT NULL`;
const LIST_AGENTS = `SELECT ${AGENT} FROM ${AGENTS} WHERE ($1::uuid IS NULL OR a.workspace_id = $1)
  AND ($2::uuid IS NULL OR a.id > $2) ORDER BY a.id LIMIT $3`;
const READ_AGENT = `SELECT ${AGENT}, array_to_string(a.scopes, ' ') AS scopes,
  (SELECT count(*)::int FROM agent_credentials c WHERE c.agent_id = a.id) AS credentials,
  (SELECT count(*)::int FROM lease_states l WHERE l.agent_id = a.id AND l.state = 'leased' AND l.due_at > now())
    AS leases
  FROM ${AGENTS} WHERE a.id = $1`;

/** Who there is: people, agents, and their sessions. Only reads. */
export class Directory {
  constructor(private readonly database: DataSource) {}

  /** @param part of the address; all when left out */
  users(part: string | undefined, { limit, after }: Page): Promise<Row[]> {
    return this.database.query<Row[]>(LIST_USERS, [part ?? null, after ?? null, limit]);
  }

  /** @param user an id or an address @throws {CliError} if there is none */
  async user(user: string): Promise<Row & { id: string }> {
    const [row] = await this.database.query<(Row & { id: string })[]>(READ_USER, [
      isId(user) ? user : null,
      isId(user) ? null : normaliseEmail(user),
    ]);
    if (!row) throw new CliError(`There is no user ${user}. Name one by id or address: users list`);
    return row;
  }

  /** Sessions of a person that are still good, newest first. */
  sessions(userId: string, limit: number): Promise<Row[]> {
    return this.database.query<Row[]>(LIST_SESSIONS, [userId, limit]);
  }

  /** @throws {CliError} if there is none */
  async ownerOf(sessionId: string): Promise<string> {
    const rows = isId(sessionId)
      ? await this.database.query<{ user_id: string }[]>(OWNER_OF_SESSION, [sessionId])
      : [];
    if (rows.length === 0) throw new CliError(`There is no session ${sessionId}: tokens list USER`);
    return rows[0].user_id;
  }

  /** @param workspaceId of one workspace; of all when left out */
  agents(workspaceId: string | undefined, { limit, after }: Page): Promise<Row[]> {
    return this.database.query<Row[]>(LIST_AGENTS, [workspaceId ?? null, after ?? null, limit]);
  }

  /** @throws {CliError} if there is none */
  async agent(id: string): Promise<Row & { id: string; workspaceId: string }> {
    const rows = isId(id)
      ? await this.database.query<(Row & { id: string; workspaceId: string })[]>(READ_AGENT, [id])
      : [];
    if (rows.length === 0) throw new CliError(`There is no agent ${id}: agents list`);
    return rows[0];
  }
}
