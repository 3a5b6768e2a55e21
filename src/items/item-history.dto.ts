import { type ArgumentMetadata, Injectable, type PipeTransform } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import { JsonPatchStep } from '../common/json-patch-step.dto.js';
import { ValidationFailed } from '../common/problem.js';

/** PostgreSQL's `integer`. */
export const MAX_VERSION = 2_147_483_647;
export const NO_VERSION = 'must be a version, a whole number from 1';

/** Takes a version from the path. */
@Injectable()
export class VersionPipe implements PipeTransform<string, number> {
  transform(value: string, { data = 'version' }: ArgumentMetadata): number {
    const version = /^[1-9]\d{0,9}$/.test(value) ? Number(value) : Infinity;
    if (version > MAX_VERSION) throw new ValidationFailed([{ pointer: `/${data}`, detail: NO_VERSION }]);
    return version;
  }
}

/** What has become of an item, once. */
export class ItemVersionResponse {
  version: number;
  @ApiProperty({ enum: ['created', 'updated', 'deleted', 'restored'] })
  type: string;
  /** RFC 3339, UTC. */
  at: string;
  /** UUID of the principal. */
  by: string;
  /**
   * The JSON Patch (RFC 6902) of `{title, type, data}` that makes this version of the one before, and the first one
   * of `{}`; null where the one before is not known any more.
   */
  @ApiProperty({ type: [JsonPatchStep], nullable: true })
  changes: JsonPatchStep[] | null;
}

export class ItemHistoryList {
  data: ItemVersionResponse[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}
