/** A part of the time by which events are kept and dropped, in ms since the Unix epoch; the end is not in it. */
export interface Span {
  readonly from: number;
  readonly to: number;
}

/** How long a partition is; all begin and end at midnight UTC, weeks on Mondays. */
export type SpanLength = 'day' | 'week' | 'month';

export const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** 1970 began on a Thursday. */
const FIRST_MONDAY_MS = 4 * DAY_MS;

/**
 * Few partitions, so that reading asks few, and each a small part of what is kept.
 * @param retentionDays 0: for ever
 */
export function spanLengthFor(retentionDays: number): SpanLength {
  if (retentionDays === 0 || retentionDays > 100) return 'month';
  return retentionDays > 14 ? 'week' : 'day';
}

/**
 * The spans that are missing until two whole ones lie ahead of now. They begin where the last one ends, whatever its
 * length, or, if that is long past, with the present one.
 */
export function missingSpans(existing: readonly Span[], now: number, length: SpanLength): Span[] {
  const until = nextBoundary(nextBoundary(nextBoundary(now, length), length), length);
  const spans: Span[] = [];
  let from = Math.max(lastBoundary(now, length), ...existing.map(({ to }) => to));
  while (from < until) {
    const to = nextBoundary(from, length);
    spans.push({ from, to });
    from = to;
  }
  return spans;
}

function lastBoundary(time: number, length: SpanLength): number {
  if (length === 'day') return Math.floor(time / DAY_MS) * DAY_MS;
  if (length === 'week') return Math.floor((time - FIRST_MONDAY_MS) / WEEK_MS) * WEEK_MS + FIRST_MONDAY_MS;
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1);
}

function nextBoundary(time: number, length: SpanLength): number {
  if (length !== 'month') return lastBoundary(time, length) + (length === 'day' ? DAY_MS : WEEK_MS);
  const date = new Date(time);
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1);
}
