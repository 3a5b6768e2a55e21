import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource, type EntityManager } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { isConnectionLoss, isUniqueViolation } from '../../src/database/errors.js';
import { Transactions } from '../../src/database/transactions.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { ask } from '../support/database-embedded.js';
import { until } from '../support/until.js';

describe('transactions', () => {
  let database: TestDatabase;
  let dataSource: DataSource;
  let transactions: Transactions;

  beforeAll(async () => {
    database = await createTestDatabase({ empty: true });
    const settings = { url: database.url, poolSize: 4, statementTimeoutMs: 10_000 };
    dataSource = await new DataSource(dataSourceOptions(settings)).initialize();
    transactions = new Transactions(dataSource);
    await ask(database.url, 'CREATE TABLE accounts (id int PRIMARY KEY, balance int NOT NULL)');
  });

  beforeEach(() => ask(database.url, 'TRUNCATE accounts'));

  afterAll(async () => {
    await dataSource.destroy();
    await database.drop();
  });

  const balances = () =>
    ask<{ id: number; balance: number }>(database.url, 'SELECT * FROM accounts ORDER BY id');
  const add = (manager: EntityManager, id: number) =>
    manager.query('UPDATE accounts SET balance = balance + 1 WHERE id = $1', [id]);

  const idle = () =>
    ask(
      database.url,
      `SELECT FROM pg_stat_activity WHERE datname = current_database() AND state = 'idle in transaction'`,
    );

  it('keep both writers who deadlock', async () => {
    await ask(database.url, 'INSERT INTO accounts VALUES (1, 0), (2, 0)');
    let bothHoldOne: () => void;
    const meet = new Promise<void>((resolve) => (bothHoldOne = resolve));
    let attempts = 0;
    const crossing = (first: number, second: number) =>
      transactions.run(async (manager) => {
        await add(manager, first);
        if (++attempts === 2) bothHoldOne();
        await meet;
        await add(manager, second);
      });
    await Promise.all([crossing(1, 2), crossing(2, 1)]);
    expect(attempts).toBe(3);
    expect(await balances()).toEqual([
      { id: 1, balance: 2 },
      { id: 2, balance: 2 },
    ]);
  });

  it('roll back and do not run again what failed for any other reason', async () => {
    let attempts = 0;
    const failing = transactions.run(async (manager) => {
      attempts++;
      await manager.query('INSERT INTO accounts VALUES (1, 0)');
      await manager.query('INSERT INTO accounts VALUES (1, 0)');
    });
    const error: unknown = await failing.catch((reason: unknown) => reason);
    expect(isUniqueViolation(error, 'accounts_pkey')).toBe(true);
    expect(attempts).toBe(1);
    expect(await balances()).toEqual([]);
  });

  it('give up after five attempts, with the error that PostgreSQL gave', async () => {
    let attempts = 0;
    const doomed = transactions.run(async (manager) => {
      attempts++;
      await manager.query(`DO $$ BEGIN RAISE serialization_failure; END $$`);
    });
    await expect(doomed).rejects.toMatchObject({ code: '40001' });
    expect(attempts).toBe(5);
  });

  it('are ended by PostgreSQL when nothing is asked in them, which undoes them', async () => {
    const settings = { url: database.url, poolSize: 1, statementTimeoutMs: 500 };
    const impatient = await new DataSource(dataSourceOptions(settings)).initialize();
    try {
      const forgetful = new Transactions(impatient);
      const forgotten = forgetful.run(async (manager) => {
        await manager.query('INSERT INTO accounts VALUES (1, 0)');
        await until('PostgreSQL has ended it', async () => (await idle()).length === 0);
        await manager.query('SELECT 1');
      });
      const error: unknown = await forgotten.catch((reason: unknown) => reason);
      expect(isConnectionLoss(error)).toBe(true);
      expect(await balances()).toEqual([]);
      expect(await forgetful.run((manager) => manager.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
    } finally {
      await impatient.destroy();
    }
  });
});
