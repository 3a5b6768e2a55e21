import { AsyncLocalStorage } from 'node:async_hooks';
import { traces } from './traces.js';

/** What every line says that is logged while something is done: texts by name. */
export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** Where the `locals` of an answer say whose it is, when the request does not. */
export const WORKSPACE = 'workspaceId';

/** Something that is being done, as the log names it. */
export interface LogContext {
  /** What is known by now; asked for each line. */
  logFields(): LogFields;
}

const storage = new AsyncLocalStorage<LogContext | undefined>();

/** Does some work, so that all lines that are logged by it, also after waits, say what it belongs to. */
export const withLogContext = <T>(context: LogContext, work: () => T): T => storage.run(context, work);

/** Does work that belongs to nobody in particular, and to no trace, such as what many callers share. */
export function withoutLogContext<T>(work: () => T): T {
  const recorder = traces;
  return storage.run(undefined, recorder ? () => recorder.outside(work) : work);
}

const NOTHING: LogFields = {};

/** What the present work belongs to, by name; nothing if it belongs to nothing. */
export function logFields(): LogFields {
  const fields = storage.getStore()?.logFields() ?? NOTHING;
  const traceId = traces?.traceId;
  return traceId === undefined ? fields : { ...fields, traceId };
}
