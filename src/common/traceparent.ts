/** Version 00 of the W3C's `traceparent`, and the versions to come, which begin alike. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
/** As it is written here. */
const OWN = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/;

/** The trace that a `traceparent` names (W3C Trace Context, section 3.2); `undefined` if it is none. */
export const traceIdOf = (traceparent: unknown): string | undefined =>
  typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;

/** Whether a text is a `traceparent` as instances write them; then it can stand in JSON as it is. */
export const isOwnTraceparent = (text: string): boolean => OWN.test(text);
