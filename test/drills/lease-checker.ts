import type { Violation } from './checker.js';
import { type AgentRecord, EVENT_OF, type WorkEvent, type WorkRow } from './lease-records.js';

/** All that a drill of leases leaves behind for judgement. */
export interface LeaseEvidence {
  readonly records: readonly AgentRecord[];
  /** Of the workspace's stream: its `seq` from 1, and those about items. */
  readonly head: number;
  readonly count: number;
  readonly events: readonly WorkEvent[];
  readonly rows: readonly WorkRow[];
  /** So many items there were to be done. */
  readonly items: number;
}

export interface LeaseReport {
  readonly items: number;
  readonly claims: number;
  readonly completed: number;
  readonly dead: number;
  readonly expired: number;
  /** What was refused because the lease was lost. */
  readonly refused: number;
  readonly unknown: number;
  readonly violations: readonly Violation[];
}

type Broken = (promise: string, evidence: string) => void;
/** Answers and events tell times in whole milliseconds. */
const ROUNDING_MS = 1;
const HOLDER = 'an item has one holder at a time';
const TELLS = 'events tell each transition';
const LOST = 'no write by a lost lease takes effect';

/** Judges by what agents wrote down outside of the server, by the events, and by the tables. Pure. */
export function checkLeases({ records, head, count, events, rows, items }: LeaseEvidence): LeaseReport {
  const violations: Violation[] = [];
  const broken: Broken = (promise, evidence) => void violations.push({ promise, evidence });
  if (count !== head) broken('the log has no gaps', `${count} events, and the head is ${head}`);
  const ends = knownEnds(records, events);
  const histories = Map.groupBy(events, ({ item }) => item);
  for (const row of rows) new History(row, ends, broken).follow(histories.get(row.item) ?? []);
  if (rows.length !== items) broken('no item is lost', `${rows.length} of ${items} are there`);
  checkAnswers(records, events, broken);
  const of = (type: string) => events.filter((event) => event.type === type).length;
  return {
    items: rows.length,
    claims: of('lease.claimed'),
    completed: of('lease.completed'),
    dead: rows.filter(({ state }) => state === 'dead').length,
    expired: of('lease.expired'),
    refused: records.filter((record) => record.saw !== 'claimed' && record.outcome === 'lost').length,
    unknown: records.filter((record) => record.saw !== 'claimed' && record.outcome === 'unknown').length,
    violations,
  };
}

/** Until when each lease lasts at least, and at most as far as is known: an extension without an answer may have been done. */
function knownEnds(
  records: readonly AgentRecord[],
  events: readonly WorkEvent[],
): Map<string, { atLeast: number; atMost: number }> {
  const ends = new Map<string, { atLeast: number; atMost: number }>();
  const extend = (lease: string, until: number, atMost = until) => {
    const known = ends.get(lease) ?? { atLeast: 0, atMost: 0 };
    ends.set(lease, { atLeast: Math.max(known.atLeast, until), atMost: Math.max(known.atMost, atMost) });
  };
  for (const { type, lease, dueAt } of events)
    if (type === 'lease.claimed' && lease !== undefined) extend(lease, dueAt ?? 0);
  for (const record of records) {
    if (record.saw !== 'extend') continue;
    if (record.outcome === 'unknown') extend(record.lease, 0, Infinity);
    if (record.outcome === 'ok') extend(record.lease, Date.parse(record.expiresAt ?? ''));
  }
  return ends;
}

/** What happened to one item, event by event. */
class History {
  private state = 'none';
  private version = 0;
  private attempts = 0;
  private lease: string | undefined;
  private reason: string | null | undefined;

  constructor(
    private readonly row: WorkRow,
    private readonly ends: ReadonlyMap<string, { readonly atLeast: number; readonly atMost: number }>,
    private readonly broken: Broken,
  ) {}

  follow(events: readonly WorkEvent[]): void {
    for (const event of events) {
      if (event.type.startsWith('item.')) this.changed(event);
      else if (event.type === 'lease.claimed') this.claimed(event);
      else this.ended(event);
    }
    const { state, version, reason } = this.row;
    if (state !== this.state || version !== this.version)
      this.say(
        TELLS,
        `${state}, version ${version}, where the events end with ${this.state}, ${this.version}`,
      );
    if (state !== 'done' && state !== 'dead') this.say('no item is lost', `it is ${state} in the end`);
    if (state === 'dead' && !(reason && reason === this.reason))
      this.say('what is dead says why', String(reason));
  }

