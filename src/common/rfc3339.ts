/**
 * PostgreSQL's text of a `timestamptz` (ISO date style) as RFC 3339 in UTC with milliseconds, like
 * `Date.prototype.toISOString`: `2026-01-31 08:00:00.123456+00` becomes `2026-01-31T08:00:00.123Z`.
 */
export function rfc3339(timestamp: string): string {
  if (!timestamp.endsWith('+00')) return new Date(timestamp).toISOString();
  const milliseconds = timestamp.slice(20, -3).padEnd(3, '0').slice(0, 3);
  return `${timestamp.slice(0, 10)}T${timestamp.slice(11, 19)}.${milliseconds}Z`;
}

/** The same of a `timestamptz` expression, computed by PostgreSQL. `expression` is our own SQL, never input. */
export const rfc3339Sql = (expression: string): string =>
  `to_char(${expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
