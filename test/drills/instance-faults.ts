import type { Client } from 'pg';
import { until } from '../support/until.js';
import type { Arena } from './arena.js';
import type { Fault } from './drill.js';
import type { Instance } from './instance.js';

/** An advisory lock that stands for a slow disk: commits wait while somebody holds it. */
const HOLD = 7_201_079;

/** A deferred constraint trigger runs at COMMIT: a writer that waits in it is in the middle of its commit. */
export const HOLD_COMMITS = `
  CREATE FUNCTION drill_hold() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(${HOLD});
    RETURN NULL;
  END $$;
  CREATE CONSTRAINT TRIGGER drill_hold AFTER UPDATE ON streams
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION drill_hold()`;

/** Sessions of an instance that wait for a lock at this moment, for an advisory one or for another. */
const WAITS = `SELECT pid FROM pg_stat_activity WHERE client_port = ANY($1::int[]) AND wait_event_type = 'Lock'
  AND (wait_event = 'advisory') = $2`;

const TERMINATE = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1::int[])';

const WAIT_MS = 3_000;

/**
 * Kills an instance while writes of it wait for a lock that the drill holds, and lets their sessions go on without
 * it, or ends them. Nobody else writes until everything has arrived.
 */
async function killWhileItWaits(
  arena: Arena,
  hold: { take(client: Client): Promise<unknown>; release(client: Client): Promise<unknown> },
  inCommit: boolean,
): Promise<void> {
  const victim = arena.random.pick(arena.instances);
  const rollsBack = arena.random.next() < 0.5;
  await arena.writers.pause((instance) => instance !== victim);
  const client = await arena.ground.connect(arena.database);
  try {
    await hold.take(client);
    const { ports } = victim.database;
    const waits = async () => (await arena.ask(WAITS, [ports, inCommit])).length > 0;
    await until('writes wait', waits, WAIT_MS).catch(() => arena.note('no write waited in time'));
    await victim.kill();
    if (rollsBack) await arena.ask(TERMINATE, [ports]);
    await hold.release(client);
  } finally {
    await client.end();
  }
  const how = inCommit ? 'in' : 'before';
  arena.struck(`killed ${victim.name} ${how} commits, which ${rollsBack ? 'were rolled back' : 'went on'}`);
  await rebuild(arena, victim);
}

/** Everything must arrive without another write and without the instance; then it goes on. */
async function rebuild(arena: Arena, victim: Instance): Promise<void> {
  await arena.settle();
  await victim.start();
  arena.writers.resume();
  await arena.wait(300, 900);
}

export const killBeforeCommit: Fault = (arena) =>
  killWhileItWaits(
    arena,
    {
      async take(client) {
        await client.query('BEGIN');
        await client.query('SELECT FROM streams ORDER BY id FOR UPDATE');
      },
      release: (client) => client.query('ROLLBACK'),
    },
    false,
  );

/** Needs {@link HOLD_COMMITS}. */
export const killInCommit: Fault = (arena) =>
  killWhileItWaits(
    arena,
    {
      take: (client) => client.query('SELECT pg_advisory_lock($1)', [HOLD]),
      release: (client) => client.query('SELECT pg_advisory_unlock($1)', [HOLD]),
    },
    true,
  );

/** The instance's writes are done, the database's answers do not come through to it: then it is killed. */
export const killAfterCommit: Fault = async (arena) => {
  const victim = arena.random.pick(arena.instances);
  await arena.writers.pause();
  const heads = async () => (await arena.ask<{ sum: string }>('SELECT sum(head) FROM streams'))[0]?.sum;
  victim.database.holdAnswers();
  const before = await heads();
  arena.writers.resume((instance) => instance === victim);
  await until('a write is committed', async () => (await heads()) !== before, WAIT_MS).catch(() =>
    arena.note('no write was committed in time'),
  );
  await victim.kill();
  victim.database.release();
  arena.struck(`killed ${victim.name} after commits that it never heard of`);
  await rebuild(arena, victim);
};

export const killAtRandom: Fault = async (arena) => {
  const victim = arena.random.pick(arena.instances);
  await arena.wait(200, 1_500);
  await victim.kill();
  arena.struck(`killed ${victim.name}`);
  await arena.wait(0, 1_000);
  await victim.start();
};

export const restartEach: Fault = async (arena) => {
  for (const instance of arena.instances) {
    await arena.wait(200, 800);
    const code = await instance.terminate();
    if (code !== 0) throw new Error(`${instance.name} ended with ${code}`);
    arena.struck(`${instance.name} has drained`);
    await instance.start();
  }
};
