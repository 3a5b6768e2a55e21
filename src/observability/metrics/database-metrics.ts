import { Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Counter, Gauge, type Registry } from 'prom-client';
import { BoundedReads } from '../../database/bounded-reads.js';
import { databaseRefused } from '../../database/database-observations.js';
import { PipelinedStatements, type Statement } from '../../database/pipelined-statements.js';
import type { PoolUse } from '../../database/pool-use.js';
import { SnapshotReads } from '../../database/snapshot-reads.js';
import { Transactions } from '../../database/transactions.js';

const PING: Statement = { name: 'metrics.ping', text: 'SELECT 1' };
const PATIENCE_MS = 2_000;
const STATES = ['open', 'idle', 'waiting'] as const;
const WAYS = ['transactions', 'reads', 'statements', 'writes'] as const;

/** The ways to the database, and how busy they are. */
@Injectable()
export class DatabaseMetrics implements OnApplicationShutdown {
  private end: (() => void) | undefined;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly reads: BoundedReads,
    private readonly snapshots: SnapshotReads,
  ) {}

  register(registry: Registry): void {
    const { statements, transactions, reads, snapshots } = this;
    const pools: Readonly<Record<string, { readonly use: PoolUse }>> = { transactions, reads, snapshots };
    new Gauge({
      name: 'atrium_database_pool_connections',
      help: 'Connections of the pools, by state: open, of those idle; and how many callers wait for one.',
      labelNames: ['pool', 'state'] as const,
      registers: [registry],
      collect() {
        for (const [pool, { use }] of Object.entries(pools))
          for (const state of STATES) this.set({ pool, state }, use[state]);
      },
    });
    new Gauge({
      name: 'atrium_database_statements_waiting',
      help: 'Pipelined statements that were sent or wait, and are not answered yet.',
      registers: [registry],
      collect() {
        this.set(statements.waiting);
      },
    });
    new Gauge({
      name: 'atrium_database_up',
      help: 'Whether the database answers this instance: asked for each scrape, for two seconds.',
      registers: [registry],
      async collect() {
        this.set(Number(await answers(statements)));
      },
    });
    const refusals = new Counter({
      name: 'atrium_database_refusals_total',
      help: 'What was not asked of the database, since it would have waited in vain or for too long, by the way to it.',
      labelNames: ['way'] as const,
      registers: [registry],
    });
    // An increase counts from something.
    for (const way of WAYS) refusals.inc({ way }, 0);
    this.end = databaseRefused.listen((told) => refusals.inc(told));
  }

  onApplicationShutdown(): void {
    this.end?.();
  }
}

/** As the probe of being ready asks. */
async function answers(statements: PipelinedStatements): Promise<boolean> {
  const asked = statements.run(PING).then(
    () => true,
    () => false,
  );
  return Promise.race([asked, delay(PATIENCE_MS, false, { ref: false })]);
}
