import { describe, expect, it } from '@jest/globals';
import { checkLeases, type LeaseEvidence } from './lease-checker.js';
import type { AgentRecord, WorkEvent } from './lease-records.js';

const T = 1_000_000;
const about = { agent: 'a', item: 'x' };
const event = (seq: number, type: string, more: Partial<WorkEvent> = {}): WorkEvent => ({
  seq,
  type,
  item: 'x',
  principal: 'a',
  time: T + seq,
  ...more,
});
const created = event(1, 'item.created', { version: 1 });
const claimed = (seq: number, lease: string, more: Partial<WorkEvent> = {}): WorkEvent =>
  event(seq, 'lease.claimed', { lease, fence: 1, attempt: 1, dueAt: T + seq + 2_000, ...more });
const given = (lease: string, attempt = 1): AgentRecord => ({
  ...about,
  saw: 'claimed',
  lease,
  fence: 1,
  attempt,
  expiresAt: '',
});
const completed = event(3, 'lease.completed', { lease: 'l1' });

/** One item, done by the first who had it; changed as a test says. */
const judge = (change: Partial<LeaseEvidence> = {}) => {
  const events = change.events ?? [created, claimed(2, 'l1'), completed];
  return checkLeases({
    records: [given('l1'), { ...about, saw: 'complete', lease: 'l1', outcome: 'ok' }],
    head: events.length,
    count: events.length,
    rows: [{ item: 'x', version: 1, state: 'done', reason: null }],
    items: 1,
    ...change,
    events,
  });
};
const promises = (change: Partial<LeaseEvidence>) => [
  ...new Set(judge(change).violations.map(({ promise }) => promise)),
];
const HOLDER = 'an item has one holder at a time';
const LOST = 'no write by a lost lease takes effect';
const TELLS = 'events tell each transition';

describe('The checker of leases', () => {
  it('finds nothing where an item was done once, or again after a lease was over', () => {
    expect(judge()).toMatchObject({ items: 1, claims: 1, completed: 1, violations: [] });
    const events = [
      created,
      claimed(2, 'l0'),
      event(3, 'lease.expired', { lease: 'l0', reason: 'expired', time: T + 3_000 }),
      claimed(4, 'l1', { attempt: 2, time: T + 3_000, dueAt: T + 9_000 }),
      event(5, 'lease.completed', { lease: 'l1', time: T + 4_000 }),
    ];
    const records: AgentRecord[] = [
      given('l0'),
      { ...about, saw: 'complete', lease: 'l0', outcome: 'lost' },
      given('l1', 2),
    ];
    expect(judge({ events, records })).toMatchObject({ expired: 1, refused: 1, violations: [] });
  });

  it('finds two holders', () => {
    expect(
      promises({
        events: [
          created,
          claimed(2, 'l0'),
          claimed(3, 'l1', { attempt: 2 }),
          event(4, 'lease.completed', { lease: 'l1' }),
        ],
      }),
    ).toContain(HOLDER);
  });

  it('finds a lease that ended before its time, also where it was extended', () => {
    const events = (until: number) => [
      created,
      claimed(2, 'l0'),
      event(3, 'lease.expired', { lease: 'l0', reason: 'expired', time: until }),
      claimed(4, 'l1', { attempt: 2, time: until, dueAt: until + 2_000 }),
      event(5, 'lease.completed', { lease: 'l1', time: until + 1 }),
    ];
    const records: AgentRecord[] = [given('l0'), given('l1', 2)];
    expect(promises({ events: events(T + 1_000), records })).toContain(HOLDER);
    expect(promises({ events: events(T + 3_000), records })).toEqual([]);
    const expiresAt = new Date(T + 4_000).toISOString();
    const extended: AgentRecord = { ...about, saw: 'extend', lease: 'l0', outcome: 'ok', expiresAt };
    expect(promises({ events: events(T + 3_000), records: [...records, extended] })).toContain(HOLDER);
  });

  it('finds what was done under a lease that was lost', () => {
    const write = event(3, 'item.updated', { version: 2, key: 'l0 1' });
    const rows = [{ item: 'x', version: 2, state: 'done', reason: null }];
    const records: AgentRecord[] = [given('l1')];
    expect(
      promises({
        events: [created, claimed(2, 'l1'), write, event(4, 'lease.completed', { lease: 'l1' })],
        rows,
        records,
      }),
    ).toEqual([LOST]);
    const late = event(3, 'lease.completed', { lease: 'l1', time: T + 2_100 });
    expect(promises({ events: [created, claimed(2, 'l1'), late] })).toEqual([LOST]);
    const refused: AgentRecord = { ...about, saw: 'complete', lease: 'l1', outcome: 'lost' };
    expect(promises({ records: [given('l1'), refused] })).toEqual([LOST]);
  });

  it('finds what was lost, and what was done twice', () => {
    expect(promises({ items: 2 })).toEqual(['no item is lost']);
    const rows = [{ item: 'x', version: 1, state: 'leased', reason: null }];
    expect(promises({ rows, events: [created, claimed(2, 'l1')], records: [given('l1')] })).toEqual([
      'no item is lost',
    ]);
    const again = [claimed(4, 'l2', { attempt: 2 }), event(5, 'lease.completed', { lease: 'l2' })];
    const records: AgentRecord[] = [given('l1'), given('l2', 2)];
    expect(promises({ events: [created, claimed(2, 'l1'), completed, ...again], records })).toEqual([
      'a finished item is left alone',
    ]);
    const dead = event(3, 'lease.dead', { lease: 'l1', reason: null });
    expect(
      promises({
        events: [created, claimed(2, 'l1'), dead],
        rows: [{ item: 'x', version: 1, state: 'dead', reason: null }],
        records: [],
      }),
    ).toEqual(['what is dead says why']);
  });

  it('finds answers that are not so, and transitions that nobody is told of', () => {
    expect(
      promises({
        records: [given('l1'), { ...about, saw: 'write', lease: 'l1', outcome: 'ok', key: 'l1 1' }],
      }),
    ).toEqual(['what was answered is done']);
    expect(promises({ records: [given('l1'), given('l7')] })).toEqual([TELLS]);
    expect(promises({ events: [created, claimed(2, 'l1')], records: [given('l1')] })).toContain(TELLS);
    expect(promises({ head: 4 })).toEqual(['the log has no gaps']);
    expect(promises({ events: [created, claimed(2, 'l1', { fence: 7 }), completed] })).toContain(
      'the fence is the version',
    );
  });
});
