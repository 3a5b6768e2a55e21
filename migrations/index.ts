import { Backbone1763827200000 } from './1763827200000-backbone.js';

/** Every migration, in order. */
export const migrations = [Backbone1763827200000];
