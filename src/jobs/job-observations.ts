import { Observation } from '../common/observation.js';

/** Told when a job has run at this instance, however it went. */
export const jobRan = new Observation<{
  readonly queue: string;
  readonly outcome: 'done' | 'again' | 'failed';
  readonly durationMs: number;
}>('atrium.job.ran');

/** Told when a job has failed as often as it may, by the instance that takes note of it. */
export const jobGivenUp = new Observation<{ readonly queue: string }>('atrium.job.given-up');
