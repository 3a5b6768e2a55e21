const TIME =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.(\d{1,9}))?(?:[Zz]|[+-](?:0\d|1[0-4]):[0-5]\d)$/;

/**
 * Whether the text is a time as RFC 3339 (section 5.6) writes it, on a day that exists, in a year that PostgreSQL and
 * JavaScript both know in every time zone, without leap seconds: what neither refuses nor changes.
 */
export function isTime(text: string): boolean {
  const [, year = '', month = '', day = ''] = TIME.exec(text) ?? [];
  if (year === '' || year < '0002' || year > '9998') return false;
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  return date.getUTCMonth() + 1 === Number(month) && date.getUTCDate() === Number(day);
}

/** The digits of a time's seconds behind the point; none if there is no point. */
export const fractionOf = (time: string): string => TIME.exec(time)?.[4] ?? '';

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
