import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsObject, IsOptional, IsString, IsUUID, Max, MaxLength, Min } from 'class-validator';
import type { JsonObject } from '../common/json.js';
import { PageQuery } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';
import {
  AreCapabilities,
  AreLabels,
  AreScopes,
  IsAgentKind,
  IsAgentName,
  IsMetadata,
  type Labels,
  MayBeMissing,
} from './agent-rules.js';
import { AgentResponse } from './agents.dto.js';

const USES = 'must be a whole number from 1 to 10000';
const LIFETIME = 'must be a whole number of seconds from 60 to 604800';

export class CreateEnrolmentTokenRequest {
  /** What every agent that comes by it is. */
  @IsAgentKind()
  kind: string;

  /** Labels that every one of them has. */
  @MayBeMissing()
  @AreLabels()
  labels?: Labels;

  /** What they may do: nothing when left out. */
  @MayBeMissing()
  @AreScopes()
  scopes?: string[];

  /** How many agents may come by it; one when left out. */
  @MayBeMissing()
  @IsInt({ message: USES })
  @Min(1, { message: USES })
  @Max(10_000, { message: USES })
  maxUses?: number;

  /** How long it is good; an hour when left out. */
  @MayBeMissing()
  @IsInt({ message: LIFETIME })
  @Min(60, { message: LIFETIME })
  @Max(604_800, { message: LIFETIME })
  expiresInSeconds?: number;

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

export class ListEnrolmentTokensQuery extends PageQuery {
  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

/** By what machines become agents by themselves. */
export class EnrolmentTokenResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  kind: string;
  @ApiProperty({ type: 'object', additionalProperties: { type: 'string' } })
  labels: Labels;
  scopes: string[];
  /** How many came by it. */
  uses: number;
  maxUses: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** UUID of the principal. */
  createdBy: string;
  /** RFC 3339, UTC. */
  expiresAt: string;
}

/** A new one. The token is shown this once. */
export class CreatedEnrolmentTokenResponse extends EnrolmentTokenResponse {
  token: string;
}

export class EnrolmentTokenList {
  /** Newest first: those that are still good. */
  data: EnrolmentTokenResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

export class EnrolRequest {
  @IsString({ message: 'must be an enrolment token' })
  @MaxLength(200, { message: 'must be an enrolment token' })
  token: string;

  @IsAgentName()
  name: string;

  @MayBeMissing()
  @IsMetadata()
  metadata?: JsonObject;

  /** What it can do, for others to read. */
  @MayBeMissing()
  @AreCapabilities()
  capabilities?: string[];

  /** Its public key (JWK, RFC 7517), to prove itself by `private_key_jwt`; without one it is given a secret. */
  @MayBeMissing()
  @IsObject({ message: 'must be a public key as a JWK' })
  @ApiProperty({ type: 'object', additionalProperties: true })
  publicKey?: JsonObject;
}

/** A machine that has become an agent. A secret is shown this once. */
export class EnrolledAgentResponse extends AgentResponse {
  /** Not for an agent that brought a public key. */
  clientSecret?: string;
}

/** The columns of an enrolment token, each as PostgreSQL's text. */
export interface EnrolmentTokenRow {
  id: string;
  workspace_id: string;
  kind: string;
  labels: string;
  scopes: string;
  uses: string;
  max_uses: string;
  created_at: string;
  created_by: string;
  expires_at: string;
}

export const ENROLMENT_COLUMNS = `t.id, t.workspace_id, t.kind, t.labels::text,
  array_to_json(t.scopes)::text AS scopes, t.uses::text, t.max_uses::text, t.created_at::text, t.created_by,
  t.expires_at::text`;

/** An {@link EnrolmentTokenResponse} as plain values. */
export const toEnrolmentToken = (row: EnrolmentTokenRow): Omit<EnrolmentTokenResponse, never> => ({
  id: row.id,
  workspaceId: row.workspace_id,
  kind: row.kind,
  labels: JSON.parse(row.labels) as Labels,
  scopes: JSON.parse(row.scopes) as string[],
  uses: Number(row.uses),
  maxUses: Number(row.max_uses),
  createdAt: rfc3339(row.created_at),
  createdBy: row.created_by,
  expiresAt: rfc3339(row.expires_at),
});
