import { randomUUID } from 'node:crypto';

/** The W3C's `traceparent`: version 00, and the versions to come, which begin alike and may go on. */
const TRACEPARENT =
  /^(?:00(?=.{53}$)|(?!00|ff)[0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?$/;
/** As it is written here. */
const OWN = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-0[01]$/;

/** The trace that a `traceparent` names (W3C Trace Context, section 3.2); `undefined` if it is none. */
export const traceIdOf = (traceparent: unknown): string | undefined =>
  typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent)?.[1] : undefined;

const UUID_V4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/**
 * The trace that a request or a job belongs to: the caller's, or a new one.
 * @param id one of our own making is as good as a new one, and leads from one to the other
 */
export const traceIdFor = (id: string, traceparent: unknown): string =>
  traceIdOf(traceparent) ?? (UUID_V4.test(id) ? id : randomUUID()).replaceAll('-', '');

/** Whether a text is a `traceparent` as instances write them; then it can stand in JSON as it is. */
export const isOwnTraceparent = (text: string): boolean => OWN.test(text);
