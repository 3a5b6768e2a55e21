import { isUtf8 } from 'node:buffer';
import { CsvError } from 'csv-parse';
import { parse } from 'csv-parse/sync';
import { isJsonObject, type JsonObject, JsonRefused, type JsonValue, parseJson } from '../common/json.js';
import { type InputError, Problem, ValidationFailed } from '../common/problem.js';
import { assign, validated } from '../common/validation.pipe.js';
import { CSV_COLUMNS, unescapeFormula } from './item-csv.js';
import { ImportedItem } from './item-import.dto.js';
import type { RawRecord } from './item-import-records.js';

/** What a record is: an item to be, or why it is none. */
export type ImportedRow =
  | { readonly line: number; readonly item: ImportedItem }
  | { readonly line: number; readonly errors: readonly InputError[] };

/** Of an exported item: taken, so that an export can be imported, and given anew. */
const GIVEN_ANEW = ['id', 'workspaceId', 'version', 'createdAt', 'createdBy', 'updatedAt', 'updatedBy'];
const MAX_ERRORS = 10;
const MAX_DETAIL = 500;
const MAX_COLUMNS = 500;

/** The header of CSV cannot be understood: no record of it can. */
export class HeaderRefused extends Error {}

/**
 * Reads a record of NDJSON by the rules of `POST /v1/items`.
 * @param limitBytes what a record may have
 */
export function readJsonRow(record: RawRecord, limitBytes: number): ImportedRow {
  return attempt(record, limitBytes, (text) => {
    const value = parseJson(text);
    return isJsonObject(value) ? withoutGiven(value) : value;
  });
}

/** Reads a record of CSV: `data` is JSON, `data.name` one member of it. */
export function readCsvRow(record: RawRecord, columns: readonly string[], limitBytes: number): ImportedRow {
  return attempt(record, limitBytes, (text) => {
    const cells = readCells(text);
    if (cells.length !== columns.length)
      throw refused('', `has ${cells.length} cells, while the header has ${columns.length}`);
    return fromCells(columns, cells);
  });
}

/** @throws {HeaderRefused} */
export function readCsvHeader({ bytes }: RawRecord): string[] {
  if (!bytes || !isUtf8(bytes)) throw new HeaderRefused('The header is no UTF-8, or too long.');
  let columns: string[];
  try {
    columns = readCells(bytes.toString());
  } catch (error) {
    throw new HeaderRefused(`The header is no CSV: ${(error as Error).message}`);
  }
  const known = (name: string) =>
    (CSV_COLUMNS as readonly string[]).includes(name) ||
    (name.startsWith('data.') && name.length > 'data.'.length && name !== 'data.__proto__');
  const unknown = columns.find((name) => !known(name));
  if (unknown !== undefined)
    throw new HeaderRefused(`The header names ${JSON.stringify(unknown.slice(0, 100))}, which is no column.`);
  if (new Set(columns).size < columns.length) throw new HeaderRefused('The header names a column twice.');
  if (columns.length > MAX_COLUMNS) throw new HeaderRefused(`The header has over ${MAX_COLUMNS} columns.`);
  for (const name of ['type', 'title'])
    if (!columns.includes(name)) throw new HeaderRefused(`The header lacks the column ${name}.`);
  return columns;
}

function attempt(
  { line, bytes }: RawRecord,
  limitBytes: number,
  read: (text: string) => JsonValue,
): ImportedRow {
  try {
    if (!bytes) throw refused('', `must be at most ${limitBytes} bytes`);
    if (!isUtf8(bytes)) throw refused('', 'is not valid UTF-8');
    return { line, item: validated(assign(ImportedItem, read(bytes.toString()))) };
  } catch (error) {
    return { line, errors: errorsOf(error).slice(0, MAX_ERRORS).map(bounded) };
  }
}

function errorsOf(error: unknown): readonly InputError[] {
  if (error instanceof JsonRefused) return [error.problem];
  if (error instanceof CsvError) return [{ pointer: '', detail: `is not valid CSV: ${error.message}` }];
  if (error instanceof Problem) return error.errors ?? [{ pointer: '', detail: error.detail }];
  throw error;
}

const bounded = ({ pointer, detail }: InputError): InputError => ({
  pointer: pointer.slice(0, MAX_DETAIL).toWellFormed().replaceAll('\0', '\\u0000'),
  detail: detail.slice(0, MAX_DETAIL).toWellFormed().replaceAll('\0', '\\u0000'),
});

const refused = (pointer: string, detail: string): ValidationFailed =>
  new ValidationFailed([{ pointer, detail }]);

function withoutGiven(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).filter(([name]) => !GIVEN_ANEW.includes(name)));
}

function readCells(text: string): string[] {
  const [cells = []] = parse(text, { relax_column_count: true });
  return cells;
}

function fromCells(columns: readonly string[], cells: readonly string[]): JsonObject {
  const item: JsonObject = { data: {} };
  const members: [string, JsonValue][] = [];
  columns.forEach((column, n) => {
    const cell = cells[n] ?? '';
    if (/\0/.test(cell)) throw refused(`/${column}`, 'holds a NUL character, which PostgreSQL cannot store');
    if (column === 'title' || column === 'type') item[column] = unescapeFormula(cell);
    else if (column === 'data' && cell !== '') item['data'] = readJson(cell);
    else if (column.startsWith('data.') && cell !== '')
      members.push([column.slice('data.'.length), readMember(cell)]);
  });
  const { data } = item;
  if (members.length > 0 && isJsonObject(data)) item['data'] = { ...data, ...Object.fromEntries(members) };
  return item;
}

function readJson(cell: string): JsonValue {
  try {
    return parseJson(cell);
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    throw refused(`/data${error.problem.pointer}`, error.problem.detail);
  }
}

const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** As in a filter: what is a JSON number, true, false, null, list, object or text in quotes is that, else a text. */
function readMember(cell: string): JsonValue {
  const isJson = /^["[{]/.test(cell) || NUMBER.test(cell) || ['true', 'false', 'null'].includes(cell);
  return isJson ? readJson(cell) : unescapeFormula(cell);
}
