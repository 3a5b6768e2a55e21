import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsOptional, IsUUID, Matches } from 'class-validator';
import type { JsonObject } from '../common/json.js';
import { PageQuery } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';
import { AGENT_STATUSES, type AgentStatus } from './agent.entity.js';
import {
  AreCapabilities,
  AreLabels,
  AreScopes,
  IsAgentKind,
  IsAgentName,
  IsMetadata,
  IsStatus,
  LABELS,
  type Labels,
  MayBeMissing,
} from './agent-rules.js';

export class CreateAgentRequest {
  @IsAgentName()
  name: string;

  /** What sort of machine it is, for the application to choose. */
  @IsAgentKind()
  kind: string;

  /** By which agents are found. */
  @MayBeMissing()
  @AreLabels()
  labels?: Labels;

  @MayBeMissing()
  @IsMetadata()
  metadata?: JsonObject;

  /** What it can do, for others to read. */
  @MayBeMissing()
  @AreCapabilities()
  capabilities?: string[];

  /** What it may do: nothing when left out. */
  @MayBeMissing()
  @AreScopes()
  scopes?: string[];

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

/** A JSON Merge Patch (RFC 7396) of what can be written: members of `labels` and `metadata` that are null go. */
export class UpdateAgentRequest {
  @MayBeMissing()
  @IsAgentName()
  name?: string;

  @MayBeMissing()
  @IsAgentKind()
  kind?: string;

  @MayBeMissing()
  @IsObject({ message: LABELS })
  @ApiProperty({ type: 'object', additionalProperties: true })
  labels?: JsonObject;

  @MayBeMissing()
  @IsObject({ message: 'must be a JSON object' })
  @ApiProperty({ type: 'object', additionalProperties: true })
  metadata?: JsonObject;

  @MayBeMissing()
  @AreCapabilities()
  capabilities?: string[];

  @MayBeMissing()
  @AreScopes()
  scopes?: string[];

  /** A disabled agent gets no tokens, and those that it has end. */
  @MayBeMissing()
  @IsStatus()
  status?: AgentStatus;
}

/** The whole of what can be written, as a patch has left it. */
export class AgentContent {
  @IsAgentName()
  name: string;

  @IsAgentKind()
  kind: string;

  @AreLabels()
  labels: Labels;

  @IsMetadata()
  metadata: JsonObject;

  @AreCapabilities()
  capabilities: string[];

  @AreScopes()
  scopes: string[];

  @IsStatus()
  status: AgentStatus;
}

export class ListAgentsQuery extends PageQuery {
  /** The caller's personal workspace when left out; an agent's own. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;

  @IsOptional()
  @IsAgentKind()
  kind?: string;

  @IsOptional()
  @IsStatus()
  status?: AgentStatus;

  /** Labels that an agent has, all of them: `region=eu,zone=a`. */
  @IsOptional()
  @Matches(
    /^[A-Za-z0-9][\w./-]{0,62}=[\w.:/@+-]{0,128}(,[A-Za-z0-9][\w./-]{0,62}=[\w.:/@+-]{0,128}){0,63}$/,
    {
      message: 'must be labels such as region=eu,zone=a',
    },
  )
  labels?: string;
}

/** A machine client of a workspace. */
export class AgentResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  name: string;
  kind: string;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  labels: Labels;
  @ApiProperty({ type: 'object', additionalProperties: true })
  metadata: JsonObject;
  capabilities: string[];
  scopes: string[];
  @ApiProperty({ enum: AGENT_STATUSES })
  status: AgentStatus;
  /** Its `client_id` at the token server. */
  clientId: string;
  /** RFC 3339, UTC, to the minute; null before it was seen. Not counted by `version`. */
  lastSeenAt: string | null;
  /** Also the ETag, quoted. */
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** UUID of the principal. */
  createdBy: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
  /** UUID of the principal. */
  updatedBy: string;
}

/** A new agent. The secret is shown this once. */
export class CreatedAgentResponse extends AgentResponse {
  /** For `POST /oauth/token`; only its hash is kept. */
  clientSecret: string;
}

export class AgentList {
  /** Newest first. */
  data: AgentResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** The columns of an agent, each as PostgreSQL's text, lists as JSON. */
export interface AgentRow {
  id: string;
  workspace_id: string;
  name: string;
  kind: string;
  labels: string;
  metadata: string;
  capabilities: string;
  scopes: string;
  status: AgentStatus;
  last_seen_at: string | null;
  version: string;
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
}

/** What can be written, as plain values. */
export type AgentFields = Omit<AgentContent, never>;

export const toAgentFields = (row: AgentRow): AgentFields => ({
  name: row.name,
  kind: row.kind,
  labels: JSON.parse(row.labels) as Labels,
  metadata: JSON.parse(row.metadata) as JsonObject,
  capabilities: JSON.parse(row.capabilities) as string[],
  scopes: JSON.parse(row.scopes) as string[],
  status: row.status,
});

export function toAgentResponse(row: AgentRow): AgentResponse {
  return {
    id: row.id,
    workspaceId: row.workspace_id,
    ...toAgentFields(row),
    clientId: row.id,
    lastSeenAt: row.last_seen_at === null ? null : rfc3339(row.last_seen_at),
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    createdBy: row.created_by,
    updatedAt: rfc3339(row.updated_at),
    updatedBy: row.updated_by,
  };
}
