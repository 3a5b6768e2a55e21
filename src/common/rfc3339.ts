/**
 * PostgreSQL's text of a `timestamptz` (ISO date style) as RFC 3339 in UTC:
 * `2026-01-31 08:00:00.123456+00` becomes `2026-01-31T08:00:00.123456Z`.
 */
export function rfc3339(timestamp: string): string {
  return timestamp.endsWith('+00')
    ? `${timestamp.slice(0, 10)}T${timestamp.slice(11, -3)}Z`
    : new Date(timestamp).toISOString();
}
