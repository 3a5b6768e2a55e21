import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsString, Length, ValidateIf } from 'class-validator';
import { rfc3339 } from '../common/rfc3339.js';
import { SessionTransportChoice } from '../sessions/sessions.dto.js';
import { IsCredential } from './mfa.dto.js';

const NAME = 'must be a text of 1 to 100 characters';
const IsPasskeyName = (): PropertyDecorator =>
  applyDecorators(IsString({ message: NAME }), Length(1, 100, { message: NAME }));

export class AddPasskeyRequest {
  /** What the person calls it; `Passkey` if left out. */
  @ValidateIf((_, value) => value !== undefined)
  @IsPasskeyName()
  name?: string;

  /** What `navigator.credentials.create()` gave, as JSON. */
  @IsCredential()
  credential: object;
}

export class RenamePasskeyRequest {
  @IsPasskeyName()
  name: string;
}

export class PasskeySignInRequest extends SessionTransportChoice {
  /** What `navigator.credentials.get()` gave, as JSON. */
  @IsCredential()
  credential: object;
}

/** What a browser is to ask an authenticator for. */
export class PasskeyOptions {
  /** For `PublicKeyCredential.parseCreationOptionsFromJSON()` or `parseRequestOptionsFromJSON()`. */
  @ApiProperty({ type: 'object', additionalProperties: true })
  options: object;
}

/** A passkey of the caller's. */
export class PasskeyResponse {
  /** UUID. */
  id: string;
  name: string;
  /** Whether it is kept on several devices. */
  synced: boolean;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC; null before the first use. */
  lastUsedAt: string | null;
}

export class AddedPasskey {
  passkey: PasskeyResponse;
  /** Ten, shown this once, if it is the account's first factor; else none. */
  recoveryCodes: string[];
}

export class PasskeyList {
  data: PasskeyResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A row of the statements in `passkeys.service.ts`, every column as PostgreSQL's text. */
export interface PasskeyRow {
  id: string;
  name: string;
  synced: 't' | 'f';
  created_at: string;
  last_used_at: string | null;
}

export function toPasskeyResponse(row: PasskeyRow): PasskeyResponse {
  return {
    id: row.id,
    name: row.name,
    synced: row.synced === 't',
    createdAt: rfc3339(row.created_at),
    lastUsedAt: row.last_used_at === null ? null : rfc3339(row.last_used_at),
  };
}
