import { relative } from 'node:path';
import Sequencer from '@jest/test-sequencer';
import { root } from './native/paths.mjs';

/**
 * Files that take long, mostly because they wait for processes to start, stop or give up. They begin before all
 * others, so that none of them is what a run ends with; the order is that of the time they take on a quiet machine.
 */
const LONGEST = [
  'test/operations/process.e2e-spec.ts',
  'test/database/embedded-server.e2e-spec.ts',
  'test/rooms/event-streams.e2e-spec.ts',
  'test/rooms/slow-readers.e2e-spec.ts',
  'test/rooms/presence.e2e-spec.ts',
  'test/database/migration-commands.e2e-spec.ts',
  'test/items/hostile-lists.e2e-spec.ts',
  'test/items/list-pages.e2e-spec.ts',
  'test/redis/rate-limits.e2e-spec.ts',
  'test/redis/bus.e2e-spec.ts',
  'test/pooler/transaction-pooling.e2e-spec.ts',
  'test/database/read-replica.e2e-spec.ts',
  'test/mfa/passkeys.e2e-spec.ts',
  'test/architecture/import-rules.spec.ts',
  'test/rooms/recovery.e2e-spec.ts',
  'test/items/lost-updates.e2e-spec.ts',
  'test/items/json-patch.e2e-spec.ts',
  'test/oauth/providers.e2e-spec.ts',
];

/** The longest first, the rest in Jest's own order: by what it remembers, or else by size. */
export default class LongestFirst extends Sequencer {
  sort(tests) {
    const place = ({ path }) => LONGEST.indexOf(relative(root, path)) + 1 || LONGEST.length + 1;
    return super.sort(tests).sort((a, b) => place(a) - place(b));
  }
}
