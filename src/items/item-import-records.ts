import type { ItemFormat } from './item-export.query.js';

/** A record as it was sent, without the end of its line. */
export interface RawRecord {
  /** Where it begins; the first line is 1. */
  readonly line: number;
  /** `undefined`: longer than a record may be. */
  readonly bytes: Buffer | undefined;
}

/** Records that are done together, and where they end. */
export interface RecordBatch {
  readonly records: readonly RawRecord[];
  readonly endBytes: number;
  readonly endLines: number;
  /** Whether nothing comes after them. */
  readonly last: boolean;
}

const LF = 0x0a;
const CR = 0x0d;
const QUOTE = 0x22;
const COMMA = 0x2c;

/** Finds where records end, piece by piece: at a line feed, in CSV only outside of quotes (RFC 4180, section 2). */
class RecordEnds {
  private state: 'start' | 'plain' | 'quoted' | 'closed' = 'start';
  /** Line feeds within the record so far. */
  lines = 0;

  constructor(private readonly format: ItemFormat) {}

  /** @returns the index after the record's end, or -1 if the bytes end before */
  next(bytes: Buffer, from: number): number {
    if (this.format === 'ndjson') {
      const end = bytes.indexOf(LF, from);
      return end < 0 ? -1 : this.ended(end);
    }
    for (let at = from; at < bytes.length; at++) {
      const byte = bytes[at];
      if (byte === LF && this.state !== 'quoted') return this.ended(at);
      if (byte === LF) this.lines++;
      if (this.state === 'quoted') {
        if (byte === QUOTE) this.state = 'closed';
      } else if (byte === QUOTE && this.state !== 'plain') this.state = 'quoted';
      else this.state = byte === COMMA ? 'start' : 'plain';
    }
    return -1;
  }

  private ended(at: number): number {
    this.state = 'start';
    this.lines++;
    return at + 1;
  }
}

/**
 * Reads the records of an upload from a place on. What it keeps in memory is a batch at most, and a chunk.
 * @param read the bytes from a place on, some of them; `undefined` at the end
 */
export class RecordReader {
  /** Bytes from {@link position} on. */
  private held: Buffer = Buffer.alloc(0);

  constructor(
    private readonly format: ItemFormat,
    private position: number,
    private lines: number,
    private readonly maxRecordBytes: number,
    private readonly read: (from: number) => Promise<Buffer | undefined>,
  ) {}

  /** The next records: so many, or as many as have so many bytes, but one at least if there is one. */
  async next(maxRecords: number, maxBytes: number): Promise<RecordBatch> {
    const records: RawRecord[] = [];
    let taken = 0;
    while (records.length < maxRecords && taken < maxBytes) {
      const before = this.position;
      const record = await this.record();
      if (!record) return this.batch(records, true);
      // An empty line is no record.
      if (record.bytes === undefined || record.bytes.length > 0) records.push(record);
      taken += this.position - before;
    }
    return this.batch(records, false);
  }

  private batch(records: readonly RawRecord[], last: boolean): RecordBatch {
    return { records, endBytes: this.position, endLines: this.lines, last };
  }

  private async record(): Promise<RawRecord | undefined> {
    const ends = new RecordEnds(this.format);
    const line = this.lines + 1;
    const start = this.position;
    let looked = 0;
    let tooLong = false;
    for (;;) {
      const end = ends.next(this.held, looked);
      if (end >= 0) return this.take(end, line, ends, tooLong, start);
      looked = this.held.length;
      if (looked > this.maxRecordBytes) {
        // Nothing of it is kept: only its end is looked for.
        tooLong = true;
        this.position += looked;
        this.held = Buffer.alloc(0);
        looked = 0;
      }
      const more = await this.read(this.position + this.held.length);
      if (!more) break;
      this.held = this.held.length === 0 ? more : Buffer.concat([this.held, more]);
    }
    if (this.position + this.held.length === start) return undefined;
    ends.lines++;
    return this.take(this.held.length, line, ends, tooLong, start);
  }

  private take(end: number, line: number, ends: RecordEnds, tooLong: boolean, start: number): RawRecord {
    let from = 0;
    // A byte order mark, at the very beginning.
    if (start === 0 && !tooLong && this.held.subarray(0, 3).equals(BOM)) from = 3;
    let to = end;
    if (to > from && this.held[to - 1] === LF) to--;
    if (to > from && this.held[to - 1] === CR) to--;
    const bytes = tooLong || to - from > this.maxRecordBytes ? undefined : this.held.subarray(from, to);
    this.held = this.held.subarray(end);
    this.position += end;
    this.lines += ends.lines;
    return { line, bytes };
  }
}

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);
