import { Observation } from '../common/observation.js';

/** Told of each statement that carried writes of many callers. */
export const writesCombined = new Observation<{
  /** The statement's name. */
  readonly statement: string;
  /** How many writes it carried. */
  readonly size: number;
}>('atrium.writes.combined');

/** Told when events of a followed stream were handed on, to whoever is in its rooms here. */
export const eventsHandedOn = new Observation<{
  /** When the newest of them was written, by the database's clock, in milliseconds since the Unix epoch. */
  readonly writtenAt: number;
}>('atrium.events.handed-on');

/** Told when a read was about to be done by the replica: that it was, or why not. */
export const replicaAsked = new Observation<{
  readonly outcome: 'used' | 'behind' | 'away';
}>('atrium.replica.asked');
