/** A page takes no further record once the `data` of those before it is so long together, as text. */
const PAGE_BYTES = 8_388_608;

const hasRoom = (size: string, order: string): string =>
  `sum(${size}) OVER (ORDER BY ${order}) - ${size} < ${PAGE_BYTES}`;

/**
 * The rows of a page with their `data` as `text`: null from where there is no room left for it.
 * What is stored is measured first, since that costs nothing, and only then the text, which is the one that is answered.
 * @param page a query that answers `data`
 * @param order of the rows, by their columns
 */
export const withinBytes = (page: string, order: string): string => `
    SELECT *, CASE WHEN ${hasRoom('octet_length(unpacked)', order)} THEN unpacked END AS text FROM (
      SELECT *, CASE WHEN fits THEN data::text END AS unpacked FROM (
        SELECT *, ${hasRoom('pg_column_size(data)', order)} AS fits FROM (${page}) page
      ) packed OFFSET 0
    ) page`;

/** @returns of the rows that were found, those that a page shows: up to its limit, and up to the first without room */
export function fitting<Row extends { readonly data: string | null }>(
  found: readonly Row[],
  limit: number,
): Row[] {
  const end = found.findIndex(({ data }) => data === null);
  return found.slice(0, end < 0 ? limit : Math.min(end, limit));
}
