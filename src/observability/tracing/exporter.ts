import { Logger } from '@nestjs/common';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { reasonOf } from '../../common/reason.js';
import type { TracingSettings } from '../../config/tracing-variables.js';

/** Sends spans by OTLP, and says in the log once that nobody takes them, and once that somebody does again. */
export class OtlpExporter implements SpanExporter {
  private readonly logger = new Logger('Traces');
  private readonly otlp: OTLPTraceExporter;
  private failing = false;

  constructor({ url, headers, timeoutMs }: TracingSettings) {
    this.otlp = new OTLPTraceExporter({ url, headers: { ...headers }, timeoutMillis: timeoutMs });
  }

  export(spans: ReadableSpan[], done: (result: ExportResult) => void): void {
    this.otlp.export(spans.map(withoutMessage), (result) => {
      this.took(result);
      done(result);
    });
  }

  shutdown(): Promise<void> {
    return this.otlp.shutdown();
  }

  private took({ code, error }: ExportResult): void {
    const failed = code !== ExportResultCode.SUCCESS;
    if (failed === this.failing) return;
    this.failing = failed;
    if (failed)
      this.logger.warn(`Traces cannot be sent, and are dropped: ${reasonOf(error ?? 'no reason given')}`);
    else this.logger.log('Traces are sent again');
  }
}

/** The messages of errors quote what they were given; the log has them, without secrets. */
function withoutMessage(span: ReadableSpan): ReadableSpan {
  const { code, message } = span.status;
  return message === undefined
    ? span
    : (Object.create(span, { status: { value: { code } } }) as ReadableSpan);
}
