import type { SqlParameters } from './item-conditions.sql.js';

/** The workspace of a list, as its first look found it. */
export interface ListedWorkspace {
  readonly id: string;
  /** The text search configurations by which its items are indexed: one, or several while that changes. */
  readonly languages: readonly string[];
}

/** Around a found word, until it is HTML: two characters of the private use area, which are taken out before. */
export const MARK = { start: '\uE000', stop: '\uE001' } as const;
const MARKS = `StartSel=${MARK.start}, StopSel=${MARK.stop}`;
export const HIGHLIGHT_TITLE = `${MARKS}, HighlightAll=true`;
export const HIGHLIGHT_DATA = `${MARKS}, MaxFragments=2, MaxWords=25, MinWords=8, FragmentDelimiter=" … "`;

/** A search, in SQL. */
export interface SearchSql {
  /** That the row `i` is found. */
  readonly condition: string;
  /** How well. */
  readonly rank: string;
  /** The words, without what limits them to a workspace. */
  readonly query: string;
  /** The text search configuration of the workspace, the newest of them. */
  readonly config: string;
}

/**
 * A search of one workspace. Its id is a lexeme of each item too, so that the index finds what lies in the
 * workspace and holds the words, and not the words of all tenants. While the language changes, an item
 * is found by the old or the new.
 */
export function searchSql(parameters: SqlParameters, workspace: ListedWorkspace, words: string): SearchSql {
  const text = parameters.add(words, 'text');
  const configs = workspace.languages.map((language) =>
    parameters.add(`pg_catalog.${language}`, 'regconfig'),
  );
  const query = `(${configs.map((config) => `websearch_to_tsquery(${config}, ${text})`).join(' || ')})`;
  const within = parameters.add(`'in ${workspace.id}'`, 'tsquery');
  return {
    // Of stop words alone nothing is left, which would find everything.
    condition: `i.search @@ (CASE WHEN numnode(${query}) = 0 THEN ${query} ELSE ${query} && ${within} END)`,
    rank: `ts_rank(i.search, ${query})`,
    query,
    config: configs.at(-1) ?? `'simple'::regconfig`,
  };
}
