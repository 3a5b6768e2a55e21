import { ApiProperty } from '@nestjs/swagger';
import { IsInt, IsObject, IsUUID, Max, Min, ValidateBy, ValidateIf } from 'class-validator';
import type { JsonObject } from '../common/json.js';
import { isTime, rfc3339 } from '../common/rfc3339.js';
import { CREDENTIAL_KINDS, type CredentialKind } from './agent-credential.entity.js';
import { IsAgentName, MayBeMissing } from './agent-rules.js';

const LIFETIME = 'must be a whole number of seconds from 60 to 315360000';
const OVERLAP = 'must be a whole number of seconds from 0 to 2592000';

export class AddCredentialRequest {
  /** For people to tell several apart. */
  @MayBeMissing()
  @IsAgentName()
  name?: string;

  /** A public key (JWK, RFC 7517) instead of a secret, for `private_key_jwt`. */
  @MayBeMissing()
  @IsObject({ message: 'must be a public key as a JWK' })
  @ApiProperty({ type: 'object', additionalProperties: true })
  publicKey?: JsonObject;

  /** How long it is good; for ever when left out. */
  @MayBeMissing()
  @IsInt({ message: LIFETIME })
  @Min(60, { message: LIFETIME })
  @Max(315_360_000, { message: LIFETIME })
  expiresInSeconds?: number;

  /** The id of a credential that this one is to replace: it ends after the overlap. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  replaces?: string;

  /** For how long what is replaced stays good; an hour when left out. Only with `replaces`. */
  @MayBeMissing()
  @IsInt({ message: OVERLAP })
  @Min(0, { message: OVERLAP })
  @Max(2_592_000, { message: OVERLAP })
  @ValidateBy({
    name: 'overlap',
    validator: {
      validate: (_, of) => of !== undefined && 'replaces' in of.object && of.object.replaces !== undefined,
      defaultMessage: () => 'needs replaces, the id of the credential that stays good for so long',
    },
  })
  overlapSeconds?: number;
}

export class UpdateCredentialRequest {
  /** When it ends, RFC 3339; null: never. The agent is told in time. */
  @ValidateIf((_, value) => value !== null)
  @ValidateBy({
    name: 'time',
    validator: {
      validate: (value) => typeof value === 'string' && isTime(value),
      defaultMessage: () => 'must be a time by RFC 3339, or null',
    },
  })
  @ApiProperty({ type: String, nullable: true, format: 'date-time' })
  expiresAt: string | null;
}

/** By what an agent proves who it is. */
export class CredentialResponse {
  /** UUID. */
  id: string;
  /** `secret`, `key`, or `device`: the refresh token of a machine whose code was approved. */
  @ApiProperty({ enum: CREDENTIAL_KINDS })
  kind: CredentialKind;
  name: string | null;
  /** Of a key: the JWK. */
  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true })
  publicKey: JsonObject | null;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** UUID of the principal. */
  createdBy: string;
  /** RFC 3339, UTC; null: never. */
  expiresAt: string | null;
  /** RFC 3339, UTC, to the minute. */
  lastUsedAt: string | null;
}

/** A new credential. A secret is shown this once. */
export class AddedCredentialResponse extends CredentialResponse {
  clientId: string;
  clientSecret?: string;
}

export class CredentialList {
  /** Oldest first; all there are. */
  data: CredentialResponse[];
  /** Null: there is one page. */
  nextCursor: string | null;
}

/** The columns of a credential, each as PostgreSQL's text. */
export interface CredentialRow {
  id: string;
  agent_id: string;
  kind: CredentialKind;
  name: string | null;
  public_key: string | null;
  session_id: string;
  created_at: string;
  created_by: string;
  expires_at: string | null;
  last_used_at: string | null;
}

export const CREDENTIAL_COLUMNS = `c.id, c.agent_id, c.kind, c.name, c.public_key::text, c.session_id,
  c.created_at::text, c.created_by, c.expires_at::text, c.last_used_at::text`;

/** A {@link CredentialResponse} as plain values. */
export const toCredentialResponse = (row: CredentialRow): Omit<CredentialResponse, never> => ({
  id: row.id,
  kind: row.kind,
  name: row.name,
  publicKey: row.public_key === null ? null : (JSON.parse(row.public_key) as JsonObject),
  createdAt: rfc3339(row.created_at),
  createdBy: row.created_by,
  expiresAt: row.expires_at === null ? null : rfc3339(row.expires_at),
  lastUsedAt: row.last_used_at === null ? null : rfc3339(row.last_used_at),
});
