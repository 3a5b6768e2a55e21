import { Injectable } from '@nestjs/common';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { PRINCIPAL_NAMES } from './presence.sql.js';

type Names = ReadonlyMap<string, string | null>;

/** How people and agents are called, to be shown to those who are in a room with them. */
@Injectable()
export class PrincipalNames {
  private waiting: { readonly ids: Set<string>; readonly names: Promise<Names> } | undefined;

  constructor(private readonly statements: PipelinedStatements) {}

  /**
   * The name of a principal; null if it has none. What is asked in one turn of the event loop is read together: a
   * crowd that comes back after a restart costs few statements.
   * @throws {import('../database/errors.js').DatabaseUnavailableError}
   */
  async of(principalId: string): Promise<string | null> {
    this.waiting ??= this.nextRead();
    const { ids, names } = this.waiting;
    ids.add(principalId);
    return (await names).get(principalId) ?? null;
  }

  private nextRead(): { ids: Set<string>; names: Promise<Names> } {
    const ids = new Set<string>();
    return { ids, names: new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.read(ids)) };
  }

  private async read(ids: ReadonlySet<string>): Promise<Names> {
    this.waiting = undefined;
    const rows = await this.statements.run<{ id: string; name: string | null }>(PRINCIPAL_NAMES, [[...ids]]);
    return new Map(rows.map(({ id, name }) => [id, name]));
  }
}
