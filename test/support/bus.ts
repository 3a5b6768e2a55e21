import { Bus } from '../../src/bus/bus.js';
import type { Instance } from './app.js';
import { until } from './until.js';

/** Waits until every instance hears the bus and knows of all the others. */
export async function untilOnBus(...instances: readonly Instance[]): Promise<void> {
  await until('the instances know of each other', () =>
    instances.every(({ nest }) => {
      const bus = nest.get(Bus);
      return bus.isUp && bus.peerCount >= instances.length - 1;
    }),
  );
}
