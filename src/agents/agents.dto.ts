import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Matches,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import { PageQuery } from '../common/pagination.js';
import { rfc3339 } from '../common/rfc3339.js';
import { isScope } from '../common/scopes.js';
import { AGENT_STATUSES, type AgentStatus } from './agent.entity.js';

const NAME = 'must be a text of 1 to 200 characters on one line';
const KIND = 'must be 1 to 100 letters, digits and characters of . _ : / -';
const CAPABILITIES =
  'must be a list of at most 64 different names of 1 to 100 letters, digits and . _ : / - +';
const SCOPES = 'must be a list of at most 64 different scopes, such as items:read or items:write:type=task';
const LABELS =
  'must be an object of at most 64 texts of up to 128 letters, digits and . _ : / @ + -, named likewise (1 to 63)';
const MAX_LIST = 64;
const LABEL_NAME = /^[A-Za-z0-9][\w./-]{0,62}$/;
const LABEL_VALUE = /^[\w.:/@+-]{0,128}$/;

/** Names by which agents are found: `{"region": "eu"}`. */
export type Labels = Readonly<Record<string, string>>;

const isLabels = (value: JsonValue): boolean =>
  isJsonObject(value) &&
  Object.keys(value).length <= MAX_LIST &&
  Object.entries(value).every(
    ([name, text]) => LABEL_NAME.test(name) && typeof text === 'string' && LABEL_VALUE.test(text),
  );

export const IsAgentName = (): PropertyDecorator =>
  applyDecorators(
    Matches(/^(?=.*\S)[^\p{Cc}\p{Zl}\p{Zp}]{1,200}$/u, { message: NAME }),
    IsString({ message: NAME }),
  );
export const IsAgentKind = (): PropertyDecorator =>
  applyDecorators(Matches(/^[A-Za-z0-9][\w.:/-]{0,99}$/, { message: KIND }), IsString({ message: KIND }));
export const AreLabels = (): PropertyDecorator =>
  applyDecorators(
    ValidateBy({
      name: 'labels',
      validator: { validate: isLabels, defaultMessage: () => LABELS },
    }),
    ApiProperty({ type: 'object', additionalProperties: { type: 'string' } }),
  );
export const AreCapabilities = (): PropertyDecorator =>
  applyDecorators(
    IsArray({ message: CAPABILITIES }),
    ArrayMaxSize(MAX_LIST, { message: CAPABILITIES }),
    ArrayUnique({ message: CAPABILITIES }),
    Matches(/^[A-Za-z0-9][\w.:/+-]{0,99}$/, { each: true, message: CAPABILITIES }),
  );
export const AreScopes = (): PropertyDecorator =>
  applyDecorators(
    IsArray({ message: SCOPES }),
    ArrayMaxSize(MAX_LIST, { message: SCOPES }),
    ArrayUnique({ message: SCOPES }),
    ValidateBy(
      {
        name: 'scope',
        validator: {
          validate: (scope) => typeof scope === 'string' && isScope(scope),
          defaultMessage: () => SCOPES,
        },
      },
      { each: true, message: SCOPES },
    ),
  );
export const IsMetadata = (): PropertyDecorator =>
  applyDecorators(
    IsObject({ message: 'must be a JSON object' }),
    ApiProperty({ type: 'object', additionalProperties: true }),
  );
const IsStatus = (): PropertyDecorator =>
  applyDecorators(
    IsIn(AGENT_STATUSES, { message: 'must be enabled or disabled' }),
    ApiProperty({ enum: AGENT_STATUSES }),
  );
/** May be left out, but not be null. */
export const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

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
  @IsMetadata()
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
