import type { PoolClient } from 'pg';
import type { EntityManager } from 'typeorm';
import { AS_TEXT, type StatementValue } from './pipelined-session.js';

/**
 * Runs a statement within a transaction and answers as
 * {@link import('./pipelined-statements.js').PipelinedStatements} does: every column as PostgreSQL's text or null.
 * @throws {import('pg').DatabaseError}
 */
export async function queryAsText<Row extends object>(
  manager: EntityManager,
  text: string,
  values: readonly StatementValue[],
): Promise<Row[]> {
  if (!manager.queryRunner?.isTransactionActive) throw new Error('The manager is of no transaction');
  const client = (await manager.queryRunner.connect()) as PoolClient;
  return (await client.query<Row>({ text, values: [...values], types: AS_TEXT })).rows;
}
