import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** Atrium broken on purpose: the checker has to see it. */
export interface Mutant {
  readonly name: string;
  readonly about: string;
  /** The drill that brings it to light. */
  readonly drill: string;
  readonly seconds: number;
  /** Done to the migrated database before anything is written. */
  readonly arrange?: string;
  /** What is put in the place of what, in the compiled code. */
  readonly changes: readonly { readonly file: string; readonly find: string; readonly put: string }[];
}

/** One sequence per stream, made when it is first needed. */
const NUMBERS = `
  CREATE FUNCTION drill_number(stream uuid) RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE
    name text := 'numbers_' || replace(stream::text, '-', '');
  BEGIN
    IF to_regclass(name) IS NULL THEN
      EXECUTE format('CREATE SEQUENCE %I', name);
    END IF;
    RETURN nextval(name);
  END $$`;

export const mutants: readonly Mutant[] = [
  {
    name: 'no-sweep',
    about: 'heads are never compared: what was not announced is not found',
    drill: 'kill-after-commit',
    seconds: 10,
    changes: [
      {
        file: 'events/stream-tail.js',
        find: 'setInterval(() => void this.sweep(), this.config.streams.sweepMs)',
        put: 'setInterval(() => undefined, this.config.streams.sweepMs)',
      },
    ],
  },
  {
    name: 'announcements-lost',
    about: 'one announcement in twenty counts as handed on and is not',
    drill: 'connections-cut',
    seconds: 4,
    changes: [
      {
        file: 'events/stream-tail.js',
        find: 'this.handOn(stream, group);',
        put: 'if (Math.random() < 0.05) stream.receive(group); else this.handOn(stream, group);',
      },
    ],
  },
  {
    name: 'read-before-subscribe',
    about: 'a reader that has caught up goes live a moment after it has read',
    drill: 'connections-cut',
    seconds: 6,
    changes: [
      {
        file: 'rooms/catch-up.js',
        find: 'room.live.add(subscription);',
        put: 'await new Promise((go) => setTimeout(go, 30)); room.live.add(subscription);',
      },
    ],
  },
  {
    name: 'numbered-by-sequence',
    about: 'events take their numbers from a sequence, as bigserial would, instead of the counter',
    drill: 'kill-in-commit',
    seconds: 20,
    arrange: NUMBERS,
    changes: [
      {
        file: 'events/append.sql.js',
        find: 'a.base + row_number() OVER (PARTITION BY c.stream_id ORDER BY c.n)',
        put: 'drill_number(c.stream_id)',
      },
    ],
  },
  {
    name: 'cursor-off-by-one',
    about: 'a reader resumes one event too late',
    drill: 'connections-cut',
    seconds: 4,
    changes: [
      {
        file: 'rooms/catch-up.js',
        find: '{ position: cursor.seq, recovered: true }',
        put: '{ position: cursor.seq + 1, recovered: true }',
      },
    ],
  },
  {
    name: 'last-event-id-ignored',
    about: 'an event stream that comes back begins anew',
    drill: 'connections-cut',
    seconds: 4,
    changes: [{ file: 'rooms/event-streams.js', find: 'lastEventId || after', put: 'after' }],
  },
  {
    name: 'page-off-by-one',
    about: 'a reader that catches up is sent the last event again',
    drill: 'connections-cut',
    seconds: 6,
    changes: [
      {
        file: 'events/followed-stream.js',
        find: 'this.recent.slice(seq + 1 - oldest)',
        put: 'this.recent.slice(Math.max(0, seq - oldest))',
      },
    ],
  },
  {
    name: 'writes-repeated',
    about: 'a batch whose connection broke is sent again, although it may have been committed',
    drill: 'answers-lost',
    seconds: 10,
    changes: [
      {
        file: 'events/write-combiner.js',
        find: 'if (isRetryable(error) && attempt < MAX_ATTEMPTS)',
        put: 'if (attempt < MAX_ATTEMPTS)',
      },
    ],
  },
  {
    name: 'commits-not-flushed',
    about: 'synchronous_commit is off: what was answered with success may be gone after a crash',
    drill: 'postgres-crash',
    seconds: 10,
    changes: [
      {
        file: 'database/session-options.js',
        find: "'-c TimeZone=UTC -c DateStyle=ISO,YMD'",
        put: "'-c TimeZone=UTC -c DateStyle=ISO,YMD -c synchronous_commit=off'",
      },
    ],
  },
  {
    name: 'laggards-skipped',
    about: 'events that a slow reader had no room for are left out',
    drill: 'client-stopped',
    seconds: 15,
    changes: [
      {
        file: 'rooms/room-hub.js',
        find: 'this.setBack(subscription, event.seq - 1);',
        put: 'continue;',
      },
    ],
  },
  {
    name: 'too-old-untold',
    about: 'who missed what was dropped gets what is kept, as if nothing were missing',
    drill: 'partition-dropped',
    seconds: 1,
    changes: [
      { file: 'rooms/catch-up.js', find: 'if (cursor.seq + 1 < minSeq)', put: 'if (minSeq < 0)' },
      { file: 'events/streams.js', find: 'if (after + 1 < minSeq)', put: 'if (minSeq < 0)' },
    ],
  },
  {
    name: 'removal-unheard',
    about: 'who is removed from a workspace stays in its rooms',
    drill: 'revocation',
    seconds: 1,
    changes: [{ file: 'rooms/room-hub.js', find: "change.kind === 'member-out'", put: 'false' }],
  },
  {
    name: 'leases-judged-by-another-clock',
    about: 'a claim takes leases as expired by a clock that is three seconds ahead',
    drill: 'leases',
    seconds: 5,
    changes: [
      {
        file: 'leases/lease-search.sql.js',
        find: 'l.due_at <= now()',
        put: "l.due_at <= now() + interval '3 seconds'",
      },
    ],
  },
  {
    name: 'claims-without-lock',
    about: 'a claim takes what it has found, whatever became of it meanwhile',
    drill: 'leases',
    seconds: 5,
    changes: ['leases/lease-claim.sql.js', 'leases/lone-claim.sql.js'].map((file) => ({
      file,
      find: 'FOR UPDATE OF l SKIP LOCKED',
      put: '',
    })),
  },
  {
    name: 'writes-without-fence',
    about: 'a write under a lease is done whether or not the lease is held',
    drill: 'leases',
    seconds: 5,
    changes: [
      {
        file: 'items/items.sql.js',
        find: '(t.lease IS NULL OR EXISTS (SELECT FROM leased h WHERE h.n = t.n))',
        put: '(true OR EXISTS (SELECT FROM leased h WHERE h.n = t.n))',
      },
    ],
  },
  {
    name: 'ends-without-expiry',
    about: 'a lease is completed by whoever had it last, however long ago it was over',
    drill: 'leases',
    seconds: 5,
    changes: [
      {
        file: 'leases/lease-changes.sql.js',
        find: "l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM t.principal_id AND l.due_at > clock_timestamp()",
        put: "l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM t.principal_id",
      },
      {
        file: 'leases/lone-end.sql.js',
        find: "l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM $3\n        AND l.due_at > clock_timestamp()",
        put: "l.state = 'leased' AND l.agent_id IS NOT DISTINCT FROM $3",
      },
    ],
  },
];

