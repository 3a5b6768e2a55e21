import { decodePageCursor, DEFAULT_LIMIT, encodePageCursor, type PageQuery } from '../common/pagination.js';
import { Forbidden } from '../common/problem.js';
import type { PipelinedStatements, Statement } from '../database/pipelined-statements.js';
import { rolesWith } from './permissions.js';
import type { Caller } from './requires.js';
import { WorkspaceNotFound } from './workspaces.errors.js';

/** What a list of a workspace consists of, in SQL. */
interface WorkspaceListParts<Row> {
  /** Of the prepared statement. */
  readonly name: string;
  /** Everything after SELECT, up to what says that it is of the workspace `me.workspace_id`. */
  readonly select: string;
  /** The UUID that puts the list in order, as the row has it and as the SELECT can name it. */
  readonly key: keyof Row & string;
  readonly keyColumn: string;
  readonly newestFirst?: boolean;
}

/** A list of what belongs to a workspace, read page by page by the members whose role may see it. */
export interface WorkspaceList<Row> extends Statement {
  readonly key: keyof Row & string;
}

/** One page of a {@link WorkspaceList}. */
export interface WorkspacePage<Row> {
  readonly rows: readonly Row[];
  readonly nextCursor: string | null;
}

/**
 * The statement of a list, which decides who may see it in the moment of reading. It answers with no row when the
 * caller is no member, and with one row whose key is null when nothing is left, or nothing that the role may see.
 */
export function workspaceList<Row>(parts: WorkspaceListParts<Row>): WorkspaceList<Row> {
  const { name, select, key, keyColumn } = parts;
  const [beyond, direction] = parts.newestFirst ? ['<', 'DESC'] : ['>', 'ASC'];
  const text = `SELECT me.role = ANY ($5) AS allowed, found.* FROM memberships me
    LEFT JOIN LATERAL (
      SELECT ${select} AND ($3::uuid IS NULL OR ${keyColumn} ${beyond} $3)
      ORDER BY ${keyColumn} ${direction} LIMIT $4
    ) found ON me.role = ANY ($5)
    WHERE me.workspace_id = $1 AND me.principal_id = $2 ORDER BY found.${key} ${direction}`;
  return { name, text, key };
}

/**
 * Reads the page that `query` asks for.
 * @throws {WorkspaceNotFound} if the caller is no member
 * @throws {Forbidden} if the caller's role lacks the permission that the route requires
 */
export async function readPage<Row extends object>(
  statements: PipelinedStatements,
  list: WorkspaceList<Row>,
  caller: Caller,
  workspaceId: string,
  query: PageQuery,
): Promise<WorkspacePage<Row>> {
  const limit = query.limit ?? DEFAULT_LIMIT;
  const found = await statements.run<{ allowed: 't' | 'f' } & Row>(list, [
    workspaceId,
    caller.id,
    decodePageCursor(query.cursor),
    limit + 1,
    rolesWith(caller.permission),
  ]);
  const [first] = found;
  if (!first) throw new WorkspaceNotFound();
  if (first.allowed !== 't') throw new Forbidden();
  const rows = first[list.key] === null ? [] : found.slice(0, limit);
  const last = rows.at(-1);
  return { rows, nextCursor: found.length > limit && last ? encodePageCursor(String(last[list.key])) : null };
}
