import { AsyncLocalStorage } from 'node:async_hooks';

/** What every line says that is logged while something is done: texts by name. */
export type LogFields = Readonly<Record<string, string | number | undefined>>;

/** Something that is being done, as the log names it. */
export interface LogContext {
  /** What is known by now; asked for each line. */
  logFields(): LogFields;
}

const storage = new AsyncLocalStorage<LogContext | undefined>();

/** Does some work, so that all lines that are logged by it, also after waits, say what it belongs to. */
export const withLogContext = <T>(context: LogContext, work: () => T): T => storage.run(context, work);

/** Does work that belongs to nobody in particular, such as what many callers share. */
export const withoutLogContext = <T>(work: () => T): T => storage.run(undefined, work);

/** What the present work belongs to, by name; nothing if it belongs to nothing. */
export const logFields = (): LogFields => storage.getStore()?.logFields() ?? {};
