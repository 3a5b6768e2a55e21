/** A position in a stream: everything up to `seq` of the history `epoch` has been seen. */
export interface Cursor {
  readonly epoch: string;
  readonly seq: number;
}

/** `<epoch>-<seq>`; opaque to clients. */
export const formatCursor = (epoch: string, seq: number): string => `${epoch}-${seq}`;

/** Takes a cursor apart; `undefined` if it is not one. */
export function parseCursor(text: string): Cursor | undefined {
  const match = /^([0-9a-z]{1,32})-(0|[1-9]\d{0,15})$/.exec(text);
  return match ? { epoch: match[1] ?? '', seq: Number(match[2]) } : undefined;
}
