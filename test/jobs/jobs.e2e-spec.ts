import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { PgBoss } from 'pg-boss';
import type { Jobs } from '../../src/jobs/jobs.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { type JobsInstance, startJobs } from '../support/jobs.js';
import { until } from '../support/until.js';

let database: TestDatabase;
let client: Client;
let running: JobsInstance[] = [];
beforeAll(async () => {
  database = await createTestDatabase();
  client = new Client({ connectionString: database.url });
  await client.connect();
});
afterEach(async () => {
  await Promise.all(running.map((instance) => instance.stop()));
  running = [];
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

async function start(register: (jobs: Jobs) => void): Promise<JobsInstance> {
  const instance = await startJobs(database.url, register);
  running.push(instance);
  return instance;
}

/** As if so long a time had passed for the queue, since its instance was heard of and since somebody looked. */
async function passTime(name: string): Promise<void> {
  await client.query(
    `UPDATE jobs.job SET heartbeat_on = heartbeat_on - interval '1 hour', start_after = start_after - interval '1 hour'
     WHERE name = $1 AND state IN ('retry', 'active')`,
    [name],
  );
  await client.query(`UPDATE jobs.queue SET monitor_on = NULL, monitor_claim_on = now() - interval '1 hour'`);
}

const states = async (name: string) =>
  (await client.query<{ state: string }>(`SELECT state FROM jobs.job WHERE name = $1`, [name])).rows.map(
    ({ state }) => state,
  );

describe('A job', () => {
  it('is done by one of the instances, which is told of it by another', async () => {
    const done: string[] = [];
    for (const who of ['first', 'second'])
      await start((jobs) =>
        jobs.handle<{ name: string }>('test.once', {}, ({ data }) => {
          done.push(`${data.name} by ${who}`);
          return Promise.resolve('done');
        }),
      );
    for (const name of ['a', 'b', 'c', 'd']) await running[0].jobs.enqueue('test.once', { name });
    await until('all are done', async () => (await states('test.once')).every((s) => s === 'completed'));
    expect(done.map((line) => line[0]).sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  it('belongs to the transaction that enqueued it: none after a rollback, done at once after the commit', async () => {
    const done: string[] = [];
    const { jobs, module } = await start((jobs) =>
      jobs.handle<{ name: string }>('test.transaction', {}, ({ data }) => {
        done.push(data.name);
        return Promise.resolve('done');
      }),
    );
    const enqueue = (name: string, fails: boolean) =>
      module.get(DataSource).transaction(async (manager) => {
        await jobs.enqueue('test.transaction', { name }, { manager });
        if (fails) throw new Error('rolled back');
      });
    await expect(enqueue('never', true)).rejects.toThrow('rolled back');
    await enqueue('once', false);
    await until('it is done', () => done.length > 0);
    expect(done).toEqual(['once']);
    expect(await states('test.transaction')).toHaveLength(1);
  });

  it('waits once per key where that is asked for, and runs once more if it is enqueued while it runs', async () => {
    const runs: string[] = [];
    let release: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const { jobs } = await start((jobs) =>
      jobs.handle<{ name: string }>('test.single', { single: true, concurrency: 3 }, async ({ data }) => {
        runs.push(data.name);
        await held;
        return 'done';
      }),
    );
    const enqueue = (name: string, key: string) => jobs.enqueue('test.single', { name }, { key });
    expect(await enqueue('one', 'a')).toBe(true);
    await until('it runs', () => runs.length === 1);
    expect([await enqueue('two', 'a'), await enqueue('three', 'a'), await enqueue('four', 'b')]).toEqual([
      true,
      false,
      true,
    ]);
    await until('the other key runs beside it', () => runs.includes('four'));
    expect(runs).toEqual(['one', 'four']);
    release();
    await until('all are done', async () => (await states('test.single')).every((s) => s === 'completed'));
    expect(runs).toEqual(['one', 'four', 'two']);
  });

  it('that says there is more is run again, without an attempt being counted', async () => {
    const attempts: number[] = [];
    const { jobs } = await start((jobs) =>
      jobs.handle('test.again', { single: true, retries: 0 }, ({ attempt }) => {
        attempts.push(attempt);
        return Promise.resolve(attempts.length < 3 ? 'again' : 'done');
      }),
    );
    await jobs.enqueue('test.again', {}, { key: 'k' });
    await until('three runs', () => attempts.length === 3);
    expect(attempts).toEqual([1, 1, 1]);
  });

  it('that fails is tried again later, a bounded number of times, then kept and its feature told', async () => {
    const attempts: number[] = [];
    const givenUp: object[] = [];
    const { jobs } = await start((jobs) =>
      jobs.handle(
        'test.failing',
        { retries: 2, onGivenUp: (data) => Promise.resolve(void givenUp.push(data)) },
        ({ attempt }) => {
          attempts.push(attempt);
          return Promise.reject(new Error('no luck'));
        },
      ),
    );
    await jobs.enqueue('test.failing', { name: 'x' });
    await until('it is given up', async () => {
      await passTime('test.failing');
      await jobs.sweep();
      return givenUp.length > 0;
    });
    expect(attempts).toEqual([1, 2, 3]);
    expect(givenUp).toEqual([{ name: 'x' }]);
    const { rows } = await client.query<{ state: string; output: { message: string } }>(
      `SELECT state, output FROM jobs.job WHERE name = 'test.failing'`,
    );
    expect(rows).toMatchObject([{ state: 'failed', output: { message: 'no luck' } }]);
  });
});

describe('A schedule', () => {
  it('is kept once, however many instances know of it, and changes with the program', async () => {
    const register = (cron: string) => (jobs: Jobs) => {
      jobs.handle('test.scheduled', { single: true }, () => Promise.resolve('done'));
      jobs.schedule('test.scheduled', cron);
    };
    const plans = async () =>
      (await client.query<object>(`SELECT name, cron FROM jobs.schedule WHERE name = 'test.scheduled'`)).rows;
    await start(register('0 3 * * *'));
    await start(register('0 3 * * *'));
    expect(await plans()).toEqual([{ name: 'test.scheduled', cron: '0 3 * * *' }]);
    await start(register('* * * * *'));
    expect(await plans()).toEqual([{ name: 'test.scheduled', cron: '* * * * *' }]);
  });
});

describe('An instance that stops', () => {
  it('hands back what does not end by itself, and another does it at once', async () => {
    const runs: string[] = [];
    const register = (who: string) => (jobs: Jobs) =>
      jobs.handle('test.handed-back', {}, async ({ signal, attempt }) => {
        runs.push(`${who} ${attempt}`);
        if (who === 'second') return 'done';
        await once(signal, 'abort');
        throw new Error('broken off');
      });
    const first = await start(register('first'));
    await first.jobs.enqueue('test.handed-back', {});
    await until('it runs', () => runs.length === 1);
    await first.stop();
    await start(register('second'));
    await until('the other has it', () => runs.length === 2);
    expect(runs).toEqual(['first 1', 'second 1']);
  });
});

describe('An instance that is killed with -9', () => {
  it('loses its job to another one, which finishes it', async () => {
    const worker = fork(compiledPath(join(root, 'test/support/job-worker.ts')), [database.url], {
      execArgv: ['--no-warnings'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    const said: unknown[] = [];
    worker.on('message', (message) => said.push(message));
    try {
      await until('it is ready', () => said.includes('ready'));
      const done: string[] = [];
      const { jobs } = await start((jobs) =>
        jobs.handle<{ name: string }>('test.slow', { concurrency: 1 }, ({ data, attempt }) => {
          done.push(`${data.name} ${attempt}`);
          return Promise.resolve('done');
        }),
      );
      // Whichever begins; what this instance takes is done at once.
      for (let i = 0; !said.includes(`job ${i - 1}`); i++) {
        await jobs.enqueue('test.slow', { name: `job ${i}` });
        await until('somebody has it', () => said.includes(`job ${i}`) || done.includes(`job ${i} 1`));
      }
      const name = String(said.at(-1));
      worker.kill('SIGKILL');
      await once(worker, 'exit');
      await until('the other has finished it', async () => {
        await passTime('test.slow');
        await jobs.sweep();
        return done.includes(`${name} 2`);
      });
      expect(done.filter((line) => line.startsWith(`${name} `))).toEqual([`${name} 2`]);
    } finally {
      worker.kill('SIGKILL');
    }
  });
});

describe('The schema of the queue', () => {
  it('is what the library in use expects', async () => {
    const boss = new PgBoss({
      db: { executeSql: (text, values) => client.query<object>(text, values) },
      schema: 'jobs',
      migrate: false,
    });
    const { ok, ...drift } = await boss.detectSchemaDrift();
    expect({ ok, drift: ok ? {} : drift }).toEqual({ ok: true, drift: {} });
  });
});
