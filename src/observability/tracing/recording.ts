import { context, trace } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import { BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace';
import { ATTR_SERVICE_INSTANCE_ID, ATTR_SERVICE_NAME } from '@opentelemetry/semantic-conventions';
import { newId } from '../../common/identifiers.js';
import { recordTraces } from '../../common/traces.js';
import type { TracingSettings } from '../../config/tracing-variables.js';
import { OtlpExporter } from './exporter.js';
import { Recorder } from './recorder.js';
import { OwnSampler } from './sampling.js';

/** What waits to be sent, in spans: more are dropped. One part at a time is on its way. */
const QUEUE = { maxQueueSize: 2_048, maxExportBatchSize: 512, scheduledDelayMillis: 1_000 };
/** Past the time that sending may take. */
const SLACK_MS = 1_000;
/** Nothing is long, and errors are told by their kind: their messages quote what they were given. */
const LIMITS = {
  attributeValueLengthLimit: 512,
  attributeCountLimit: 32,
  attributePerLinkCountLimit: 4,
  linkCountLimit: 128,
  eventCountLimit: 0,
};

let running: Recorder | undefined;

/**
 * Begins to record traces, for whoever speaks by `common/traces.ts` or by the API of OpenTelemetry; once in a process,
 * whatever is started in it. The only way that loads the SDK.
 */
export function startRecording(settings: TracingSettings): Recorder {
  return (running ??= start(settings));
}

function start(settings: TracingSettings): Recorder {
  const processor = new BatchSpanProcessor({
    exporter: new OtlpExporter(settings),
    ...QUEUE,
    exportTimeoutMillis: settings.timeoutMs + SLACK_MS,
  });
  const provider = new TracerProvider({
    sampler: new OwnSampler(settings.ratio),
    resource: defaultResource().merge(
      resourceFromAttributes({
        [ATTR_SERVICE_INSTANCE_ID]: newId(),
        ...settings.attributes,
        [ATTR_SERVICE_NAME]: settings.serviceName,
      }),
    ),
    spanLimits: LIMITS,
    spanProcessors: [processor],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  const recorder = new Recorder(provider, provider.getTracer('atrium'), () => {
    running = undefined;
    recordTraces(undefined);
    trace.disable();
    context.disable();
  });
  recordTraces(recorder);
  return recorder;
}
