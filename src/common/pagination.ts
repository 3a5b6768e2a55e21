import { Type } from 'class-transformer';
import { IsInt, IsOptional, IsString, Max, MaxLength, Min } from 'class-validator';
import { ValidationFailed } from './problem.js';

export const DEFAULT_LIMIT = 20;
export const MAX_LIMIT = 100;

/** The parameters of every list. */
export class PageQuery {
  /** How many records at most, 1 to 100. */
  @IsOptional()
  @Type(() => Number)
  @IsInt({ message: `must be a whole number from 1 to ${MAX_LIMIT}` })
  @Min(1, { message: `must be 1 to ${MAX_LIMIT}` })
  @Max(MAX_LIMIT, { message: `must be 1 to ${MAX_LIMIT}` })
  limit?: number = DEFAULT_LIMIT;

  /** The `nextCursor` of the page before. */
  @IsOptional()
  @IsString({ message: 'must be a nextCursor that a list answered' })
  @MaxLength(200, { message: 'must be a nextCursor that a list answered' })
  cursor?: string;
}

/** A page of a list whose last record was `id`; opaque to clients. */
export function encodePageCursor(id: string): string {
  return Buffer.from(id.replaceAll('-', ''), 'hex').toString('base64url');
}

/**
 * A page of what was found.
 * @param rows one more than `limit` if there is another page
 * @param idOf by which the list is ordered
 */
export function pageOf<Row, Entry>(
  rows: readonly Row[],
  limit: number,
  show: (row: Row) => Entry,
  idOf: (entry: Entry) => string,
): { data: Entry[]; nextCursor: string | null } {
  const data = rows.slice(0, limit).map(show);
  const last = data.at(-1);
  return { data, nextCursor: rows.length > limit && last ? encodePageCursor(idOf(last)) : null };
}

/**
 * @returns the id that {@link encodePageCursor} was given
 * @throws {ValidationFailed} pointing at `/cursor`
 */
export function decodePageCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null;
  const hex = Buffer.from(cursor, 'base64url').toString('hex');
  if (hex.length !== 32 || !/^[\w-]{22}$/.test(cursor))
    throw new ValidationFailed([{ pointer: '/cursor', detail: 'must be a nextCursor that a list answered' }]);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
