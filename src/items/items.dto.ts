import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { IsObject, IsString, IsUUID, Length, ValidateIf } from 'class-validator';
import type { JsonObject } from '../common/json.js';
import { rfc3339 } from '../common/rfc3339.js';

const Title = (): PropertyDecorator =>
  applyDecorators(
    IsString({ message: 'must be a text of 1 to 500 characters' }),
    Length(1, 500, { message: 'must be a text of 1 to 500 characters' }),
  );
const Type = (): PropertyDecorator =>
  applyDecorators(
    IsString({ message: 'must be a text of 1 to 100 characters' }),
    Length(1, 100, { message: 'must be a text of 1 to 100 characters' }),
  );
const Data = (): PropertyDecorator =>
  applyDecorators(
    IsObject({ message: 'must be a JSON object' }),
    ApiProperty({ type: 'object', additionalProperties: true }),
  );
/** May be left out, but not be null: in a merge patch null means "remove", and these cannot be removed. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

export class CreateItemRequest {
  @Title()
  title: string;

  /** What kind of document it is, for the application to choose. */
  @Type()
  type: string;

  /** The document. */
  @Data()
  data: JsonObject;

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

/** A JSON Merge Patch (RFC 7396) of what can be written: members of `data` that are null are removed. */
export class UpdateItemRequest {
  @MayBeMissing()
  @Title()
  title?: string;

  @MayBeMissing()
  @Type()
  type?: string;

  @MayBeMissing()
  @Data()
  data?: JsonObject;
}

/** The whole of what can be written, as a JSON Patch (RFC 6902) has left it. */
export class ReplaceItemContent {
  @Title()
  title: string;

  @Type()
  type: string;

  @Data()
  data: JsonObject;
}

/** A versioned JSON document in a workspace. */
export class ItemResponse {
  /** UUID. */
  id: string;
  /** UUID. */
  workspaceId: string;
  type: string;
  title: string;
  @ApiProperty({ type: 'object', additionalProperties: true })
  data: JsonObject;
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

/** The columns of an item, each as PostgreSQL's text. */
export interface ItemRow {
  id: string;
  workspace_id: string;
  type: string;
  title: string;
  data: string;
  version: string;
  created_at: string;
  created_by: string;
  updated_at: string;
  updated_by: string;
}

/** An {@link ItemResponse} as JSON text. `data` passes through as PostgreSQL wrote it, unparsed. */
export function toItemResponse(row: ItemRow): string {
  return (
    `{"id":"${row.id}","workspaceId":"${row.workspace_id}","type":${JSON.stringify(row.type)},` +
    `"title":${JSON.stringify(row.title)},"data":${row.data},"version":${row.version},` +
    `"createdAt":"${rfc3339(row.created_at)}","createdBy":"${row.created_by}",` +
    `"updatedAt":"${rfc3339(row.updated_at)}","updatedBy":"${row.updated_by}"}`
  );
}
