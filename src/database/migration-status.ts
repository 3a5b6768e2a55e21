import { Injectable } from '@nestjs/common';
import { DataSource } from 'typeorm';
import { pendingMigrations } from './migrator.js';

/** How long an answer holds: "yes" hardly ever changes, "no" is what somebody is waiting to see change. Ms. */
const YES_HOLDS_MS = 60_000;
const NO_HOLDS_MS = 1_000;

/** Whether the schema is the one that this build needs; cheap enough for a readiness probe. */
@Injectable()
export class MigrationStatus {
  private answer: Promise<boolean> | undefined;
  private validUntil = 0;

  constructor(private readonly dataSource: DataSource) {}

  /**
   * Whether every migration of this build is applied, as of a minute ago at most.
   * @throws when the database cannot be asked
   */
  applied(): Promise<boolean> {
    if (!this.answer || performance.now() >= this.validUntil) {
      this.validUntil = Infinity;
      this.answer = this.ask();
    }
    return this.answer;
  }

  private async ask(): Promise<boolean> {
    try {
      const applied = (await pendingMigrations(this.dataSource)).length === 0;
      this.validUntil = performance.now() + (applied ? YES_HOLDS_MS : NO_HOLDS_MS);
      return applied;
    } catch (error) {
      this.validUntil = performance.now();
      throw error;
    }
  }
}
