import { rfc3339 } from '../common/rfc3339.js';

/** What an event consists of; JSON parts as text, times as PostgreSQL's text. */
export interface EventParts {
  readonly streamId: string;
  readonly seq: number;
  /** UUID. */
  readonly id: string;
  readonly type: string;
  /** The path of the room it belongs to. */
  readonly subject: string;
  readonly principalId: string;
  readonly time: string;
  /** The record as it was after the change, as JSON text. */
  readonly data: string;
}

/** One entry of a stream. Its JSON is built once, when somebody first wants it, and then shared. */
export class StreamEvent {
  readonly streamId: string;
  readonly seq: number;
  readonly subject: string;
  /** Where it was written (W3C Trace Context, section 3.2), if that is recorded; noted before it is handed on. */
  traceparent: string | undefined;
  private text: string | undefined;

  constructor(private readonly parts: EventParts) {
    this.streamId = parts.streamId;
    this.seq = parts.seq;
    this.subject = parts.subject;
    this.traceparent = undefined;
  }

  get id(): string {
    return this.parts.id;
  }

  get type(): string {
    return this.parts.type;
  }

  /** The record as it was after the change, as JSON text. */
  get data(): string {
    return this.parts.data;
  }

  /** When it was written, by the database's clock, in milliseconds since the Unix epoch. */
  get writtenAt(): number {
    return Date.parse(rfc3339(this.parts.time));
  }

  /** About how many characters it keeps in memory. */
  get size(): number {
    return this.parts.data.length + 512;
  }

  /** The CloudEvents 1.0 object as JSON text. */
  get json(): string {
    return (this.text ??= cloudEventJson(this.parts, this.traceparent));
  }
}

/**
 * CloudEvents 1.0 in JSON format. `principal` is an extension attribute: who did it.
 * `type` and `subject` are escaped since a publisher may have named the type.
 * @param traceparent in which trace it was written (CloudEvents' extension for distributed tracing)
 */
export function cloudEventJson(parts: Omit<EventParts, 'seq'>, traceparent?: string): string {
  const trace = traceparent === undefined ? '' : `"traceparent":"${traceparent}",`;
  return (
    `{"specversion":"1.0","id":"${parts.id}","source":"/v1/workspaces/${parts.streamId}",` +
    `"type":${JSON.stringify(parts.type)},"subject":${JSON.stringify(parts.subject)},` +
    `"time":"${rfc3339(parts.time)}","datacontenttype":"application/json",` +
    `"principal":"${parts.principalId}",${trace}"data":${parts.data}}`
  );
}
