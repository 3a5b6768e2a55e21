import type { TextMapPropagator, TracerProvider } from '@opentelemetry/api';

/** A piece of work, as it is told to whoever records traces. Nothing in it is a secret, a parameter or a body. */
export type Traced =
  /** A statement of SQL: its name, if it has one, and its text, in which values are placeholders. */
  | { readonly kind: 'statement'; readonly name?: string; readonly text: string }
  | { readonly kind: 'transaction' }
  /** A write that waits until it shares a statement, to the answer of that. */
  | { readonly kind: 'write'; readonly statement: string }
  | { readonly kind: 'mail' }
  /** A request to another server. */
  | { readonly kind: 'call'; readonly method: string; readonly url: URL };

/** Something that is being recorded; to be ended once. */
export interface OpenSpan {
  /** Where it stands, for what it brings about elsewhere (W3C Trace Context, section 3.2). */
  readonly traceparent: string;
  set(name: string, value: string | number): void;
  /** @param error why it failed; its message is not recorded, since it may quote what it was given */
  end(error?: unknown): void;
}

/** An event that was given to subscribers. */
export interface Delivery {
  /** Where the write of the event stands. */
  readonly traceparent: string;
  readonly id: string | undefined;
  readonly type: string | undefined;
  /** The room that it belongs to. */
  readonly subject: string;
  readonly subscribers: number;
  /** When it began to be given out, by {@link performance.now}. */
  readonly startedAt: number;
  /** From the write to then, in ms; unknown of what is not kept. */
  readonly lagMs?: number;
}

/** Records what is done as spans of traces. What is not recorded is done just the same. */
export interface Traces {
  /** The trace that the present work belongs to, whether it is recorded or not. */
  readonly traceId: string | undefined;
  /** Where the present work stands; `undefined` if it is not recorded. */
  readonly traceparent: string | undefined;
  /** Does a part of the present work. */
  run<T>(traced: Traced, work: (span: OpenSpan | undefined) => Promise<T>): Promise<T>;
  /** Notes a part of the present work that has just ended, and took so long. */
  past(traced: Traced, durationMs: number, error: unknown): void;
  /** Begins a part of the present work that ends elsewhere; `undefined` if that is not recorded. */
  begin(traced: Traced): OpenSpan | undefined;
  /**
   * Does what several writes share: of a lone one it is a part, of several a trace of its own, linked with theirs.
   * @param size how many there are, recorded or not
   */
  runShared<T>(
    statement: string,
    writes: readonly OpenSpan[],
    size: number,
    work: () => Promise<T>,
  ): Promise<T>;
  /**
   * Handles a frame of a socket, as a trace of its own or as part of the one that the client names.
   * @param fields what the log says of it
   */
  runFrame<T>(
    event: string,
    traceparent: string | undefined,
    fields: Readonly<Record<string, string | number | undefined>>,
    work: () => Promise<T>,
  ): Promise<T>;
  /** Takes note of a delivery, until what it wrote in this turn of the event loop has left. */
  delivered(delivery: Delivery): void;
  /** Does work that belongs to no trace. */
  outside<T>(work: () => T): T;
  /** For libraries that speak OpenTelemetry themselves. */
  readonly libraries: {
    readonly tracerProvider: TracerProvider;
    readonly propagator: TextMapPropagator;
  };
  /** Sends what waits, for so long at most, and stops recording. */
  end(withinMs: number): Promise<void>;
}

/**
 * Whoever records traces in this process; `undefined` if nobody does, which is all that is looked at on the way of a
 * request then.
 */
export let traces: Traces | undefined;

/** Has traces recorded from now on, or no longer. */
export function recordTraces(recorder: Traces | undefined): void {
  traces = recorder;
}
