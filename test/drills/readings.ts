import type { Evidence } from './checker.js';
import type { EventEntry, Sighting, TableStream } from './records.js';

/** Told of each promise that was broken. */
export type Broken = (promise: string, evidence: string) => void;

export const WORKSPACES = 'workspaces/';

/** One reader's view of one room: where it began, what came, and how it ended. */
export interface Reading {
  readonly client: string;
  readonly principal: string;
  readonly room: string;
  readonly epoch: string;
  readonly start: number;
  /** Ranges of which it was told that they are gone: after the first, up to the second. */
  readonly skipped: { readonly after: number; readonly upTo: number }[];
  readonly events: EventEntry[];
  membershipLost: boolean;
  /** Put out because what comes after this position is gone, until it joins again. */
  goneAfter: number | undefined;
}

/** What each reader saw of each room, over all its connections. */
export function collectReadings({ sightings, mayBeTooOld }: Evidence, broken: Broken): Reading[] {
  const readings = new Map<string, Reading>();
  for (const sighting of sightings) {
    if (sighting.saw === 'closed' || sighting.saw === 'refused') continue;
    const name = `${sighting.client} in ${sighting.room}`;
    const reading = readings.get(name);
    if (sighting.saw === 'joined') {
      if (!reading) readings.set(name, newReading(sighting));
      else resume(reading, sighting, { mayBeTooOld: mayBeTooOld ?? false, broken });
    } else if (!reading) {
      broken('nothing comes before joined', `${name}: ${JSON.stringify(sighting)}`);
    } else if (sighting.saw === 'left') {
      reading.membershipLost ||= sighting.code === 'membership_lost';
      if (sighting.code === 'cursor_too_old') reading.goneAfter = positionOf(reading);
    } else {
      if (reading.membershipLost)
        broken('nothing comes after the room was lost', `${name}: ${describe(sighting)}`);
      if (sighting.epoch !== reading.epoch)
        broken('the history stays the same', `${name}: ${sighting.epoch} after ${reading.epoch}`);
      reading.events.push(sighting);
    }
  }
  return [...readings.values()];
}

type Joining = Extract<Sighting, { saw: 'joined' }>;

const newReading = ({ client, principal, room, epoch, seq }: Joining): Reading => ({
  client,
  principal,
  room,
  epoch,
  start: seq,
  skipped: [],
  events: [],
  membershipLost: false,
  goneAfter: undefined,
});

/** How far it is as far as it knows. */
const positionOf = ({ start, skipped, events }: Reading): number =>
  Math.max(start, skipped.at(-1)?.upTo ?? 0, events.at(-1)?.seq ?? 0);

function resume(
  reading: Reading,
  joined: Joining,
  { mayBeTooOld, broken }: { readonly mayBeTooOld: boolean; readonly broken: Broken },
): void {
  const name = `${reading.client} in ${reading.room}`;
  const asked = Number(joined.after?.split('-')[1] ?? NaN);
  const { goneAfter } = reading;
  reading.goneAfter = undefined;
  if (joined.recovered) {
    if (`${joined.epoch}-${joined.seq}` !== joined.after)
      broken('a reader resumes where it asked to', `${name}: ${joined.seq} instead of ${joined.after}`);
  } else if (mayBeTooOld && joined.reason === 'cursor_too_old' && joined.seq >= asked) {
    reading.skipped.push({ after: asked, upTo: joined.seq });
  } else if (mayBeTooOld && goneAfter !== undefined && !joined.after && joined.seq >= goneAfter) {
    reading.skipped.push({ after: goneAfter, upTo: joined.seq });
  } else {
    broken('a retained cursor can be resumed from', `${name}: ${joined.reason} for ${joined.after}`);
  }
}

/** Where a room's events stand. */
export function streamOf(reading: Reading, streams: readonly TableStream[]): TableStream | undefined {
  const { room } = reading;
  if (room.startsWith(WORKSPACES)) return streams.find(({ id }) => room === `${WORKSPACES}${id}`);
  return streams.find(({ events }) => events.some(({ subject }) => subject === room));
}

/** The streams with what is kept no more, as far as readers of a workspace were given it: others are due the same. */
export const withDropped = (streams: readonly TableStream[], readings: readonly Reading[]): TableStream[] =>
  streams.map((stream) => {
    const seen = readings
      .filter(({ room }) => room === `${WORKSPACES}${stream.id}`)
      .flatMap(({ events }) => events.filter(({ seq }) => seq < stream.first));
    const dropped = [...new Map(seen.map((event) => [event.seq, event])).values()];
    return { ...stream, events: [...dropped.sort((a, b) => a.seq - b.seq), ...stream.events] };
  });

export function describe(event: EventEntry | undefined): string {
  if (!event) return 'nothing';
  const { seq, id, type, subject, write, version } = event;
  return `seq ${seq} ${type} ${id} of ${subject}${version === undefined ? '' : ` version ${version}`} by ${write ?? 'nobody'}`;
}
