import {
  type BeforeApplicationShutdown,
  Injectable,
  Logger,
  type OnApplicationBootstrap,
} from '@nestjs/common';
import { DataSource } from 'typeorm';
import { StandingFault } from '../common/standing-fault.js';

const INTERVAL_MS = 1_000;
const BATCH = 200;

/** As long as a statement that began under the old language may still be under way. */
const CHANGING = `SELECT id, language, language_changed_at::text AS changed_at,
    language_changed_at < now() - interval '2 minutes' AS settled
  FROM workspaces WHERE cardinality(search_languages) > 1 ORDER BY id LIMIT 10`;
/** Locked in the order in which writers lock. */
const REINDEX = `WITH batch AS MATERIALIZED (
    SELECT i.id FROM items i WHERE i.workspace_id = $1 AND i.id > $2 ORDER BY i.id LIMIT $4 FOR NO KEY UPDATE
  ), written AS (
    UPDATE items i SET search = item_search(i.workspace_id, $3, i.title, i.data)
    FROM batch b WHERE i.id = b.id RETURNING i.id
  )
  SELECT id::text FROM written ORDER BY id DESC`;
const DONE = `UPDATE workspaces SET search_languages = ARRAY[language]
  WHERE id = $1 AND language_changed_at::text = $2`;
const FIRST = '00000000-0000-0000-0000-000000000000';

interface ChangingWorkspace {
  readonly id: string;
  readonly language: string;
  readonly changed_at: string;
  readonly settled: boolean;
}

/**
 * Indexes the items of a workspace anew when its language was changed, batch by batch, behind whatever else
 * happens. Meanwhile searches look by the old language too, so nothing is lost from them. What a crash interrupts,
 * any instance takes up; two who do it at once do it twice.
 *
 * A write that began before the change may still come after its items were passed: so they are passed once more
 * when no such write can be under way.
 */
@Injectable()
export class ItemSearchIndex implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly fault = new StandingFault(
    new Logger(ItemSearchIndex.name),
    'bring the search index up to date',
  );
  /** What was passed once already, by workspace. */
  private readonly passed = new Map<string, string>();
  private timer: NodeJS.Timeout | undefined;
  private underWay: Promise<void> | undefined;
  private closing = false;

  constructor(private readonly dataSource: DataSource) {}

  onApplicationBootstrap(): void {
    this.timer = setInterval(() => {
      this.underWay ??= this.sweep().finally(() => (this.underWay = undefined));
    }, INTERVAL_MS).unref();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.closing = true;
    clearInterval(this.timer);
    await this.underWay;
  }

  private async sweep(): Promise<void> {
    try {
      const changing = await this.dataSource.query<ChangingWorkspace[]>(CHANGING);
      for (const workspace of changing) await this.reindex(workspace);
      if (changing.length === 0) this.passed.clear();
      this.fault.passed();
    } catch (error) {
      // The next sweep tries again.
      this.fault.failed(error);
    }
  }

  private async reindex({ id, language, changed_at: changedAt, settled }: ChangingWorkspace): Promise<void> {
    if (!settled && this.passed.get(id) === changedAt) return;
    for (let after = FIRST; ;) {
      const rows = await this.dataSource.query<{ id: string }[]>(REINDEX, [id, after, language, BATCH]);
      if (rows.length < BATCH) break;
      if (this.closing) return;
      after = rows[0].id;
    }
    this.passed.set(id, changedAt);
    if (settled) await this.dataSource.query(DONE, [id, changedAt]);
  }
}
