import { Injectable } from '@nestjs/common';
import { type HealthIndicatorResult, HealthIndicatorService } from '@nestjs/terminus';
import { MigrationStatus } from '../../database/migration-status.js';
import { PipelinedStatements, type Statement } from '../../database/pipelined-statements.js';

const PING: Statement = { name: 'health.ping', text: 'SELECT 1' };
/** A probe that takes longer is a failed probe. */
const PATIENCE_MS = 2_000;

@Injectable()
export class DatabaseIndicator {
  constructor(
    private readonly indicators: HealthIndicatorService,
    private readonly statements: PipelinedStatements,
    private readonly migrations: MigrationStatus,
  ) {}

  isReachable(key: string): Promise<HealthIndicatorResult> {
    return this.probe(key, 'does not answer', async () => {
      await this.statements.run(PING, []);
      return true;
    });
  }

  isMigrated(key: string): Promise<HealthIndicatorResult> {
    return this.probe(key, 'some are not applied; run npm run migration:run', () =>
      this.migrations.applied(),
    );
  }

  private async probe(
    key: string,
    wrong: string,
    ask: () => Promise<boolean>,
  ): Promise<HealthIndicatorResult> {
    const indicator = this.indicators.check(key);
    const { promise: impatient, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => reject(new Error('timeout')), PATIENCE_MS);
    try {
      return (await Promise.race([ask(), impatient])) ? indicator.up() : indicator.down(wrong);
    } catch {
      return indicator.down('does not answer');
    } finally {
      clearTimeout(timer);
    }
  }
}
