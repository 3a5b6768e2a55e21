/** What is said of an answer in its headers; `status` instead of the route's own. */
export interface RepresentationMeta {
  readonly version?: number;
  readonly cursor?: string;
  readonly location?: string;
  /** Cursors of the pages beside this one of a list. */
  readonly pages?: { readonly next: string | null; readonly previous: string | null };
  readonly status?: number;
  /** Whose it is, for the log alone. */
  readonly workspaceId?: string;
  /** Whether no cache may keep it: it shows a secret. */
  readonly secret?: boolean;
  /** Whatever else belongs to this answer. */
  readonly headers?: Readonly<Record<string, string>>;
}

/**
 * An answer whose JSON is text already: a record that came from PostgreSQL as text is not parsed and
 * serialised again. `T` names the DTO that the text holds.
 *
 * `version` becomes the strong `ETag`, and a GET whose `If-None-Match` names it is answered 304.
 * `cursor` becomes the `Stream-Cursor` header: the position in the workspace's stream that this answer
 * reflects, to join a room `after` it with nothing lost between.
 */
export class Representation<T> {
  declare protected readonly holds: T;

  constructor(
    readonly json: string,
    readonly meta: RepresentationMeta = {},
  ) {}

  /** No content, but headers. */
  static empty(meta: { cursor?: string; workspaceId?: string } = {}): Representation<never> {
    return new Representation<never>('', meta);
  }

  /** A representation of an object that is at hand. */
  static of<T>(value: T, meta: RepresentationMeta = {}): Representation<T> {
    return new Representation<T>(JSON.stringify(value), meta);
  }
}

/** Kept by the caller alone, and asked for again before it is used: that is what the ETag is for. */
export const CACHING = 'private, no-cache';

/** On answers with secrets and tokens. */
export const NO_STORE = 'no-store';

/** The headers that belong to an answer by itself, whatever the request. */
export function representationHeaders({ json, meta }: Representation<unknown>): Record<string, string> {
  const { version, cursor, location } = meta;
  const headers: Record<string, string> = { ...meta.headers };
  if (meta.secret) headers['Cache-Control'] = NO_STORE;
  if (json !== '') headers['Content-Type'] = 'application/json; charset=utf-8';
  if (cursor !== undefined) headers['Stream-Cursor'] = cursor;
  if (location !== undefined) headers['Location'] = location;
  if (version !== undefined) headers['ETag'] = `"${version}"`;
  return headers;
}
