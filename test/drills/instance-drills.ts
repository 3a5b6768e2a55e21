import type { Client } from 'pg';
import { until } from '../support/until.js';
import type { Arena } from './arena.js';
import type { Drill } from './drill.js';
import type { Instance } from './instance.js';

/** Half of an advisory lock that stands for "the disk is slow": commits wait while it is held. */
const HOLD = 7_201_079;

/** A deferred constraint trigger runs at COMMIT: a writer that waits in it is in the middle of its commit. */
const HOLD_COMMITS = `
  CREATE FUNCTION drill_hold() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    PERFORM pg_advisory_xact_lock_shared(${HOLD});
    RETURN NULL;
  END $$;
  CREATE CONSTRAINT TRIGGER drill_hold AFTER UPDATE ON streams
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION drill_hold()`;

/** Whether a session of the instance waits for a lock of this kind at this moment. */
const WAITS = `SELECT pid FROM pg_stat_activity WHERE client_port = ANY($1::int[]) AND wait_event_type = 'Lock'
  AND (wait_event = 'advisory') = $2`;

const TERMINATE = 'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE client_port = ANY($1::int[])';

/**
 * Kills an instance while writes of it wait for a lock that the drill holds, and lets them go on without it or ends
 * their sessions. Nobody else writes until everything has arrived: no later write can give away an earlier one.
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
    await until(
      'writes wait',
      async () => (await arena.ask(WAITS, [ports, inCommit])).length > 0,
      3_000,
    ).catch(() => arena.note('no write waited in time'));
    await victim.kill();
    if (rollsBack) await arena.ask(TERMINATE, [ports]);
    await hold.release(client);
  } finally {
    await client.end();
  }
  arena.struck(`killed ${victim.name}, its transactions ${rollsBack ? 'were rolled back' : 'went on'}`);
  await rebuild(arena, victim);
}

/** Everything must arrive without another write; then it goes on. */
async function rebuild(arena: Arena, victim: Instance): Promise<void> {
  await arena.settle();
  await victim.start();
  arena.writers.resume();
  await arena.wait(300, 900);
}

export const instanceDrills: Drill[] = [
  {
    name: 'kill-before-commit',
    about: 'kill -9 of an instance whose writes wait for the counter of a stream',
    seconds: 20,
    async run(arena) {
      while (arena.goesOn)
        await killWhileItWaits(
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
    },
  },
  {
    name: 'kill-in-commit',
    about: 'kill -9 of an instance whose writes are in the middle of their COMMIT',
    seconds: 20,
    options: { arrange: HOLD_COMMITS },
    async run(arena) {
      while (arena.goesOn)
        await killWhileItWaits(
          arena,
          {
            take: (client) => client.query('SELECT pg_advisory_lock($1)', [HOLD]),
            release: (client) => client.query('SELECT pg_advisory_unlock($1)', [HOLD]),
          },
          true,
        );
    },
  },
  {
    name: 'kill-after-commit',
    about: 'kill -9 of an instance whose write is committed, before it knows: no answer, no wake-up',
    seconds: 20,
    async run(arena) {
      while (arena.goesOn) {
        const victim = arena.random.pick(arena.instances);
        await arena.writers.pause((instance) => instance !== victim);
        const heads = () => arena.ask<{ heads: string }>('SELECT sum(head) AS heads FROM streams');
        victim.database.holdAnswers();
        const [before] = await heads();
        await until(
          'a write is committed',
          async () => (await heads())[0]?.heads !== before?.heads,
          3_000,
        ).catch(() => arena.note('no write was committed in time'));
        await victim.kill();
        victim.database.release();
        arena.struck(`killed ${victim.name} after commits that it never heard of`);
        await rebuild(arena, victim);
      }
    },
  },
  {
    name: 'kill-at-random',
    about: 'kill -9 of an instance at any moment, under full load',
    seconds: 20,
    options: { instances: 3, writesPerSecond: 200 },
    async run(arena) {
      while (arena.goesOn) {
        const victim = arena.random.pick(arena.instances);
        await arena.wait(200, 1_500);
        await victim.kill();
        arena.struck(`killed ${victim.name}`);
        await arena.wait(0, 1_000);
        await victim.start();
      }
      await arena.settle();
    },
  },
  {
    name: 'rolling-restart',
    about: 'SIGTERM to each instance in turn, which drains and starts again',
    seconds: 20,
    options: { writesPerSecond: 200 },
    async run(arena) {
      while (arena.goesOn)
        for (const instance of arena.instances) {
          await arena.wait(200, 800);
          const code = await instance.terminate();
          arena.struck(`${instance.name} ended with ${code}`);
          if (code !== 0)
            throw new Error(`${instance.name} ended with ${code}: ${instance.output.slice(-2_000)}`);
          await instance.start();
        }
      await arena.settle();
    },
  },
];
