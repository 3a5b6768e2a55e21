import { describe, expect, it } from '@jest/globals';
import { check, type Evidence, type Report } from './checker.js';
import type { EventEntry, Sighting, WriteRecord } from './records.js';

const STREAM = 'w1';
const ROOM = `workspaces/${STREAM}`;

const entry = (seq: number, changes: Partial<EventEntry> = {}): EventEntry => ({
  seq,
  id: `event-${seq}`,
  type: 'item.updated',
  subject: 'items/a',
  principal: 'owner',
  write: `write-${seq}`,
  version: seq,
  digest: `digest-${seq}`,
  ...changes,
});

const joined = (seq: number, changes: Partial<Extract<Sighting, { saw: 'joined' }>> = {}): Sighting => ({
  saw: 'joined',
  client: 'c',
  principal: 'reader',
  room: ROOM,
  epoch: 'e',
  seq,
  recovered: false,
  ...changes,
});
const resumed = (seq: number, changes: Partial<Extract<Sighting, { saw: 'joined' }>> = {}) =>
  joined(seq, { after: `e-${seq}`, recovered: true, ...changes });
const saw = (seq: number, changes: Partial<EventEntry> = {}, room = ROOM): Sighting => ({
  saw: 'event',
  client: 'c',
  room,
  epoch: 'e',
  ...entry(seq, changes),
});
const wrote = (seq: number, changes: Partial<WriteRecord> = {}): WriteRecord => ({
  key: `write-${seq}`,
  kind: 'patch',
  stream: STREAM,
  outcome: 'ok',
  item: 'a',
  version: seq,
  seq,
  ...changes,
});

/** A drill in which three events were written and one reader saw them all, but for the changes. */
function evidence(
  changes: {
    writes?: readonly WriteRecord[];
    sightings?: readonly Sighting[];
    events?: readonly EventEntry[];
    head?: number;
    first?: number;
    items?: Evidence['table']['items'];
    mayBeTooOld?: boolean;
  } = {},
): Evidence {
  const events = changes.events ?? [entry(1), entry(2), entry(3)];
  const newest = events.at(-1);
  return {
    writes: changes.writes ?? [wrote(1), wrote(2), wrote(3)],
    sightings: changes.sightings ?? [joined(0), saw(1), saw(2), saw(3)],
    table: {
      streams: [{ id: STREAM, head: changes.head ?? newest?.seq ?? 0, first: changes.first ?? 1, events }],
      items: changes.items ?? [{ id: 'a', version: newest?.version ?? 0, write: newest?.write }],
    },
    mayBeTooOld: changes.mayBeTooOld,
  };
}

const promises = (report: Report): string[] => [...new Set(report.violations.map(({ promise }) => promise))];

