import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { root } from '../support/native/paths.mjs';

/** What lasts as long as a session does: through a pooler in transaction mode it is lost, or somebody else's. */
const KEPT_IN_A_SESSION =
  /\bpg_(try_)?advisory_(lock|unlock)|\bLISTEN [$a-z]|\bSET (SESSION |(?!LOCAL\b)[a-z_]+ (=|TO) ?['"\w]+;)|\bWITH HOLD\b|\bCREATE (LOCAL )?TEMP|\bPREPARE [a-z]|\bset_config\([^)]*false\)/;

/** These have sessions of their own, past every pooler, or do without them where there is one. */
const HAVE_THEIR_OWN = [
  'src/bus/postgres-driver.ts',
  'src/cli/doctor.ts',
  'src/database/embedded.ts',
  'src/database/migrator.ts',
];

describe('What is asked of the database', () => {
  it('lasts for a transaction and no longer, but for what has a session of its own', () => {
    const found = globSync('src/**/*.ts', { cwd: root }).filter(
      (file) => !file.endsWith('.spec.ts') && KEPT_IN_A_SESSION.test(readFileSync(join(root, file), 'utf8')),
    );
    expect(found.toSorted()).toEqual(HAVE_THEIR_OWN);
  });
});
