import {
  type Broken,
  collectReadings,
  describe,
  type Reading,
  streamOf,
  withDropped,
  WORKSPACES,
} from './readings.js';
import type { EventEntry, Sighting, Table, TableStream, WriteRecord } from './records.js';

/** All that a drill leaves behind for judgement. */
export interface Evidence {
  readonly writes: readonly WriteRecord[];
  readonly sightings: readonly Sighting[];
  readonly table: Table;
  /** Whether a reader may be told that its cursor is older than what is kept. */
  readonly mayBeTooOld?: boolean;
}

/** A promise that was broken, and what shows it. */
export interface Violation {
  readonly promise: string;
  readonly evidence: string;
}

export interface Report {
  readonly ok: number;
  readonly failed: number;
  readonly unknown: number;
  /** Of the unknown ones, those that turned out to have been done. */
  readonly unknownDone: number;
  readonly events: number;
  readonly readers: number;
  readonly deliveries: number;
  /** Joins that resumed from a cursor. */
  readonly reconnects: number;
  /** Ranges that a reader was told it cannot have any more. */
  readonly resyncs: number;
  /** Events that a reader was due and did not get, and that it got twice. */
  readonly lost: number;
  readonly duplicated: number;
  readonly violations: readonly Violation[];
}

/** Judges a drill by what was recorded outside of the server, and by the table. Pure. */
export function check(evidence: Evidence): Report {
  const { writes, sightings, table } = evidence;
  const violations: Violation[] = [];
  const broken = (promise: string, text: string) => violations.push({ promise, evidence: text });
  checkTable(table, broken);
  const readings = collectReadings(evidence, broken);
  const log = withDropped(table.streams, readings);
  const unknownDone = checkWrites(writes, log, broken);
  let lost = 0;
  let duplicated = 0;
  for (const reading of readings) {
    const found = checkReading(reading, log, broken);
    lost += found.lost;
    duplicated += found.duplicated;
  }
  checkSeen(writes, readings, broken);
  const count = (outcome: WriteRecord['outcome']) => writes.filter((each) => each.outcome === outcome).length;
  const joins = sightings.filter((each) => each.saw === 'joined');
  return {
    ok: count('ok'),
    failed: count('failed'),
    unknown: count('unknown'),
    unknownDone,
    events: table.streams.reduce((sum, { events }) => sum + events.length, 0),
    readers: readings.length,
    deliveries: sightings.filter(({ saw }) => saw === 'event').length,
    reconnects: joins.filter(({ after }) => after !== undefined).length,
    resyncs: readings.reduce((sum, { skipped }) => sum + skipped.length, 0),
    lost,
    duplicated,
    violations,
  };
}

/** The log is gapless from the first kept `seq` to the head, each event once, and the items are what it says. */
function checkTable({ streams, items }: Table, broken: Broken): void {
  const newest = new Map<string, EventEntry>();
  const ids = new Set<string>();
  for (const stream of streams) {
    let expected = stream.first;
    for (const event of stream.events) {
      if (event.seq !== expected)
        broken('the log has no gaps', `${stream.id} has ${event.seq} where ${expected} should be`);
      expected = event.seq + 1;
      if (ids.has(event.id)) broken('an event stands in the log once', `${event.id} stands there twice`);
      ids.add(event.id);
      if (event.version !== undefined) newest.set(event.subject, event);
    }
    if (stream.head !== expected - 1)
      broken('the log ends at its head', `${stream.id}: head ${stream.head}, last event ${expected - 1}`);
  }
  const stored = new Map(items.map((item) => [`items/${item.id}`, item]));
  for (const [subject, event] of newest) {
    const item = stored.get(subject);
    const isDeleted = event.type === 'item.deleted';
    if (isDeleted ? item !== undefined : item?.version !== event.version || item?.write !== event.write)
      broken(
        'records are what the log says',
        `${subject}: newest event ${describe(event)}, record ${item ? `version ${item.version} by ${item.write}` : 'none'}`,
      );
  }
}