describe('The checker', () => {
  it('finds nothing where nothing is wrong, and counts', () => {
    expect(check(evidence())).toEqual({
      ok: 3,
      failed: 0,
      unknown: 0,
      unknownDone: 0,
      events: 3,
      readers: 1,
      deliveries: 3,
      reconnects: 0,
      resyncs: 0,
      lost: 0,
      duplicated: 0,
      violations: [],
    });
  });

  it('takes an unknown write for good, done or not', () => {
    const writes = [wrote(1), wrote(2), wrote(3, { outcome: 'unknown' }), wrote(4, { outcome: 'unknown' })];
    expect(check(evidence({ writes }))).toMatchObject({ unknown: 2, unknownDone: 1, violations: [] });
  });

  it('takes a reader that resumes for good', () => {
    const sightings = [joined(0), saw(1), resumed(1), saw(2), resumed(2), saw(3)];
    expect(check(evidence({ sightings }))).toMatchObject({ reconnects: 2, violations: [] });
  });

  it('counts what a reader did not get, in the middle and at the end', () => {
    const middle = check(evidence({ sightings: [joined(0), saw(1), saw(3)] }));
    expect(middle).toMatchObject({ lost: 1 });
    expect(promises(middle)).toEqual(['every event reaches every reader']);
    expect(check(evidence({ sightings: [joined(0), saw(1)] }))).toMatchObject({ lost: 2 });
  });

  it('counts what a reader got twice', () => {
    const report = check(evidence({ sightings: [joined(0), saw(1), saw(2), resumed(2), saw(2), saw(3)] }));
    expect(report).toMatchObject({ duplicated: 1, lost: 0 });
    expect(promises(report)).toEqual(['no event comes twice']);
  });

  it('sees a wrong order', () => {
    const report = check(evidence({ sightings: [joined(0), saw(1), saw(3), saw(2)] }));
    expect(promises(report)).toEqual(['events come in order']);
  });

  it('expects of an item’s room its own events and no others', () => {
    const events = [entry(1), entry(2, { subject: 'items/b', version: 1 }), entry(3)];
    const items = [
      { id: 'a', version: 3, write: 'write-3' },
      { id: 'b', version: 1, write: 'write-2' },
    ];
    const writes = [wrote(1), wrote(2, { version: 1 }), wrote(3)];
    const own = [joined(0, { room: 'items/a' }), saw(1, {}, 'items/a'), saw(3, {}, 'items/a')];
    expect(promises(check(evidence({ writes, events, items, sightings: own })))).toEqual([]);
    const foreign = [...own, saw(4, { subject: 'items/b' }, 'items/a')];
    expect(promises(check(evidence({ writes, events, items, sightings: foreign })))).toEqual([
      'only what is in the log is delivered',
    ]);
  });

  it('sees what was delivered and is not in the log', () => {
    const report = check(evidence({ sightings: [joined(0), saw(1), saw(2), saw(3), saw(4)] }));
    expect(promises(report)).toEqual(['only what is in the log is delivered']);
  });

  it('sees a number that was given to two events', () => {
    const sightings = [joined(0), saw(1), saw(2, { id: 'other', write: 'other' }), saw(3)];
    expect(promises(check(evidence({ sightings })))).toEqual([
      'an event is delivered as it stands in the log',
    ]);
  });

  it('sees data that changed on the way', () => {
    const sightings = [joined(0), saw(1), saw(2, { digest: 'other' }), saw(3)];
    expect(promises(check(evidence({ sightings })))).toEqual([
      'an event is delivered as it stands in the log',
    ]);
  });

  it('sees an ok write that is not in the log', () => {
    expect(promises(check(evidence({ writes: [wrote(1), wrote(2), wrote(3), wrote(4)] })))).toEqual([
      'an ok write is in the log',
    ]);
  });

  it('sees a write that happened twice', () => {
    const events = [entry(1), entry(2), entry(3, { write: 'write-2' })];
    const report = check(evidence({ events, writes: [wrote(1), wrote(2)], sightings: [] }));
    expect(promises(report)).toContain('a write happens once');
  });

  it('sees an answer that names another position or version', () => {
    const writes = [wrote(1), wrote(2, { seq: 3 }), wrote(3, { version: 9 })];
    expect(promises(check(evidence({ writes })))).toEqual([
      'an answer names the position of its write',
      'an answer names the version of its write',
    ]);
  });

  it('sees a failed write in the log, and one that only a reader saw', () => {
    const inLog = check(evidence({ writes: [wrote(1), wrote(2), wrote(3, { outcome: 'failed' })] }));
    expect(promises(inLog)).toEqual(['nothing of a failed write']);
    const sightings = [joined(0), saw(1), saw(2), saw(3), saw(4, { write: 'doomed' })];
    const writes = [wrote(1), wrote(2), wrote(3), wrote(4, { key: 'doomed', outcome: 'failed' })];
    expect(promises(check(evidence({ writes, sightings })))).toContain('nothing of a failed write');
  });

  it('sees holes in the log, and a head that is not its end', () => {
    const events = [entry(1), entry(3)];
    const sightings = [joined(0), saw(1), saw(3)];
    const writes = [wrote(1), wrote(3)];
    expect(promises(check(evidence({ events, sightings, writes })))).toEqual(['the log has no gaps']);
    expect(promises(check(evidence({ head: 4 })))).toEqual(['the log ends at its head']);
  });

  it('sees records that are not what the log says', () => {
    const wrong = [
      [{ id: 'a', version: 2, write: 'write-3' }],
      [{ id: 'a', version: 3, write: 'other' }],
      [],
    ];
    for (const items of wrong)
      expect(promises(check(evidence({ items })))).toEqual(['records are what the log says']);
    const events = [entry(1), entry(2), entry(3, { type: 'item.deleted' })];
    const items = [{ id: 'a', version: 3, write: 'write-3' }];
    const sightings = [joined(0), saw(1), saw(2), saw(3, { type: 'item.deleted' })];
    expect(promises(check(evidence({ events, items, sightings })))).toEqual([
      'records are what the log says',
    ]);
    expect(promises(check(evidence({ events, items: [], sightings })))).toEqual([]);
  });

  describe('of a membership that ends', () => {
    const removal: Partial<EventEntry> = {
      type: 'member.removed',
      subject: ROOM,
      member: 'reader',
      version: undefined,
      write: undefined,
    };
    const events = [entry(1), entry(2, removal), entry(3)];
    const left: Sighting = { saw: 'left', client: 'c', room: ROOM, code: 'membership_lost' };
    const judged = (...sightings: Sighting[]) =>
      promises(check(evidence({ events, writes: [wrote(1), wrote(3)], sightings })));

    it('expects everything before it and nothing from it on', () => {
      expect(judged(joined(0), saw(1), left)).toEqual([]);
      expect(judged(joined(0), left)).toEqual(['every event reaches every reader']);
      expect(judged(joined(0), saw(1), saw(2, removal), left)).toEqual(['nothing reaches the revoked']);
      expect(judged(joined(0), saw(1), saw(3))).toContain('nothing reaches the revoked');
      expect(judged(joined(0), saw(1), left, saw(3))).toContain('nothing comes after the room was lost');
    });

    it('expects no more than what came of a reader that was away and could not come back', () => {
      expect(judged(joined(0))).toEqual([]);
      expect(judged(joined(0), saw(1))).toEqual([]);
    });
  });

  it('sees a cursor that was not resumed from', () => {
    const refused = resumed(1, { recovered: false, reason: 'epoch_changed' });
    const wrong: Sighting[] = [refused, resumed(2, { after: 'e-1' }), resumed(1, { epoch: 'other' })];
    for (const again of wrong)
      expect(
        promises(check(evidence({ sightings: [joined(0), saw(1), again, saw(2), saw(3)] }))),
      ).toHaveLength(1);
  });

  it('lets a reader skip what is kept no more only where that may happen and it was told', () => {
    const tooOld = resumed(2, { after: 'e-0', recovered: false, reason: 'cursor_too_old' });
    const changes = { first: 3, events: [entry(3)], sightings: [joined(0), tooOld, saw(3)] };
    expect(promises(check(evidence({ ...changes, mayBeTooOld: true })))).toEqual([]);
    expect(promises(check(evidence(changes)))).toEqual(['a retained cursor can be resumed from']);
    const kept = resumed(2, { after: 'e-1', recovered: false, reason: 'cursor_too_old' });
    const sightings = [joined(0), saw(1), kept, saw(3)];
    expect(promises(check(evidence({ sightings, mayBeTooOld: true })))).toEqual([
      'a retained cursor can be resumed from',
    ]);
  });

  it('lets a reader that was put out since what follows is gone begin anew, and counts it', () => {
    const left: Sighting = { saw: 'left', client: 'c', room: ROOM, code: 'cursor_too_old' };
    const changes = { first: 3, events: [entry(3)], mayBeTooOld: true };
    const told = check(evidence({ ...changes, sightings: [joined(0), left, joined(2), saw(3)] }));
    expect(told).toMatchObject({ resyncs: 1, violations: [] });
    const untold = check(evidence({ ...changes, sightings: [joined(0), joined(2), saw(3)] }));
    expect(promises(untold)).toEqual(['a retained cursor can be resumed from']);
    const lost = check(evidence({ ...changes, sightings: [joined(0), left, joined(2)] }));
    expect(promises(lost)).toEqual(['every event reaches every reader']);
  });

  it('sees a gap where events were dropped: another reader had them', () => {
    const other = [joined(0), saw(1), saw(2), saw(3)].map((each) => ({ ...each, client: 'other' }));
    const sightings = [...other, joined(0), saw(1), resumed(1), saw(3)];
    const report = check(evidence({ first: 3, events: [entry(3)], sightings, mayBeTooOld: true }));
    expect(promises(report)).toEqual(['every event reaches every reader']);
  });
});