/** Beside the dependencies, where a build finds them. */
const FOLDER = resolve(import.meta.dirname, '../../node_modules/.cache/atrium-mutants');

/**
 * The compiled files that a mutant changes, as it has them, by their path in `src`.
 * @param main the build's `main.js`
 * @throws when a change does not apply exactly once: the code has moved on, and the mutant must follow
 */
export function mutated({ name, changes }: Mutant, main: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const { file, find, put } of changes) {
    const parts = (files.get(file) ?? readFileSync(join(dirname(main), file), 'utf8')).split(find);
    if (parts.length !== 2)
      throw new Error(`The mutant ${name} does not apply: ${file} has ${parts.length - 1} times ${find}`);
    files.set(file, parts.join(put));
  }
  return files;
}

/**
 * A copy of a build with a mutant's changes.
 * @param main the build's `main.js`
 * @param discard is told of the folder, which is to be removed in the end
 * @returns the copy's `main.js`
 * @throws as {@link mutated}
 */
export function breed(mutant: Mutant, main: string, discard: (folder: string) => void): string {
  const files = mutated(mutant, main);
  const target = join(FOLDER, `${process.pid}-${mutant.name}`);
  discard(target);
  mkdirSync(target, { recursive: true });
  cpSync(dirname(dirname(main)), target, { recursive: true });
  for (const [file, text] of files) writeFileSync(join(target, 'src', file), text);
  return join(target, 'src/main.js');
}
