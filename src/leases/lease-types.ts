import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DataSource, type EntityManager } from 'typeorm';
import { Representation } from '../common/representation.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import { Transactions } from '../database/transactions.js';
import { AppendingTransactions } from '../events/appending-transactions.js';
import { formatCursor } from '../events/cursor.js';
import { Epoch } from '../events/epoch.js';
import type { Caller } from '../workspaces/requires.js';
import { WorkspaceDeletion } from '../workspaces/workspace-deletion.js';
import { lockWorkspace } from '../workspaces/workspace-lock.js';
import { workspaceSubject } from '../workspaces/workspaces.events.js';
import { WorkspaceNotFound } from '../workspaces/workspaces.errors.js';
import { LeaseState } from './lease-state.entity.js';
import { LeaseType } from './lease-type.entity.js';
import {
  ADD_ITEMS,
  ALL_TYPES,
  ADD_TYPES,
  COUNT_TYPES,
  KNOWN_TYPES,
  LOCK_STREAM,
  LOCK_WORKSPACE,
  SET_TYPE,
} from './lease-work.sql.js';
import type { LeaseTypeRequest, LeaseTypeResponse } from './leases.dto.js';
import { TooManyLeaseTypes } from './leases.errors.js';
import { LEASE_TYPE_UPDATED } from './leases.events.js';

const MAX_TYPES = 1_000;
/** How many types of workspaces an instance remembers. */
const MAX_KNOWN = 10_000;
const PERSONAL = `SELECT id FROM workspaces WHERE personal_user_id = $1`;

interface KnownType {
  type: string;
  /** A boolean. */
  limited: string;
}

const keyOf = (workspaceId: string, type: string): string => `${workspaceId} ${type}`;

/** The types of items that agents work on: every item of such a type has a state, of others none has. */
@Injectable()
export class LeaseTypes implements OnModuleInit {
  /** By workspace and type, whether the type has a limit, as far as this instance has heard. */
  private readonly known = new Map<string, boolean>();

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly transactions: Transactions,
    private readonly appending: AppendingTransactions,
    private readonly epoch: Epoch,
    private readonly dataSource: DataSource,
    private readonly workspaceDeletion: WorkspaceDeletion,
  ) {}

  onModuleInit(): void {
    this.workspaceDeletion.add(async (manager, workspaceId) => {
      await manager.delete(LeaseState, { workspaceId });
      await manager.delete(LeaseType, { workspaceId });
    });
  }

  /**
   * Has agents work on these types from now on: on the items that are there, and on those to come.
   * @throws {TooManyLeaseTypes}
   */
  async ensure(workspaceId: string, types: readonly string[]): Promise<void> {
    const unknown = types.filter((type) => !this.known.has(keyOf(workspaceId, type)));
    if (unknown.length === 0) return;
    const found = await this.statements.run<KnownType>(KNOWN_TYPES, [workspaceId, unknown]);
    const missing = unknown.filter((type) => !found.some((row) => row.type === type));
    if (missing.length > 0)
      await this.transactions.run(async (manager) => {
        await manager.query(LOCK_WORKSPACE, [workspaceId]);
        await this.add(manager, workspaceId, missing);
      });
    if (this.known.size > MAX_KNOWN) this.known.clear();
    for (const type of missing) this.known.set(keyOf(workspaceId, type), false);
    for (const { type, limited } of found) this.known.set(keyOf(workspaceId, type), limited === 'true');
  }

  /** Whether a type is known here to have a limit. It may have one by now, or none any more. */
  isLimited(workspaceId: string, type: string): boolean {
    return this.known.get(keyOf(workspaceId, type)) === true;
  }

  /**
   * All types of items that there are in the workspace, and those that agents work on. They work on all of them from now on.
   * @throws {TooManyLeaseTypes}
   */
  async all(workspaceId: string): Promise<string[]> {
    const rows = await this.statements.run<{ type: string }>(ALL_TYPES, [workspaceId, MAX_TYPES + 1]);
    const types = rows.map(({ type }) => type);
    await this.ensure(workspaceId, types);
    return types;
  }

  /**
   * Says how many of a type may be leased at a time, and how often each is tried.
   * @throws {WorkspaceNotFound} @throws {TooManyLeaseTypes}
   * @throws {import('../common/problem.js').Forbidden}
   */
  async set(
    caller: Caller<'agents:manage'>,
    { type, concurrency = null, attempts = 5, workspaceId: named }: LeaseTypeRequest,
  ): Promise<Representation<LeaseTypeResponse>> {
    const workspaceId = named ?? (await this.personal(caller.id));
    const answer = { workspaceId, type, concurrency, attempts };
    const { events } = await this.appending.run(async (manager) => {
      await lockWorkspace(manager, caller, workspaceId);
      await this.add(manager, workspaceId, [type]);
      await manager.query(SET_TYPE, [workspaceId, type, concurrency, attempts]);
      const told = { streamId: workspaceId, subject: workspaceSubject(workspaceId), principalId: caller.id };
      return { answer, events: [{ ...told, type: LEASE_TYPE_UPDATED, data: answer }] };
    });
    if (this.known.has(keyOf(workspaceId, type)))
      this.known.set(keyOf(workspaceId, type), concurrency !== null);
    return Representation.of(answer, { cursor: formatCursor(this.epoch.current, events[0].seq) });
  }

  private async personal(principalId: string): Promise<string> {
    const [workspace] = await this.dataSource.query<{ id: string }[]>(PERSONAL, [principalId]);
    if (!workspace) throw new WorkspaceNotFound();
    return workspace.id;
  }

  /** To a locked workspace; nothing for those that somebody else has added by now. */
  private async add(manager: EntityManager, workspaceId: string, types: readonly string[]): Promise<void> {
    const known = await manager.query<{ type: string }[]>(KNOWN_TYPES.text, [workspaceId, types]);
    const added = types.filter((type) => !known.some((row) => row.type === type));
    if (added.length === 0) return;
    // Whoever writes an item either has the counter, and is seen when it is done, or sees what is written here.
    await manager.query(LOCK_STREAM, [workspaceId]);
    const [{ types: count }] = await manager.query<[{ types: number }]>(COUNT_TYPES, [workspaceId]);
    if (count + added.length > MAX_TYPES) throw new TooManyLeaseTypes(MAX_TYPES);
    await manager.query(ADD_TYPES, [workspaceId, added]);
    await manager.query(ADD_ITEMS, [workspaceId, added]);
  }
}
