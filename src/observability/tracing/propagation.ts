import {
  type Context,
  defaultTextMapGetter,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapPropagator,
  type TextMapSetter,
} from '@opentelemetry/api';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { followed } from './sampling.js';

const w3c = new W3CTraceContextPropagator();

/** W3C Trace Context between instances of this program: what one records the others record, too. */
export const ownPropagator: TextMapPropagator = {
  inject: (context: Context, carrier: unknown, setter: TextMapSetter) => w3c.inject(context, carrier, setter),
  extract: (context: Context, carrier: unknown, getter: TextMapGetter) =>
    followed(w3c.extract(context, carrier, getter)),
  fields: () => w3c.fields(),
};

/** Where a caller says that it stands, by `traceparent` and `tracestate`; nowhere if it says nothing fit. */
export const contextOf = (carrier: object): Context =>
  w3c.extract(ROOT_CONTEXT, carrier, defaultTextMapGetter);

/** Where another instance says that something was written. */
export const writtenAt = (traceparent: string): Context => followed(contextOf({ traceparent }));
