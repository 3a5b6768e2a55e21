import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { PRINCIPAL_NAMES } from './presence.sql.js';

type Names = ReadonlyMap<string, string | null>;
/** By id: the workspace of an agent; null for people. */
type Asked = Map<string, string | null>;

/** How people and agents are called, to be shown to those who are in a room with them. */
@Injectable()
export class PrincipalNames {
  private waiting: { readonly asked: Asked; readonly names: Promise<Names> } | undefined;

  constructor(private readonly statements: PipelinedStatements) {}

  /**
   * The name of a principal; null if it has none. What is asked in one turn of the event loop is read together: a
   * crowd that comes back after a restart costs few statements.
   * @throws {import('../database/errors.js').DatabaseUnavailableError}
   */
  async of({ id, agent }: Principal): Promise<string | null> {
    this.waiting ??= this.nextRead();
    const { asked, names } = this.waiting;
    asked.set(id, agent?.workspaceId ?? null);
    return (await names).get(id) ?? null;
  }

  private nextRead(): { asked: Asked; names: Promise<Names> } {
    const asked: Asked = new Map();
    const names = new Promise<void>((resolve) => setImmediate(resolve)).then(() => this.read(asked));
    return { asked, names };
  }

  private async read(asked: Asked): Promise<Names> {
    this.waiting = undefined;
    const values = [[...asked.keys()], [...asked.values()]];
    const rows = await this.statements.run<{ id: string; name: string | null }>(PRINCIPAL_NAMES, values);
    return new Map(rows.map(({ id, name }) => [id, name]));
  }
}
