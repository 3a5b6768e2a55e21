/** What a command answers with: one JSON document for machines, lines for people. */
export interface Answer {
  readonly json: unknown;
  readonly text: string;
}

export type Row = Readonly<Record<string, string | number | boolean | null | Date>>;

/** Rows below their names. @param none what to say when there is none */
export function table(rows: readonly Row[], none: string): Answer {
  return { json: { data: rows }, text: rows.length === 0 ? none : aligned(rows) };
}

/** One record, a line for each of its fields. */
export function record(row: Row): Answer {
  const width = Math.max(...Object.keys(row).map((name) => name.length));
  const lines = Object.entries(row).map(([name, value]) => `${name.padEnd(width)}  ${shown(value)}`);
  return { json: row, text: lines.join('\n') };
}

/** A sentence; for machines with what it is about. */
export const sentence = (text: string, json: Row): Answer => ({ json, text });

function aligned(rows: readonly Row[]): string {
  const names = Object.keys(rows[0]);
  const lines = [names, ...rows.map((row) => names.map((name) => shown(row[name])))];
  const widths = names.map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((cell, n) => cell.padEnd(widths[n]))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** On one line, and without anything that a terminal would obey: names are somebody else's words. */
function shown(value: Row[string]): string {
  if (value === null) return '-';
  if (value instanceof Date) return value.toISOString();
  return String(value).replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, '�');
}