/** Ok writes are in the log once and where their answer said, failed ones are not, unknown ones once at most. */
function checkWrites(
  writes: readonly WriteRecord[],
  streams: readonly TableStream[],
  broken: Broken,
): number {
  const byKey = new Map<string, { stream: TableStream; event: EventEntry }>();
  for (const stream of streams)
    for (const event of stream.events) {
      if (event.write === undefined) continue;
      if (byKey.has(event.write))
        broken('a write happens once', `${event.write} stands in the log twice, again as ${describe(event)}`);
      byKey.set(event.write, { stream, event });
    }
  let unknownDone = 0;
  for (const write of writes) {
    const found = byKey.get(write.key);
    if (write.outcome === 'failed') {
      if (found)
        broken('nothing of a failed write', `${write.key} (${write.why}) is ${describe(found.event)}`);
    } else if (write.outcome === 'unknown') {
      if (found) unknownDone++;
    } else if (!found) {
      if (isKept(write, streams))
        broken('an ok write is in the log', `${write.key} (seq ${write.seq}) is not`);
    } else if (write.seq !== undefined && write.seq !== found.event.seq) {
      broken(
        'an answer names the position of its write',
        `${write.key}: answered ${write.seq}, is ${found.event.seq}`,
      );
    } else if (write.version !== undefined && write.version !== found.event.version) {
      broken(
        'an answer names the version of its write',
        `${write.key}: answered ${write.version}, is ${found.event.version}`,
      );
    }
  }
  return unknownDone;
}

const isKept = (write: WriteRecord, streams: readonly TableStream[]) =>
  write.seq === undefined || write.seq >= (streams.find(({ id }) => id === write.stream)?.first ?? 1);

/** Strictly rising, and exactly what the log has for the room, as long as the reader was authorised. */
function checkReading(
  reading: Reading,
  streams: readonly TableStream[],
  broken: Broken,
): { lost: number; duplicated: number } {
  const name = `${reading.client} in ${reading.room}`;
  const stream = streamOf(reading, streams);
  if (!stream) return { lost: 0, duplicated: 0 };
  for (const { after } of reading.skipped)
    if (after + 1 >= stream.first)
      broken('a retained cursor can be resumed from', `${name}: told that it misses what follows ${after}`);
  const removal = stream.events.find(
    ({ type, member, seq }) =>
      type === 'member.removed' && member === reading.principal && seq > reading.start,
  );
  const due = new Map(
    stream.events
      .filter((event) => isDue(event, reading) && (!removal || event.seq < removal.seq))
      .map((event) => [event.seq, event]),
  );
  let last = reading.start;
  let duplicated = 0;
  const seen = new Set<number>();
  for (const event of reading.events) {
    if (seen.has(event.seq)) {
      duplicated++;
      broken('no event comes twice', `${name}: ${describe(event)}`);
    } else if (event.seq <= last) {
      broken('events come in order', `${name}: ${describe(event)} after ${last}`);
    }
    seen.add(event.seq);
    last = Math.max(last, event.seq);
    const stored = due.get(event.seq);
    if (removal && event.seq >= removal.seq)
      broken('nothing reaches the revoked', `${name}: ${describe(event)}, removed at ${removal.seq}`);
    else if (event.seq < stream.first && !stored)
      continue; // nothing to compare with any more
    else if (!stored) broken('only what is in the log is delivered', `${name}: ${describe(event)}`);
    else if (describe(stored) !== describe(event) || stored.digest !== event.digest)
      broken(
        'an event is delivered as it stands in the log',
        `${name}: ${describe(event)}, not ${describe(stored)}`,
      );
  }
  // Whoever lost the membership while away cannot come back for what was before; told of it, nothing is missing.
  const end = removal && !reading.membershipLost ? last : Infinity;
  const missing = [...due.keys()].filter((seq) => seq <= end && !seen.has(seq)).sort((a, b) => a - b);
  if (missing.length > 0)
    broken(
      'every event reaches every reader',
      `${name}: ${missing.length} lost, from ${describe(due.get(missing[0] ?? 0))} to seq ${missing.at(-1)}; last seen ${last}`,
    );
  return { lost: missing.length, duplicated };
}

function isDue(event: EventEntry, { room, start, skipped }: Reading): boolean {
  if (event.seq <= start || skipped.some(({ after, upTo }) => event.seq > after && event.seq <= upTo))
    return false;
  return room.startsWith(WORKSPACES) ? !event.subject.startsWith('rooms/') : event.subject === room;
}

/** What readers saw of failed writes. (Ok and unknown ones are judged by the log, which every reader has to match.) */
function checkSeen(writes: readonly WriteRecord[], readings: readonly Reading[], broken: Broken): void {
  const failed = new Map(
    writes.filter(({ outcome }) => outcome === 'failed').map((write) => [write.key, write]),
  );
  for (const { client, room, events } of readings)
    for (const event of events) {
      const write = event.write === undefined ? undefined : failed.get(event.write);
      if (write) broken('nothing of a failed write', `${client} in ${room} saw ${write.key} (${write.why})`);
    }
}
