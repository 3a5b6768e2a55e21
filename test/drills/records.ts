import { createHash } from 'node:crypto';
import { existsSync, openSync, readFileSync, writeSync } from 'node:fs';

/** What a writer knows of one write when its answer came, or did not come. Kept in a file, one JSON a line. */
export interface WriteRecord {
  /** Names the write in the event that it makes, too. */
  readonly key: string;
  readonly kind: 'create' | 'patch' | 'delete' | 'publish';
  readonly stream: string;
  /** `unknown`: the answer was lost, or says itself that the write may have been done. */
  readonly outcome: 'ok' | 'failed' | 'unknown';
  readonly item?: string;
  /** Of an answer: the record's version after the write, and the position in the stream. */
  readonly version?: number;
  readonly seq?: number;
  /** What was answered instead of ok. */
  readonly why?: string;
}

/** One entry of a stream, as a subscriber received it or as it stands in the table. */
export interface EventEntry {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly principal: string;
  /** The key of the write that made it; absent for what no writer wrote. */
  readonly write?: string;
  /** Of an item's event. */
  readonly version?: number;
  /** Of a member's event: whom it is about. */
  readonly member?: string;
  /** Of the event's data, whatever the order of its keys. */
  readonly digest: string;
}

/** What a subscriber saw, one JSON a line, in the order in which it came. `client` is one reader with its cursors. */
export type Sighting =
  | {
      readonly saw: 'joined';
      readonly client: string;
      readonly principal: string;
      readonly room: string;
      readonly epoch: string;
      readonly seq: number;
      /** The cursor that it asked to resume from. */
      readonly after?: string;
      readonly recovered: boolean;
      readonly reason?: string;
    }
  | ({
      readonly saw: 'event';
      readonly client: string;
      readonly room: string;
      readonly epoch: string;
    } & EventEntry)
  /** The server put it out of the room. */
  | { readonly saw: 'left'; readonly client: string; readonly room: string; readonly code: string }
  /** A join was refused. */
  | { readonly saw: 'refused'; readonly client: string; readonly room: string; readonly code: string }
  | { readonly saw: 'closed'; readonly client: string; readonly code: number };

/** What the database holds in the end. */
export interface Table {
  readonly streams: readonly TableStream[];
  /** Items that exist. */
  readonly items: readonly { readonly id: string; readonly version: number; readonly write?: string }[];
}

export interface TableStream {
  readonly id: string;
  readonly head: number;
  /** The lowest `seq` that is kept. */
  readonly first: number;
  /** In order of `seq`. */
  readonly events: readonly EventEntry[];
}

/** The type that writers publish in rooms. */
export const NOTE = 'drill.note';

/** The data of an event, as far as a drill writes it. */
interface EventData {
  readonly id?: string;
  readonly version?: number;
  readonly write?: string;
  readonly principalId?: string;
  readonly data?: { readonly write?: string };
}

/** What is compared of an event: from its parts in the table, or from a CloudEvents object. */
export function toEntry(parts: {
  readonly seq: number;
  readonly id: string;
  readonly type: string;
  readonly subject: string;
  readonly principal: string;
  readonly data: unknown;
}): EventEntry {
  const { data, ...rest } = parts;
  const about = data as EventData;
  const isItem = rest.type.startsWith('item.');
  return {
    ...rest,
    write: writeKey(rest.type, about),
    version: isItem ? about.version : undefined,
    member: rest.type.startsWith('member.') ? about.principalId : undefined,
    digest: createHash('sha1').update(canonical(data)).digest('base64url').slice(0, 12),
  };
}

/** A deletion carries the record as it was, so it is known by its item, which is deleted once. */
export const deletionKey = (item: string): string => `delete-${item}`;

function writeKey(type: string, data: EventData): string | undefined {
  if (type === 'item.deleted') return deletionKey(data.id ?? '');
  return type.startsWith('item.') ? data.data?.write : data.write;
}

/** JSON text that is the same for the same value. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, each]) => `${JSON.stringify(key)}:${canonical(each)}`).join()}}`;
}

/** Writes records to a file, each at once: what was recorded outlives the process that did. */
export function recorder(path: string): (entry: object) => void {
  const file = openSync(path, 'a');
  return (entry) => void writeSync(file, `${JSON.stringify(entry)}\n`);
}

/** Every record of a file. */
export function readRecords<Entry>(path: string): Entry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry);
}
