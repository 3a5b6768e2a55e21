import { setTimeout as delay } from 'node:timers/promises';
import {
  context,
  type Context,
  createContextKey,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  type SpanOptions,
  SpanStatusCode,
  trace,
  type Tracer,
} from '@opentelemetry/api';
import { ATTR_DB_OPERATION_BATCH_SIZE, ATTR_ERROR_TYPE } from '@opentelemetry/semantic-conventions';
import type { TracerProvider } from '@opentelemetry/sdk-trace';
import type { Delivery, OpenSpan, Traced, Traces } from '../../common/traces.js';
import { describe, describeDelivery } from './description.js';
import { contextOf, ownPropagator, writtenAt } from './propagation.js';

/** How many spans may hang below one that came from outside, such as a request. */
const MOST_SPANS = 256;

const BUDGET = createContextKey('how many more spans may hang below');

interface Budget {
  /** Below zero: so many were left out. */
  left: number;
  /** Below which they hang. */
  readonly top: Span;
}

/** Records what is done by the SDK of OpenTelemetry. */
export class Recorder implements Traces {
  readonly libraries;
  private readonly budgets = new WeakMap<Span, Budget>();
  private ending: Promise<void> | undefined;

  /** @param ended called when nothing is recorded any more */
  constructor(
    private readonly provider: TracerProvider,
    private readonly tracer: Tracer,
    private readonly ended: () => void,
  ) {
    this.libraries = { tracerProvider: provider, propagator: ownPropagator };
  }

  get traceId(): string | undefined {
    return trace.getActiveSpan()?.spanContext().traceId;
  }

  get traceparent(): string | undefined {
    const span = trace.getActiveSpan();
    return span?.isRecording() ? traceparentOf(span) : undefined;
  }

  async run<T>(traced: Traced, work: (span: OpenSpan | undefined) => Promise<T>): Promise<T> {
    const opened = this.open(traced);
    if (!opened) return work(undefined);
    const { span, within } = opened;
    return this.runIn(span, within, () => work(new RecordedSpan(span)));
  }

  begin(traced: Traced): OpenSpan | undefined {
    const opened = this.open(traced);
    return opened && new RecordedSpan(opened.span);
  }

  async runShared<T>(
    statement: string,
    writes: readonly OpenSpan[],
    size: number,
    work: () => Promise<T>,
  ): Promise<T> {
    const spans = writes.flatMap((write) => (write instanceof RecordedSpan ? write.span : []));
    const [first] = spans;
    if (!first) return work();
    if (size === 1) return context.with(trace.setSpan(ROOT_CONTEXT, first), work);
    const shared = this.tracer.startSpan(
      `batch ${statement}`,
      {
        kind: SpanKind.INTERNAL,
        attributes: { 'atrium.statement': statement, [ATTR_DB_OPERATION_BATCH_SIZE]: size },
        links: spans.map((span) => ({ context: span.spanContext() })),
      },
      ROOT_CONTEXT,
    );
    for (const span of spans) {
      span.addLink({ context: shared.spanContext() });
      span.setAttribute(ATTR_DB_OPERATION_BATCH_SIZE, size);
    }
    return this.runIn(shared, trace.setSpan(ROOT_CONTEXT, shared), work);
  }

  async runFrame<T>(
    event: string,
    traceparent: string | undefined,
    fields: Readonly<Record<string, string | number | undefined>>,
    work: () => Promise<T>,
  ): Promise<T> {
    const attributes = {
      'atrium.frame': event,
      'atrium.connection_id': fields.connectionId,
      'atrium.principal': fields.principal,
    };
    return this.enter(
      `frame ${event}`,
      { kind: SpanKind.SERVER, attributes },
      contextOf({ traceparent }),
      (span) => this.runIn(span, context.active(), work),
    );
  }

  /** Begins something that came from outside, and does it. Whoever does it ends the span. */
  enter<T>(name: string, options: SpanOptions, parent: Context, work: (span: Span) => T): T {
    const span = this.tracer.startSpan(name, options, parent);
    return context.with(trace.setSpan(parent, span), work, undefined, span);
  }

  past(traced: Traced, durationMs: number, error: unknown): void {
    const opened = this.open(traced, performance.now() - durationMs);
    if (opened) new RecordedSpan(opened.span).end(error);
  }

  delivered(delivery: Delivery): void {
    const { name, kind, attributes } = describeDelivery(delivery);
    const options = { kind, attributes, startTime: delivery.startedAt };
    const span = this.tracer.startSpan(name, options, writtenAt(delivery.traceparent));
    // What this turn has put together for each subscriber is written at its end.
    setImmediate(() => span.end());
  }

  outside<T>(work: () => T): T {
    return context.with(ROOT_CONTEXT, work);
  }

  end(withinMs: number): Promise<void> {
    return (this.ending ??= this.endOnce(withinMs));
  }

  private async endOnce(withinMs: number): Promise<void> {
    const patience = new AbortController();
    const enough = delay(withinMs, undefined, { signal: patience.signal }).catch(() => undefined);
    // What cannot be sent is lost; the log has said so.
    await Promise.race([this.provider.shutdown().catch(() => undefined), enough]);
    patience.abort();
    this.ended();
  }

  /** Whatever becomes of it, it ends with the work. */
  private async runIn<T>(span: Span, within: Context, work: () => Promise<T>): Promise<T> {
    const recorded = new RecordedSpan(span);
    try {
      const answer = await context.with(within, work);
      recorded.end();
      return answer;
    } catch (error) {
      recorded.end(error);
      throw error;
    }
  }

  /** Begins a part of the present work, if that is recorded and has not too many parts already. */
  private open(traced: Traced, startTime?: number): { span: Span; within: Context } | undefined {
    const active = context.active();
    const above = trace.getSpan(active);
    if (!above?.isRecording()) return undefined;
    const known = active.getValue(BUDGET) as Budget | undefined;
    const budget = known ?? this.budgetOf(above);
    if (budget.left-- <= 0) {
      budget.top.setAttribute('atrium.spans_left_out', -budget.left);
      return undefined;
    }
    const { name, kind, attributes } = describe(traced);
    const span = this.tracer.startSpan(name, { kind, attributes, startTime }, active);
    const within = trace.setSpan(active, span);
    return { span, within: known ? within : within.setValue(BUDGET, budget) };
  }

  /** Of a request, a frame or a job: what is below hands it on. */
  private budgetOf(top: Span): Budget {
    const budget = this.budgets.get(top) ?? { left: MOST_SPANS, top };
    this.budgets.set(top, budget);
    return budget;
  }
}

const traceparentOf = (span: Span): string => {
  const { traceId, spanId } = span.spanContext();
  return `00-${traceId}-${spanId}-01`;
};

class RecordedSpan implements OpenSpan {
  constructor(readonly span: Span) {}

  get traceparent(): string {
    return traceparentOf(this.span);
  }

  set(name: string, value: string | number): void {
    this.span.setAttribute(name, value);
  }

  end(error?: unknown): void {
    if (error !== undefined) {
      this.span.setAttribute(ATTR_ERROR_TYPE, errorType(error));
      this.span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.span.end();
  }
}

/** The code of an error of the database or of the system, else what kind of error it is. */
function errorType(error: unknown): string {
  if (!(error instanceof Error)) return typeof error;
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.constructor.name;
}
