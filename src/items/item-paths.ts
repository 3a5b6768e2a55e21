import { JsonRefused, parseJson } from '../common/json.js';

/** A part of a query that is not understood; `message` says what it must be. */
export class ParameterRefused extends Error {}

/** The columns that lists filter, sort and choose by: an allow-list, with the SQL that stands for each. */
export const ITEM_COLUMNS = {
  id: { sql: 'id', type: 'uuid' },
  type: { sql: 'type', type: 'text' },
  title: { sql: 'title', type: 'text' },
  version: { sql: 'version', type: 'integer' },
  createdAt: { sql: 'created_at', type: 'timestamptz' },
  createdBy: { sql: 'created_by', type: 'uuid' },
  updatedAt: { sql: 'updated_at', type: 'timestamptz' },
  updatedBy: { sql: 'updated_by', type: 'uuid' },
} as const;

export type ItemColumn = keyof typeof ITEM_COLUMNS;
export type ColumnType = (typeof ITEM_COLUMNS)[ItemColumn]['type'];

/** A column, or a place in `data`: its keys from the outside in, none for `data` itself. */
export type ItemPath =
  | { readonly kind: 'column'; readonly column: ItemColumn }
  | { readonly kind: 'data'; readonly keys: readonly string[] };

const MAX_KEYS = 10;
const MAX_KEY_LENGTH = 200;
/** A key after `data.`: plain, or in quotes as a JSON text when it holds a dot, a bracket, a comma or a quote. */
const KEY = /\.(?:("(?:[^"\\]|\\.)*")|([^."[\],\s]+))/y;

const isColumn = (text: string): text is ItemColumn => Object.hasOwn(ITEM_COLUMNS, text);

/**
 * Reads `title`, `data.address.city` or `data."a.b".0`.
 * @throws {ParameterRefused}
 */
export function readPath(text: string): ItemPath {
  if (isColumn(text)) return { kind: 'column', column: text };
  if (text !== 'data' && !text.startsWith('data.'))
    throw new ParameterRefused(
      `must name one of ${Object.keys(ITEM_COLUMNS).join(', ')} or a place in data, such as data.priority`,
    );
  const keys: string[] = [];
  for (let at = 4; at < text.length; at = KEY.lastIndex) {
    KEY.lastIndex = at;
    const [, quoted, plain] = KEY.exec(text) ?? [];
    const key = quoted === undefined ? plain : readQuoted(quoted);
    if (key === undefined)
      throw new ParameterRefused('must name keys after data, with dots between: data.a.b or data."a.b"');
    if (key.length > MAX_KEY_LENGTH)
      throw new ParameterRefused(`must have keys of at most ${MAX_KEY_LENGTH} characters`);
    keys.push(key);
  }
  if (keys.length > MAX_KEYS) throw new ParameterRefused(`must have at most ${MAX_KEYS} keys`);
  return { kind: 'data', keys };
}

/** One text per path, for comparing. */
export const pathText = (path: ItemPath): string =>
  path.kind === 'column' ? path.column : `data${path.keys.map((key) => `.${JSON.stringify(key)}`).join('')}`;

function readQuoted(text: string): string | undefined {
  try {
    const value = parseJson(text);
    return typeof value === 'string' ? value : undefined;
  } catch (error) {
    if (error instanceof JsonRefused) return undefined;
    throw error;
  }
}
