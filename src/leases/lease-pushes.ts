import { setTimeout as delay } from 'node:timers/promises';
import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Problem, Unauthenticated } from '../common/problem.js';
import { reasonOf } from '../common/reason.js';
import { requireScope } from '../common/scopes.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { StreamTail, type TailListener } from '../events/stream-tail.js';
import type { Connection } from '../rooms/connection.js';
import { textFrame } from '../rooms/frame.js';
import { errorData } from '../rooms/frame-problem.filter.js';
import { DELIVERED, STILL_HELD } from './lease-claim.sql.js';
import { type Claimed, LeaseClaims } from './lease-claims.js';
import { type LeaseWaiter, LeaseWaiters } from './lease-waiters.js';
import type { LeaseFrame } from './leases.dto.js';
import { TooManyWaiting } from './leases.errors.js';
import { LEASE_CLAIMED, LEASE_DEAD } from './leases.events.js';
import { LeasesService } from './leases.service.js';
import { SocketWork } from './socket-work.js';

/** What an event of a lease says, as far as it matters here. */
interface LeaseData {
  readonly id: string;
  readonly itemId: string;
  readonly type: string;
  readonly agentId: string;
  readonly dueAt: string;
  readonly reason: string | null;
}

/** After these, the lease is its holder's no more. */
const ENDED = /^lease\.(completed|failed|released|expired|cancelled|dead)$/;
/** Of these its holder is told: they are not its own doing. A dead one may be, unless its time was over. */
const isTaken = (type: string, reason: string | null): boolean =>
  /^lease\.(expired|cancelled)$/.test(type) || (type === LEASE_DEAD && reason === 'expired');
const ITEM_GONE = 'item.deleted';
const ITEM_CHANGED = 'item.updated';
/** How many leases go out in one frame. */
const MAX_SENT = 20;
/** After a failure, such as of the database. */
const RETRY_MS = 1_000;
/** A look in any case. */
const MOST_WAIT_MS = 60_000;

/**
 * Hands work to the sockets that want some, by the same claim as requests make: no more than a socket has free, to a
 * reader that keeps up. What does not arrive is given back when the socket closes, or expires; heartbeats do not keep it.
 */
