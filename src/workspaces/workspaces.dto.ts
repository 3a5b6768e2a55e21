import { applyDecorators } from '@nestjs/common';
import { IsBoolean, IsIn, IsString, Matches, MaxLength, ValidateIf } from 'class-validator';
import { rfc3339 } from '../common/rfc3339.js';
import { type Language, LANGUAGES } from './languages.js';
import type { Role } from './membership.entity.js';

const NAME = 'must be a text of 1 to 100 characters on one line';
const Name = (): PropertyDecorator =>
  applyDecorators(
    // On one line: it stands in mails.
    Matches(/^(?=.*\S)[^\p{Cc}\p{Zl}\p{Zp}]{1,100}$/u, { message: NAME }),
    IsString({ message: NAME }),
  );

export class CreateWorkspaceRequest {
  @Name()
  name: string;
}

/** A JSON Merge Patch (RFC 7396) of what can be written. */
export class UpdateWorkspaceRequest {
  @ValidateIf((_, value) => value !== undefined)
  @Name()
  name?: string;

  /** Whether changes of items must come with `If-Match`. */
  @ValidateIf((_, value) => value !== undefined)
  @IsBoolean({ message: 'must be true or false' })
  requireIfMatch?: boolean;

  /** Of full text search, by which words are known in their forms; `simple` takes them as they are. */
  @ValidateIf((_, value) => value !== undefined)
  @IsIn(LANGUAGES, { message: `must be one of ${LANGUAGES.join(', ')}` })
  language?: Language;
}

export class DeleteWorkspaceQuery {
  /** The name of the workspace, exactly: what is deleted cannot be brought back. */
  @IsString({ message: 'must be the name of the workspace' })
  @MaxLength(200, { message: 'must be the name of the workspace' })
  confirm: string;
}

/** A workspace, as one of its members sees it. */
export class WorkspaceResponse {
  /** UUID. */
  id: string;
  name: string;
  /** Whether it came with the caller's account. */
  personal: boolean;
  /** What the caller may do in it. */
  role: Role;
  /** Whether changes of its items must say by `If-Match` which version they start from. */
  requireIfMatch: boolean;
  /** Of full text search. */
  language: Language;
  version: number;
  /** RFC 3339, UTC. */
  createdAt: string;
  /** RFC 3339, UTC. */
  updatedAt: string;
}

export class WorkspaceList {
  data: WorkspaceResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

/** A row of the statements in `workspaces.service.ts`, every column as PostgreSQL's text. */
export interface WorkspaceRow {
  id: string;
  name: string;
  personal: 't' | 'f';
  role: Role;
  require_if_match: 't' | 'f';
  language: Language;
  version: string;
  created_at: string;
  updated_at: string;
}

export function toWorkspaceResponse(row: WorkspaceRow): WorkspaceResponse {
  return {
    id: row.id,
    name: row.name,
    personal: row.personal === 't',
    role: row.role,
    requireIfMatch: row.require_if_match === 't',
    language: row.language,
    version: Number(row.version),
    createdAt: rfc3339(row.created_at),
    updatedAt: rfc3339(row.updated_at),
  };
}
