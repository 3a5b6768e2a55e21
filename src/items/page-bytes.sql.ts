/** What the `data` of one page may hold together, as text; the first record's in any case. */
export const PAGE_BYTES = 8_388_608;

/**
 * The rows of a page that fit into {@link PAGE_BYTES}, with their `data` as `text` and how many `candidates` there were.
 * What is stored is measured first, since that costs nothing, and only then the text, which is the one that is answered.
 * @param page a query that answers `data`
 * @param order of the rows, by their columns
 */
export const withinBytes = (page: string, order: string): string => `
    SELECT * FROM (
      SELECT *, sum(octet_length(text)) OVER (ORDER BY ${order}) AS bytes FROM (
        SELECT *, data::text AS text FROM (
          SELECT *, sum(pg_column_size(data)) OVER (ORDER BY ${order}) AS stored,
            row_number() OVER (ORDER BY ${order}) AS n, count(*) OVER () AS candidates
          FROM (${page}) page
        ) measured
        WHERE stored <= ${PAGE_BYTES} OR n = 1 OFFSET 0
      ) unpacked
    ) counted
    WHERE bytes <= ${PAGE_BYTES} OR n = 1`;

/** A row of such a page: of an empty one, and where none of it can be long, nothing is said. */
export interface PageRow {
  readonly candidates?: string | null;
}

/** Whether there is more than a page shows, by its count or by its bytes. */
export const hasMore = (rows: readonly PageRow[], limit: number): boolean =>
  rows.length > limit || Number(rows[0]?.candidates ?? 0) > rows.length;
