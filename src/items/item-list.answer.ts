import { rfc3339 } from '../common/rfc3339.js';
import type { ItemField, ItemListQuery } from './item-list.query.js';
import { MARK } from './item-search.sql.js';
import { type ItemRow, toItemResponse } from './items.dto.js';

/** A row of a list, as PostgreSQL's text; of a search, with the places of its words. */
export type ListedItemRow = Omit<ItemRow, 'id'> & {
  readonly id: string | null;
  readonly title_highlight?: string;
  readonly data_highlight?: string;
};

const MEMBER: Readonly<Record<ItemField, (row: ItemRow) => string>> = {
  id: (row) => `"${row.id}"`,
  workspaceId: (row) => `"${row.workspace_id}"`,
  type: (row) => JSON.stringify(row.type),
  title: (row) => JSON.stringify(row.title),
  data: (row) => row.data,
  version: (row) => row.version,
  createdAt: (row) => `"${rfc3339(row.created_at)}"`,
  createdBy: (row) => `"${row.created_by}"`,
  updatedAt: (row) => `"${rfc3339(row.updated_at)}"`,
  updatedBy: (row) => `"${row.updated_by}"`,
};
const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** One item of a list as JSON text: whole or the chosen members, and of a search with its highlight. */
export function toListedItem(row: ListedItemRow, { fields, search }: ItemListQuery): string {
  const item = row as ItemRow;
  const json = fields
    ? `{${[...fields].map((field) => `"${field}":${MEMBER[field](item)}`).join(',')}}`
    : toItemResponse(item);
  if (search === undefined) return json;
  const highlight = { title: toHtml(row.title_highlight ?? ''), data: toHtml(row.data_highlight ?? '') };
  return `${json.slice(0, -1)},"highlight":${JSON.stringify(highlight)}}`;
}

/** Everything that means something in HTML is escaped, before the marks become tags. */
function toHtml(text: string): string {
  return text
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
    .replaceAll(MARK.start, '<mark>')
    .replaceAll(MARK.stop, '</mark>');
}
