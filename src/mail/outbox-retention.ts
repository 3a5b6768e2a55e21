import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { opendir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Clock } from '../common/clock.js';
import { StandingFault } from '../common/standing-fault.js';
import { AtriumConfig } from '../config/config.js';
import { outboxOf } from './outbox.js';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** A mail, or what a crash left of one. The name is a UUIDv7: it begins with the time, in ms. */
const MAIL = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\.eml(\.part)?$/;

/**
 * Removes old mails from the folder where they are written without `SMTP_URL`, also of times when there was none. Each
 * instance does so at its start and every hour: folders are no database. What else is in the folder stays.
 */
@Injectable()
export class OutboxRetention implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Outbox');
  private readonly fault = new StandingFault(this.logger, 'remove old mails');
  private readonly folder: string;
  private readonly days: number;
  private timer: NodeJS.Timeout | undefined;
  private sweeping: Promise<void> | undefined;
  private stopped = false;

  constructor(
    private readonly clock: Clock,
    { dataDir, mail }: AtriumConfig,
  ) {
    this.folder = outboxOf(dataDir);
    this.days = mail.retentionDays;
  }

  onApplicationBootstrap(): void {
    void this.sweep();
    this.timer = setInterval(() => void this.sweep(), HOUR_MS).unref();
  }

  async onApplicationShutdown(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.sweeping;
  }

  /** Removes what is older than `MAIL_RETENTION_DAYS`; settles in any case. One round at a time. */
  async sweep(): Promise<void> {
    if (this.days === 0) return;
    this.sweeping ??= this.round().finally(() => (this.sweeping = undefined));
    await this.sweeping;
  }

  private async round(): Promise<void> {
    try {
      const removed = await this.removeBefore(this.clock.now() - this.days * DAY_MS);
      if (removed > 0) this.logger.log(`Removed ${removed} mails older than ${this.days} days`);
      this.fault.passed();
    } catch (error) {
      // No mail was ever written.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') this.fault.failed(error);
    }
  }

  /** One by one, as they are read: there may be any number of them. */
  private async removeBefore(time: number): Promise<number> {
    let removed = 0;
    for await (const { name } of await opendir(this.folder)) {
      if (this.stopped) break;
      const [, high, low] = MAIL.exec(name) ?? [];
      if (high === undefined || Number.parseInt(high + low, 16) >= time) continue;
      // Others may share the folder, and be faster.
      await rm(join(this.folder, name), { force: true });
      removed += 1;
    }
    return removed;
  }
}