@Injectable()
export class LeasePushes implements TailListener {
  private readonly logger = new Logger(LeasePushes.name);
  /** By workspace. */
  private readonly works = new Map<string, Map<Connection, SocketWork>>();

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly claims: LeaseClaims,
    private readonly leases: LeasesService,
    private readonly waiters: LeaseWaiters,
    tail: StreamTail,
  ) {
    tail.listen(this);
  }

  /**
   * Has a socket given work from now on, in place of what it was given before; none with a capacity of 0.
   * @throws as {@link LeaseClaims.claim}
   * @throws {import('../common/scopes.js').InsufficientScope}
   */
  async subscribe(connection: Connection, { capacity, ...wish }: LeaseFrame): Promise<void> {
    const { principal } = connection;
    if (!principal) throw new Unauthenticated();
    requireScope(principal, 'leases');
    if (this.waiters.isFull) throw new TooManyWaiting();
    const workspaceId = await this.claims.begin(principal, wish);
    const work = this.workOf(workspaceId, connection);
    connection.reply('leasing', { capacity });
    work.turnTo({ ...wish, capacity }, (signal) => this.serve(work, wish, workspaceId, signal));
  }

  onEvents({ id }: FollowedStream, events: readonly StreamEvent[]): void {
    const works = this.works.get(id);
    if (!works) return;
    for (const event of events) {
      if (ENDED.test(event.type)) this.ended(works, event.type, JSON.parse(event.data) as LeaseData);
      else if (event.type === ITEM_GONE) this.gone(works, itemOf(event));
      else if (event.type === ITEM_CHANGED) this.changed(works, event);
    }
  }

  onReset({ id }: FollowedStream): void {
    for (const work of this.works.get(id)?.values() ?? []) work.doubt();
  }

  onEnd(stream: FollowedStream): void {
    this.onReset(stream);
  }

  private workOf(workspaceId: string, connection: Connection): SocketWork {
    const works = this.works.get(workspaceId) ?? new Map<Connection, SocketWork>();
    const known = works.get(connection);
    if (known) return known;
    const work = new SocketWork(connection);
    this.works.set(workspaceId, works.set(connection, work));
    void connection.closed.then(() => {
      works.delete(connection);
      if (works.size === 0 && this.works.get(workspaceId) === works) this.works.delete(workspaceId);
    });
    return work;
  }

  private ended(works: ReadonlyMap<Connection, SocketWork>, type: string, lease: LeaseData): void {
    const { id, itemId, agentId, reason } = lease;
    for (const work of works.values()) {
      if (work.connection.principal?.id !== agentId) continue;
      work.remove(id);
      if (isTaken(type, reason)) work.tellLost({ id, itemId, reason: reason ?? type.replace('lease.', '') });
    }
  }

  private gone(works: ReadonlyMap<Connection, SocketWork>, itemId: string): void {
    for (const work of works.values()) {
      const id = work.leaseOf(itemId)?.id;
      if (id === undefined) continue;
      work.remove(id);
      work.tellLost({ id, itemId, reason: 'deleted' });
    }
  }

  /** An item of another type may be no work any more. */
  private changed(works: ReadonlyMap<Connection, SocketWork>, event: StreamEvent): void {
    const itemId = itemOf(event);
    for (const work of works.values()) {
      const lease = work.leaseOf(itemId);
      if (lease && lease.type !== typeOf(event)) work.doubt();
    }
  }

  /** Until it is aborted; what goes wrong meanwhile is tried again. */
  private async serve(
    work: SocketWork,
    wish: Omit<LeaseFrame, 'capacity'>,
    workspaceId: string,
    signal: AbortSignal,
  ): Promise<void> {
    const types = work.connection.principal && this.claims.typesOf(work.connection.principal, wish);
    while (!signal.aborted && !this.waiters.closing) {
      try {
        await this.waiters.during(work.connection.principal, workspaceId, types, async (waiter) => {
          work.waiter = waiter;
          work.doubt(); // nobody listened until now
          while (!signal.aborted && !this.waiters.closing)
            await waiter.next(
              Math.min(await this.handOver(work, wish, waiter, signal), MOST_WAIT_MS),
              signal,
            );
        });
      } catch (error) {
        if (error instanceof Problem && error.getStatus() < 500) {
          work.connection.send(work.connection.wire.message('error', errorData(error)));
          return;
        }
        this.logger.warn(`Cannot hand out work: ${reasonOf(error)}`);
        await delay(RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
      }
    }
  }

  /** @returns in how many ms to look again, if nothing happens before */
  private async handOver(
    work: SocketWork,
    wish: Omit<LeaseFrame, 'capacity'>,
    waiter: LeaseWaiter,
    signal: AbortSignal,
  ): Promise<number> {
    const { connection } = work;
    await connection.whenDrained();
    const { principal } = connection;
    if (!principal || signal.aborted) return 0;
    requireScope(principal, 'leases');
    if (work.endsIn === 0)
      work.keep(await this.statements.run<{ id: string; ms: string }>(STILL_HELD, [work.ids, principal.id]));
    if (work.free <= 0) return work.endsIn;
    const claimed = await this.claims.push(principal, wish, Math.min(work.free, MAX_SENT));
    if (claimed) {
      if (signal.aborted)
        await this.giveBack(principal, idsOf(claimed)); // it wants something else by now
      else this.send(work, claimed);
      return 0;
    }
    return Math.min(await this.claims.nextDue(principal, wish, waiter), work.endsIn);
  }

  private send(work: SocketWork, claimed: Claimed): void {
    for (const { dueAt, ...lease } of leasesOf(claimed)) work.add(lease, Date.parse(dueAt) - Date.now());
    work.connection.send(textFrame('leased', `{"leases":${claimed.leases}}`));
    void this.confirm(work.connection, idsOf(claimed));
  }

  private async confirm(connection: Connection, ids: readonly string[]): Promise<void> {
    const { principal } = connection;
    if (!principal) return;
    try {
      if (await connection.confirm()) await this.statements.run(DELIVERED, [ids, principal.id]);
      else await this.giveBack(principal, ids);
    } catch (error) {
      // Then they last as long as they were given for, unless heartbeats name them.
      this.logger.warn(`Cannot tell whether leases arrived: ${reasonOf(error)}`);
    }
  }

  private async giveBack(principal: Principal, ids: readonly string[]): Promise<void> {
    const releases = await Promise.allSettled(ids.map((id) => this.leases.release(principal, id)));
    for (const release of releases)
      if (release.status === 'rejected' && !(release.reason instanceof Problem)) throw release.reason;
  }
}

const itemOf = ({ subject }: StreamEvent): string => subject.slice(subject.indexOf('/') + 1);
const typeOf = ({ data }: StreamEvent): string => (JSON.parse(data) as { type: string }).type;
const leasesOf = ({ events }: Claimed): LeaseData[] =>
  events.filter(({ type }) => type === LEASE_CLAIMED).map(({ data }) => JSON.parse(data) as LeaseData);
const idsOf = (claimed: Claimed): string[] => leasesOf(claimed).map(({ id }) => id);
