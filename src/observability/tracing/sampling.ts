import {
  type Context,
  createContextKey,
  type Link,
  type SpanKind,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import { type Sampler, SamplingDecision, type SamplingResult } from '@opentelemetry/sdk-trace';

const FOLLOWED = createContextKey('whether it was decided elsewhere what is recorded');

/** A context whose remote parent has decided whether the trace is recorded: another instance, or a trusted proxy. */
export const followed = (context: Context): Context => context.setValue(FOLLOWED, true);

const RECORDED: SamplingResult = { decision: SamplingDecision.RECORD_AND_SAMPLED };
const NOT_RECORDED: SamplingResult = { decision: SamplingDecision.NOT_RECORD };
const isSampled = (flags: number): boolean => (flags & TraceFlags.SAMPLED) !== 0;

/**
 * Records so many of the traces that begin here, all spans of one or none. A caller whom nobody knows may name the trace
 * that it is in, but does not decide: neither by its flag nor by its choice of ids, since the decision is random.
 */
export class OwnSampler implements Sampler {
  /** @param ratio from 0 to 1 */
  constructor(private readonly ratio: number) {}

  shouldSample(
    context: Context,
    _traceId: string,
    _name: string,
    _kind: SpanKind,
    _attributes: object,
    links: Link[],
  ): SamplingResult {
    const parent = trace.getSpanContext(context);
    if (parent && (parent.isRemote !== true || context.getValue(FOLLOWED) === true))
      return isSampled(parent.traceFlags) ? RECORDED : NOT_RECORDED;
    // What several share is recorded if it is part of something that is.
    if (!parent && links.some((link) => isSampled(link.context.traceFlags))) return RECORDED;
    return Math.random() < this.ratio ? RECORDED : NOT_RECORDED;
  }

  toString(): string {
    return `OwnSampler{${this.ratio}}`;
  }
}
