import { until } from '../support/until.js';
import type { Fault } from './drill.js';

/** Every session of Atrium, the bus's as well. */
const TERMINATE_ALL = `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
  WHERE datname = current_database() AND application_name LIKE 'atrium%'`;

/** Crashes PostgreSQL, leaves it down for a moment, and starts it again. */
export const crashDatabase: Fault = async (arena) => {
  await arena.wait(300, 1_500);
  await arena.ground.crash();
  arena.struck('PostgreSQL was stopped with -m immediate');
  await arena.wait(0, 1_500);
  await arena.ground.recover();
  await arena.wait(500, 1_500);
  await arena.settle();
  arena.writers.resume();
};

export const terminateBackends: Fault = async (arena) => {
  await arena.wait(100, 1_000);
  const [row] = await arena.ask<{ count: string }>(TERMINATE_ALL);
  arena.struck(`ended ${row?.count} sessions`);
};

/** Writes are done, their answers are lost together with the connections, and the instance lives on. */
export const loseAnswers: Fault = async (arena) => {
  const victim = arena.random.pick(arena.instances);
  const heads = async () => (await arena.ask<{ sum: string }>('SELECT sum(head) FROM streams'))[0]?.sum;
  await arena.writers.pause();
  victim.database.holdAnswers();
  const before = await heads();
  arena.writers.resume((instance) => instance === victim);
  await until('a write is committed', async () => (await heads()) !== before, 3_000).catch(() =>
    arena.note('no write was committed in time'),
  );
  arena.struck(`cut ${victim.database.cut()} connections of ${victim.name} whose answers were on their way`);
  victim.database.release();
  await arena.settle();
  arena.writers.resume();
  await arena.wait(300, 900);
};

/** What an instance sends to the database, and waits for, leads nowhere, and nobody tells it. */
export const strandDatabase: Fault = async (arena) => {
  const victim = arena.random.pick(arena.instances);
  await arena.wait(300, 1_500);
  arena.struck(`${victim.database.strand()} connections of ${victim.name} to the database are half open`);
  await arena.settle();
  arena.writers.resume();
  await arena.wait(300, 1_500);
};

/** Somebody writes elsewhere in the database and does not commit for as long as the drill goes on. */
export const holdTransaction: Fault = async (arena) => {
  await arena.ask('CREATE TABLE IF NOT EXISTS drill_elsewhere (n int)');
  const client = await arena.ground.connect(arena.database);
  const started = performance.now();
  try {
    await client.query('BEGIN');
    await client.query('INSERT INTO drill_elsewhere VALUES (1)');
    arena.struck('a transaction has written elsewhere and stays open');
    while (arena.goesOn) {
      await arena.wait(1_000, 3_000);
      for (const { front } of arena.instances) front.cut();
      await arena.settle();
      arena.writers.resume();
    }
    await client.query('COMMIT');
  } finally {
    await client.end();
  }
  arena.note(`it was open for ${Math.round((performance.now() - started) / 1_000)} s`);
};
