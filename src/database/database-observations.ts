import { Observation } from '../common/observation.js';

/** Told when somebody was answered that the database has no time for it; nothing was sent. */
export const databaseRefused = new Observation<{
  /** The way to the database: a pool, the pipelined `statements`, or the combined `writes`. */
  readonly way: 'transactions' | 'reads' | 'statements' | 'writes';
}>('atrium.database.refused');
