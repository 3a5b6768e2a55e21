import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { type InputError, ValidationFailed } from '../common/problem.js';
import { type ItemListQuery, readItemListQuery } from './item-list.query.js';

export const ITEM_FORMATS = ['ndjson', 'csv'] as const;
/** How items are written one after another. */
export type ItemFormat = (typeof ITEM_FORMATS)[number];

/** What an export asks for, understood and bounded. */
export interface ItemExportQuery {
  readonly format: ItemFormat;
  readonly list: ItemListQuery;
}

/** Parameters of pages: an export is all of it. */
const OF_PAGES = ['limit', 'cursor', 'count'];

/** The query of an export, read. */
export const ItemExportParameters = createParamDecorator(
  (_: unknown, context: ExecutionContext): ItemExportQuery =>
    readItemExportQuery(context.switchToHttp().getRequest<Request>()),
);

/** @throws {ValidationFailed} with a pointer to each parameter that is not understood */
export function readItemExportQuery({ query, url }: Pick<Request, 'query' | 'url'>): ItemExportQuery {
  const { format = 'ndjson', ...rest } = query;
  const errors: InputError[] = OF_PAGES.filter((name) => name in rest).map((name) => ({
    pointer: `/${name}`,
    detail: 'is not a property of this request',
  }));
  if (!isFormat(format)) errors.push({ pointer: '/format', detail: 'must be ndjson or csv' });
  if (!isFormat(format) || errors.length > 0) throw new ValidationFailed(errors);
  return { format, list: readItemListQuery({ query: rest, url }) };
}

const isFormat = (value: unknown): value is ItemFormat =>
  (ITEM_FORMATS as readonly unknown[]).includes(value);
