import { Type } from 'class-transformer';
import { IsIn, IsNumber, IsOptional, Matches, Max, Min } from 'class-validator';
import { CommaSeparated, WholeNumber } from './variables.js';

/** How it is decided which traces are recorded, in the words of OpenTelemetry. */
export const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const;

/** `name=value`, the value in percent-encoding where it needs to be (W3C Baggage). */
const PAIR = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+=[\x21-\x7e]*$/;

/** The standard variables of OpenTelemetry, as far as they are heeded here. */
export class TracingVariables {
  /** Where traces are sent: to `/v1/traces` below it. Nothing is recorded when empty. */
  @IsOptional()
  @Matches(/^https?:\/\/[^\s@?#]+$/, { message: 'must look like http://collector:4318' })
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;

  /** Comma-separated `name=value`. */
  @CommaSeparated()
  @Matches(PAIR, { each: true, message: 'must list headers as name=value, separated by commas' })
  OTEL_EXPORTER_OTLP_HEADERS: string[] = [];

  @IsIn(['http/protobuf'], { message: 'must be http/protobuf: nothing else is spoken here' })
  OTEL_EXPORTER_OTLP_PROTOCOL = 'http/protobuf';

  /** What sending may take, with all attempts. */
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 100, max: 60_000 })
  OTEL_EXPORTER_OTLP_TIMEOUT = 10_000;

  @Matches(/^[^\p{Cc}]{1,128}$/u, { message: 'must be a name of 1 to 128 characters' })
  OTEL_SERVICE_NAME = 'atrium';

  /** Comma-separated `name=value`. */
  @CommaSeparated()
  @Matches(PAIR, { each: true, message: 'must list attributes as name=value, separated by commas' })
  OTEL_RESOURCE_ATTRIBUTES: string[] = [];

  @IsIn(SAMPLERS, { message: `must be one of ${SAMPLERS.join(', ')}` })
  OTEL_TRACES_SAMPLER: (typeof SAMPLERS)[number] = 'parentbased_always_on';

  /** Of the samplers by ratio. */
  @Type(() => Number)
  @IsNumber({}, { message: 'must be a number from 0 to 1' })
  @Min(0, { message: 'must be a number from 0 to 1' })
  @Max(1, { message: 'must be a number from 0 to 1' })
  OTEL_TRACES_SAMPLER_ARG = 1;
}

/** Where traces go, and which are recorded. */
export interface TracingSettings {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly timeoutMs: number;
  readonly serviceName: string;
  readonly attributes: Readonly<Record<string, string>>;
  /** How many of the traces that begin here are recorded, from 0 to 1. */
  readonly ratio: number;
  /** Whether a proxy that is trusted decides for the requests that it passes on. */
  readonly followsParents: boolean;
}

/** @returns `undefined` if nothing is to be recorded */
export function readTracing(env: TracingVariables): TracingSettings | undefined {
  const endpoint = env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (endpoint === undefined) return undefined;
  const sampler = env.OTEL_TRACES_SAMPLER;
  return {
    url: `${endpoint.replace(/\/+$/, '')}/v1/traces`,
    headers: readPairs(env.OTEL_EXPORTER_OTLP_HEADERS),
    timeoutMs: env.OTEL_EXPORTER_OTLP_TIMEOUT,
    serviceName: env.OTEL_SERVICE_NAME,
    attributes: readPairs(env.OTEL_RESOURCE_ATTRIBUTES),
    ratio: sampler.endsWith('_on') ? 1 : sampler.endsWith('_off') ? 0 : env.OTEL_TRACES_SAMPLER_ARG,
    followsParents: sampler.startsWith('parentbased_'),
  };
}

const readPairs = (pairs: readonly string[]): Record<string, string> =>
  Object.fromEntries(
    pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), decoded(pair.slice(pair.indexOf('=') + 1))]),
  );

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