  private changed(event: WorkEvent): void {
    if (event.version !== this.version + 1)
      this.say('versions are counted', `${event.version} after ${this.version}`);
    this.version = event.version ?? 0;
    if (this.state === 'none') this.state = 'ready';
    const lease = event.key?.split(' ')[0];
    if (lease !== undefined && !this.holds(lease, event)) this.say(LOST, describe(event));
  }

  private claimed(event: WorkEvent): void {
    if (this.state === 'leased') this.say(HOLDER, `${describe(event)} while it is leased by ${this.lease}`);
    else if (this.state !== 'ready') this.say('a finished item is left alone', describe(event));
    const earlier = this.ends.get(this.lease ?? '');
    if (this.reason === 'expired' && earlier && event.time < earlier.atLeast)
      this.say(HOLDER, `${describe(event)} before the end of ${this.lease}, ${earlier.atLeast}`);
    if (event.fence !== this.version)
      this.say('the fence is the version', `${event.fence}, and it is ${this.version}`);
    if (event.attempt !== this.attempts + 1)
      this.say('attempts are counted', `${event.attempt} after ${this.attempts}`);
    this.attempts = event.attempt ?? 0;
    this.state = 'leased';
    this.lease = event.lease;
    this.reason = null;
  }

  private ended(event: WorkEvent): void {
    if (this.state !== 'leased' || event.lease !== this.lease)
      this.say(TELLS, `${describe(event)}: ${this.state}`);
    const isOver = event.reason === 'expired';
    const { atLeast = 0 } = this.ends.get(event.lease ?? '') ?? {};
    if (isOver && event.time < atLeast)
      this.say('a lease lasts as long as was said', `${describe(event)} before ${atLeast}`);
    if (!isOver && !this.holds(event.lease, event)) this.say(LOST, describe(event));
    this.state = STATE_AFTER[event.type] ?? 'ready';
    this.reason = event.reason;
    if (event.type === 'lease.released') this.attempts--;
  }

  /** Whether this lease is held, in the order of the stream and by the clock of the database. */
  private holds(lease: string | undefined, { time }: WorkEvent): boolean {
    const { atMost = 0 } = this.ends.get(lease ?? '') ?? {};
    return this.state === 'leased' && this.lease === lease && time <= atMost + ROUNDING_MS;
  }

  private say(promise: string, text: string): void {
    this.broken(promise, `item ${this.row.item}: ${text}`);
  }
}

const STATE_AFTER: Readonly<Record<string, string>> = { 'lease.completed': 'done', 'lease.dead': 'dead' };

/** What agents were told is so: claims that they were given, what was done, and what was refused. */
function checkAnswers(records: readonly AgentRecord[], events: readonly WorkEvent[], broken: Broken): void {
  const byKey = new Map<string, WorkEvent>();
  const byLease = new Map<string, WorkEvent>();
  for (const event of events) {
    if (event.key !== undefined) {
      if (byKey.has(event.key)) broken('a write happens once', describe(event));
      byKey.set(event.key, event);
    }
    if (event.lease === undefined) continue;
    const name = `${event.type} ${event.lease}`;
    if (byLease.has(name)) broken('a lease begins and ends once', describe(event));
    byLease.set(name, event);
  }
  for (const record of records) {
    const told = `${record.agent} was told of ${JSON.stringify(record)}`;
    if (record.saw === 'claimed') {
      const event = byLease.get(`lease.claimed ${record.lease}`);
      const isSo =
        event?.principal === record.agent &&
        event.item === record.item &&
        event.fence === record.fence &&
        event.attempt === record.attempt;
      if (!isSo) broken(TELLS, `${told}: ${event ? describe(event) : 'no event'}`);
      continue;
    }
    if (record.saw === 'extend' || record.outcome === 'unknown') continue;
    const dead = byLease.get(`lease.dead ${record.lease}`);
    const done =
      record.saw === 'write'
        ? byKey.has(record.key ?? '')
        : byLease.has(`${EVENT_OF[record.saw]} ${record.lease}`) ||
          (record.saw === 'fail' && dead !== undefined && dead.reason !== 'expired');
    if (record.outcome === 'ok' && !done) broken('what was answered is done', told);
    if (record.outcome === 'lost' && (record.key ? byKey.has(record.key) : done)) broken(LOST, told);
  }
}

const describe = ({ seq, type, lease, key, item, time }: WorkEvent): string =>
  `seq ${seq} ${type} of ${item} at ${time} by ${lease ?? key ?? 'nobody'}`;
