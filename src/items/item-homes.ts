import { Injectable } from '@nestjs/common';
import { inWorkspaces } from '../database/in-workspaces.sql.js';
import { PipelinedStatements, type Statement } from '../database/pipelined-statements.js';

/** What is asked of an item `$1` for a principal `$2`: of all there are, or of those in the workspaces `$3`. */
export interface ItemQuestion {
  readonly anywhere: Statement;
  readonly atHome: Statement;
}

/** @param textOf makes the statement of what is said of an item `i`; it answers the item's `workspace_id`, or no row */
export const itemQuestion = (name: string, textOf: (meant: string) => string): ItemQuestion => ({
  anywhere: { name, text: textOf('i.id = $1') },
  atHome: {
    name: `${name}_at_home`,
    text: textOf(`i.id = $1 AND ${inWorkspaces('i.workspace_id', '$3::uuid[]')}`),
  },
});

/** Some 10 MB. */
const CAPACITY = 50_000;

/**
 * In which workspaces items are, as far as this process has met them: paths name an item alone, and a database that is
 * distributed by workspace finds it sooner when it is told where. An item never moves, so what is known stays true; the
 * newest {@link CAPACITY} are. Nobody may do anything because of it: who may is for the statement to say, and what is not
 * where it is looked for is not there.
 */
@Injectable()
export class ItemHomes {
  private readonly homes = new Map<string, string>();

  constructor(private readonly statements: PipelinedStatements) {}

  /** The workspace of an item, if it is known. */
  of(itemId: string): string | undefined {
    return this.homes.get(itemId);
  }

  remember(itemId: string, workspaceId: string): void {
    if (this.homes.has(itemId)) return;
    if (this.homes.size >= CAPACITY) {
      const [oldest] = this.homes.keys();
      if (oldest !== undefined) this.homes.delete(oldest);
    }
    this.homes.set(itemId, workspaceId);
  }

  /** Asks in one statement, and remembers what the answer says of the workspace. */
  async ask<Row extends { workspace_id: string }>(
    question: ItemQuestion,
    itemId: string,
    principalId: string,
  ): Promise<Row | undefined> {
    const home = this.of(itemId);
    if (home !== undefined)
      return (await this.statements.run<Row>(question.atHome, [itemId, principalId, [home]]))[0];
    const [row] = await this.statements.run<Row>(question.anywhere, [itemId, principalId]);
    if (row) this.remember(itemId, row.workspace_id);
    return row;
  }
}
