import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { Client } from 'pg';
import { DataSource } from 'typeorm';
import { Transactions } from '../../src/database/transactions.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { type Answer, http, type ProblemAnswer } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium({ DATABASE_POOL_SIZE: '2', DATABASE_STATEMENT_TIMEOUT_MS: '15000' });
  ada = await registerUser(app);
});
afterAll(() => app.stop());

function expectComeAgain({ status, headers, body }: Answer<ProblemAnswer>): void {
  expect([status, body.code]).toEqual([503, 'unavailable']);
  expect(headers.get('retry-after')).toMatch(/^\d+$/);
}

/** Locks a table against everybody. */
async function hold(table: 'items' | 'workspaces'): Promise<{ release: () => Promise<void> }> {
  const client = new Client({ connectionString: app.databaseUrl });
  await client.connect();
  const lock = { items: 'LOCK TABLE items IN ACCESS EXCLUSIVE MODE', workspaces: 'LOCK TABLE workspaces' };
  await client.query('BEGIN');
  await client.query(lock[table]);
  return { release: () => client.end() };
}

describe('An event loop that does not keep up', () => {
  it('answers 503 early to all but probes, says so once, and recovers by itself', async () => {
    const warn = jest.spyOn(Logger.prototype, 'warn').mockReturnValue();
    const error = jest.spyOn(Logger.prototype, 'error').mockReturnValue();
    const busy = await app.startSecondInstance({ OVERLOAD_DELAY_MS: '20' });
    let isBusy = true;
    const work = (): void => {
      const end = performance.now() + 150;
      while (performance.now() < end);
      if (isBusy) setTimeout(work, 1);
    };
    work();
    const me = () => http(busy, ada.token).get('/v1/me');
    const refused = await until('a refusal', async () => {
      const answer = await me();
      return answer.status === 503 && answer;
    });
    expectComeAgain(refused);
    expectComeAgain(await me());
    expect((await http(busy).get('/health/live')).status).toBe(200);
    isBusy = false;
    await until('an answer again', async () => (await me()).status === 200);
    await busy.stop();
    const said = warn.mock.calls.map(([line]) => String(line));
    expect(said).toEqual([expect.stringMatching(/^Cannot keep up with the requests: .*answered 503$/)]);
    expect(error).not.toHaveBeenCalled();
    warn.mockRestore();
    error.mockRestore();
  });
});

describe('While the database is busy', () => {
  it('what waits for a connection that nobody lets go is answered 503, what comes then at once, until one is', async () => {
    const operations = [{ op: 'create', item: { title: 'x', type: 'x', data: {} } }];
    const write = () => ada.http.post('/v1/items/batch', { operations });
    const holders = Array.from({ length: 2 }, () => app.nest.get(DataSource).createQueryRunner());
    for (const holder of holders) await holder.connect();
    expectComeAgain(await write());
    // From here on nobody waits.
    let mostWaiting = 0;
    const refused = Promise.all(Array.from({ length: 10 }, write));
    await until('all are answered', () => {
      mostWaiting = Math.max(mostWaiting, app.nest.get(Transactions).use.waiting);
      return Promise.race([refused, setImmediate(false)]);
    });
    (await refused).forEach(expectComeAgain);
    expect(mostWaiting).toBe(0);
    await holders[0].release();
    expect((await write()).status).toBe(200);
    await holders[1].release();
  });

  it('a burst of more than there are connections for is served', async () => {
    const operations = [{ op: 'create', item: { title: 'x', type: 'x', data: {} } }];
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => ada.http.post('/v1/items/batch', { operations })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });

  it('what waits for a lock for too long is broken off and answered 503, not 500', async () => {
    const { id } = await createItem(ada);
    const impatient: Instance = await app.startSecondInstance({ DATABASE_STATEMENT_TIMEOUT_MS: '400' });
    const lock = await hold('items');
    const client = http(impatient, ada.token);
    expectComeAgain(await client.post('/v1/items', { title: 'x', type: 'x', data: {} }));
    expectComeAgain(await client.get(`/v1/items/${id}`));
    // Waiting is no fault of the list.
    expectComeAgain(await client.get('/v1/items?filter[type]=x'));
    await lock.release();
    expect((await client.post('/v1/items', { title: 'x', type: 'x', data: {} })).status).toBe(201);
    await impatient.stop();
  });

  it('while it answers nothing at all, further statements are refused at once, until it does', async () => {
    const { id } = await createItem(ada);
    const lock = await hold('items');
    const answers: Answer<ProblemAnswer>[] = [];
    const reads: Promise<unknown>[] = [];
    const read = () => ada.http.get(`/v1/items/${id}`).then((answer) => answers.push(answer));
    const refused = await until('a refusal', () => {
      reads.push(read());
      return answers[0];
    });
    expectComeAgain(refused);
    await lock.release();
    await Promise.all(reads);
    const waited = answers.filter(({ status }) => status !== 503);
    expect(new Set(waited.map(({ status }) => status))).toEqual(new Set([200]));
    await until('reads again', async () => (await ada.http.get(`/v1/items/${id}`)).status === 200);
  });
});
