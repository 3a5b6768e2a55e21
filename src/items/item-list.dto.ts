import { ApiProperty } from '@nestjs/swagger';
import { IsIn, IsOptional, IsString, IsUUID, Length, MaxLength } from 'class-validator';
import { PageQuery } from '../common/pagination.js';
import { ItemResponse } from './items.dto.js';

const CURSOR = 'must be a cursor that this same list answered';
/** Four sort keys of the longest texts. */
const CURSOR_LENGTH = 12_000;
const SEARCH = 'must be a text of 1 to 500 characters';

export class ListItemsQuery extends PageQuery {
  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;

  /** The `nextCursor` or `prevCursor` of a page of the same list. */
  @IsOptional()
  @IsString({ message: CURSOR })
  @MaxLength(CURSOR_LENGTH, { message: CURSOR })
  declare cursor?: string;

  /** Keys of the order, `-` for descending: `-updatedAt,title,data.priority`. Newest first when left out. */
  @IsOptional()
  @IsString({ message: 'must be a list of columns and places in data' })
  @Length(1, 2_000, { message: 'must be a list of columns and places in data' })
  sort?: string;

  /** The members to answer with: `id,title`. All when left out. */
  @IsOptional()
  @IsString({ message: 'must be a list of members' })
  @Length(1, 200, { message: 'must be a list of members' })
  fields?: string;

  /** Whether to answer with a `total`, and how exact. */
  @IsOptional()
  @IsIn(['exact', 'estimated'], { message: 'must be exact or estimated' })
  count?: 'exact' | 'estimated';

  /** Full text to look for in titles and the texts of `data`: `"as a phrase" this or that -notthis`. */
  @IsOptional()
  @IsString({ message: SEARCH })
  @Length(1, 500, { message: SEARCH })
  q?: string;
}

/** Where the words of a search stand: HTML, with everything but `<mark>` escaped. */
export class ItemHighlight {
  title: string;
  /** Of the texts in `data`, the places around the words. */
  data: string;
}

export class FoundItem extends ItemResponse {
  /** Of a search (`q`) only. */
  highlight?: ItemHighlight;
}

export class ItemList {
  /** With `fields`, each has these members alone. */
  data: FoundItem[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
  /** For the `cursor` of the page before; null on the first page. */
  @ApiProperty({ type: String, nullable: true })
  prevCursor: string | null;
  /** How many there are on all pages; only with `count`. */
  total?: number;
}
