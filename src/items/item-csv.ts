import { stringify } from 'csv-stringify/sync';
import { rfc3339 } from '../common/rfc3339.js';
import type { ItemField } from './item-list.query.js';
import type { ItemRow } from './items.dto.js';

/** The columns of an export, in this order. */
export const CSV_COLUMNS = [
  'id',
  'workspaceId',
  'type',
  'title',
  'data',
  'version',
  'createdAt',
  'createdBy',
  'updatedAt',
  'updatedBy',
] as const satisfies readonly ItemField[];

/** What a spreadsheet takes for a formula, behind what {@link escapeFormula} may have put before it. */
const FORMULA = /^'*[=+\-@\t\r]/;
const ESCAPED_FORMULA = /^'+[=+\-@\t\r]/;

/** Puts an apostrophe before what a spreadsheet would run (OWASP: CSV injection); {@link unescapeFormula} undoes it. */
export const escapeFormula = (text: string): string => (FORMULA.test(text) ? `'${text}` : text);

/** Takes off the one apostrophe that {@link escapeFormula} puts there. */
export const unescapeFormula = (text: string): string => (ESCAPED_FORMULA.test(text) ? text.slice(1) : text);

const CELL: Readonly<Record<ItemField, (row: ItemRow) => string>> = {
  id: (row) => row.id,
  workspaceId: (row) => row.workspace_id,
  type: (row) => escapeFormula(row.type),
  title: (row) => escapeFormula(row.title),
  data: (row) => row.data,
  version: (row) => row.version,
  createdAt: (row) => rfc3339(row.created_at),
  createdBy: (row) => row.created_by,
  updatedAt: (row) => rfc3339(row.updated_at),
  updatedBy: (row) => row.updated_by,
};

/** Rows as CSV (RFC 4180). */
export function toCsv(rows: readonly ItemRow[], fields: readonly ItemField[]): string {
  return csvText(rows.map((row) => fields.map((field) => CELL[field](row))));
}

/** The first line. */
export const csvHeader = (fields: readonly ItemField[]): string => csvText([[...fields]]);

const csvText = (records: string[][]): string => stringify(records, { record_delimiter: '\r\n' });
