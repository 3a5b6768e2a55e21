import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { until } from './until.js';

/** A span, as a receiver of OTLP reads it. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty at the root. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client, 4 producer, 5 consumer. */
  readonly kind: number;
  /** In ns since the Unix epoch. */
  readonly start: bigint;
  readonly end: bigint;
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2 of an error. */
  readonly status: number;
  readonly statusMessage: string;
  readonly events: number;
  /** Of what sent it. */
  readonly resource: Readonly<Record<string, string | number | boolean>>;
}

type Field = readonly [number: number, value: Buffer | bigint];

/** The fields of a message in the wire format of Protocol Buffers. */
function* fieldsOf(bytes: Buffer): Generator<Field> {
  let at = 0;
  const varint = (): bigint => {
    for (let value = 0n, shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number): Buffer => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const tag = Number(varint());
    const wire = tag & 7;
    if (wire === 0) yield [tag >> 3, varint()];
    else if (wire === 1) yield [tag >> 3, take(8).readBigUInt64LE()];
    else if (wire === 2) yield [tag >> 3, take(Number(varint()))];
    else if (wire === 5) yield [tag >> 3, BigInt(take(4).readUInt32LE())];
    else throw new Error(`There is no wire type ${wire}`);
  }
}

const all = (bytes: Buffer, number: number): (Buffer | bigint)[] =>
  [...fieldsOf(bytes)].filter(([each]) => each === number).map(([, value]) => value);
const messages = (bytes: Buffer, number: number): Buffer[] => all(bytes, number) as Buffer[];
const message = (bytes: Buffer, number: number): Buffer => messages(bytes, number)[0] ?? Buffer.alloc(0);
const integer = (bytes: Buffer, number: number): bigint =>
  (all(bytes, number)[0] as bigint | undefined) ?? 0n;

function attributesOf(keyValues: Buffer[]): Record<string, string | number | boolean> {
  return Object.fromEntries(
    keyValues.map((each) => {
      const [kind, value] = [...fieldsOf(message(each, 2))][0] ?? [1, Buffer.alloc(0)];
      const bits = new DataView(new ArrayBuffer(8));
      if (kind === 4) bits.setBigUint64(0, value as bigint);
      const read = {
        1: () => String(value),
        2: () => value === 1n,
        3: () => Number(value),
        4: () => bits.getFloat64(0),
      };
      return [message(each, 1).toString(), (read[kind as 1] ?? (() => 'something else'))()];
    }),
  );
}

const toSpan = (bytes: Buffer, resource: ReceivedSpan['resource']): ReceivedSpan => ({
  traceId: message(bytes, 1).toString('hex'),
  spanId: message(bytes, 2).toString('hex'),
  parentSpanId: message(bytes, 4).toString('hex'),
  traceState: message(bytes, 3).toString(),
  name: message(bytes, 5).toString(),
  kind: Number(integer(bytes, 6)),
  start: integer(bytes, 7),
  end: integer(bytes, 8),
  attributes: attributesOf(messages(bytes, 9)),
  links: messages(bytes, 13).map((link) => ({
    traceId: message(link, 1).toString('hex'),
    spanId: message(link, 2).toString('hex'),
  })),
  status: Number(integer(message(bytes, 15), 3)),
  statusMessage: message(message(bytes, 15), 2).toString(),
  events: messages(bytes, 11).length,
  resource,
});

/** The spans of an `ExportTraceServiceRequest`. */
const spansOf = (bytes: Buffer): ReceivedSpan[] =>
  messages(bytes, 1).flatMap((resourceSpans) => {
    const resource = attributesOf(messages(message(resourceSpans, 1), 1));
    return messages(resourceSpans, 2).flatMap((scope) =>
      messages(scope, 2).map((span) => toSpan(span, resource)),
    );
  });

/** A receiver of OTLP over HTTP, with Protocol Buffers. */
export class OtlpReceiver {
  readonly spans: ReceivedSpan[] = [];
  /** Of each request that came. */
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** Everything that came, as text. */
  text = '';
  /** What it does: takes spans, or never answers. */
  mood: 'takes' | 'hangs' = 'takes';

  private constructor(private readonly server: Server) {
    server.on('request', (request, response) => {
      void buffer(request).then((bytes) => {
        this.requests.push({ path: request.url ?? '', headers: request.headers });
        if (this.mood === 'hangs') return;
        this.text += bytes.toString('latin1');
        this.spans.push(...spansOf(bytes));
        response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end();
      });
    });
  }

  static async start(): Promise<OtlpReceiver> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new OtlpReceiver(server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** Takes spans again; what it has never answered comes anew. */
  recover(): void {
    this.mood = 'takes';
    this.server.closeAllConnections();
  }

  /** Waits for a span. */
  received(what: string, fits: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> {
    return until(`a span: ${what}`, () => this.spans.find(fits));
  }

  of(traceId: string): ReceivedSpan[] {
    return this.spans.filter((span) => span.traceId === traceId);
  }

  /** The spans of a trace, once those are here that fit. */
  traceWith(
    traceId: string,
    what: string,
    ...wanted: ((span: ReceivedSpan) => boolean)[]
  ): Promise<{ spans: ReceivedSpan[]; found: (ReceivedSpan | undefined)[] }> {
    return until(`a trace with ${what}`, () => {
      const spans = this.of(traceId);
      const found = wanted.map((fits) => spans.find(fits));
      return found.every((span) => span !== undefined) && { spans, found };
    });
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}
