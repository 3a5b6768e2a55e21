import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { plainToInstance } from 'class-transformer';
import type { Request } from 'express';
import { pointerTo } from '../common/json.js';
import { DEFAULT_LIMIT } from '../common/pagination.js';
import { type InputError, ValidationFailed } from '../common/problem.js';
import { refuseInherited, validated } from '../common/validation.pipe.js';
import { FilterReader, type ItemFilter } from './item-filters.js';
import { ListItemsQuery } from './item-list.dto.js';
import { ITEM_COLUMNS, type ItemPath, ParameterRefused, pathText, readPath } from './item-paths.js';

/** One key of the order; the id always comes last, so that no two records are equal. */
export interface SortKey {
  readonly path: ItemPath;
  readonly descending: boolean;
}

/** A member of the answer that can be chosen. */
export type ItemField = keyof typeof ITEM_COLUMNS | 'workspaceId' | 'data';

/** What a list asks for, understood and bounded. */
export interface ItemListQuery {
  readonly workspaceId: string | undefined;
  readonly limit: number;
  readonly cursor: string | undefined;
  readonly filter: ItemFilter;
  /** Undefined: newest first or, with `search`, best match first. */
  readonly sort: readonly SortKey[] | undefined;
  /** Undefined: all. */
  readonly fields: ReadonlySet<ItemField> | undefined;
  readonly count: 'exact' | 'estimated' | undefined;
  readonly search: string | undefined;
  /** The parameters that make it this list: a cursor of it fits no other. */
  readonly identity: string;
  /** Whether nothing but the newest items of a workspace is asked for. */
  readonly plain: boolean;
}

const MAX_SORT_KEYS = 4;
const FIELDS = [...Object.keys(ITEM_COLUMNS), 'workspaceId', 'data'] as ItemField[];

/** The query of a list of items, read. */
export const ItemListParameters = createParamDecorator(
  (_: unknown, context: ExecutionContext): ItemListQuery =>
    readItemListQuery(context.switchToHttp().getRequest<Request>()),
);

/**
 * @param request its `query` as Node's `querystring` reads it
 * @throws {ValidationFailed} with a pointer to each parameter that is not understood
 */
export function readItemListQuery({ query, url }: Pick<Request, 'query' | 'url'>): ItemListQuery {
  refuseUndecodable(url);
  const errors: InputError[] = [];
  const attempt = <T>(name: string, read: () => T): T | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ParameterRefused)) throw error;
      errors.push({ pointer: pointerTo('', name), detail: error.message });
      return undefined;
    }
  };
  refuseInherited(query);
  const filters = new FilterReader();
  const simple: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(query))
    attempt(name, () => {
      if (/\0/.test(name) || (typeof value === 'string' && value.includes('\0')))
        throw new ParameterRefused('must not hold a NUL character');
      if (!name.startsWith('filter[') && name !== 'filter') simple[name] = value;
      else if (typeof value === 'string') filters.add(name, value);
      else throw new ParameterRefused('must stand once; use in for one of several values');
    });
  if (errors.length > 0) throw new ValidationFailed(errors);
  const parameters = validated(plainToInstance(ListItemsQuery, simple));
  const sort = attempt('sort', () => readSort(parameters.sort));
  const fields = attempt('fields', () => readFields(parameters.fields));
  if (errors.length > 0) throw new ValidationFailed(errors);
  const { workspaceId, limit = DEFAULT_LIMIT, cursor, count, q } = parameters;
  const { filter } = filters;
  const filtered = filter.all.length > 0 || filter.any.length > 0;
  return {
    workspaceId: workspaceId?.toLowerCase(),
    limit,
    cursor,
    filter,
    sort,
    fields,
    count,
    search: q,
    identity: filtered || sort || q !== undefined ? JSON.stringify([filter, sort ?? null, q ?? null]) : '',
    plain: !filtered && !sort && q === undefined && count === undefined,
  };
}

/** What is no UTF-8 would be read as something else than was meant. */
function refuseUndecodable(url: string): void {
  if (!url.includes('%')) return;
  try {
    decodeURIComponent(url.slice(url.indexOf('?') + 1));
  } catch {
    throw new ValidationFailed([{ pointer: '', detail: 'must be UTF-8, percent-encoded' }]);
  }
}

function readSort(text: string | undefined): SortKey[] | undefined {
  if (text === undefined) return undefined;
  const keys = splitPaths(text).map((part): SortKey => {
    const descending = part.startsWith('-');
    const path = readPath(descending ? part.slice(1) : part);
    if (path.kind === 'data' && path.keys.length === 0)
      throw new ParameterRefused('must name a key in data, such as data.priority');
    return { path, descending };
  });
  if (keys.length > MAX_SORT_KEYS) throw new ParameterRefused(`must have at most ${MAX_SORT_KEYS} keys`);
  if (new Set(keys.map(({ path }) => pathText(path))).size < keys.length)
    throw new ParameterRefused('must name each key once');
  // Behind the id nothing is left to decide.
  const id = keys.findIndex(({ path }) => path.kind === 'column' && path.column === 'id');
  return id < 0 ? keys : keys.slice(0, id + 1);
}

/** Splits at commas outside of quotes. */
function splitPaths(text: string): string[] {
  return text.match(/(?:[^,"]|"(?:[^"\\]|\\.)*"|")+|(?<=,|^)(?=,|$)/g) ?? [''];
}

function readFields(text: string | undefined): ReadonlySet<ItemField> | undefined {
  if (text === undefined) return undefined;
  const names = text.split(',');
  const unknown = names.find((name) => !(FIELDS as string[]).includes(name));
  if (unknown !== undefined) throw new ParameterRefused(`must list some of ${FIELDS.join(', ')}`);
  return new Set(names as ItemField[]);
}
