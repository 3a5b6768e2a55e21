import { type BeforeApplicationShutdown, Injectable } from '@nestjs/common';
import { endsWith, type Principal } from '../common/access.js';
import { Lifecycle } from '../common/lifecycle.js';
import type { FollowedStream } from '../events/followed-stream.js';
import type { StreamEvent } from '../events/stream-event.js';
import { StreamTail, type TailListener } from '../events/stream-tail.js';
import { SessionRevocations } from '../sessions/session-revocations.js';
import { ITEM_DELETED } from '../items/items.events.js';
import { TooManyWaiting } from './leases.errors.js';
import { LEASE_CLAIMED } from './leases.events.js';

const MAX_WAITING = 10_000;
/** After these, something of their type may be due, now or at another time than before. */
const makesDue = (type: string): boolean =>
  type.startsWith('item.') ? !/^item\.(deleted|purged)$/.test(type) : isOfLease(type);
const isOfLease = (type: string): boolean => type.startsWith('lease.') && type !== LEASE_CLAIMED;

/** What some events mean to those who wait. */
interface News {
  /** Of which something may be due. */
  readonly types: ReadonlySet<string>;
  /** Agents that hold less, as far as is told. */
  readonly holders: ReadonlySet<string>;
  /** Whether an item was deleted, and its lease with it, if there was one: whose, is not told. */
  readonly deleted: boolean;
}

/** Somebody who waits for an item of some types, or of any. */
export class LeaseWaiter {
  private resolve: (() => void) | undefined;
  private pending = false;
  /** Whether it is a limit that keeps something from it. Until it is known, it may be. */
  isLimited = true;

  constructor(
    readonly caller: Principal | undefined,
    private readonly types: readonly string[] | undefined,
  ) {}

  waitsFor({ types, holders, deleted }: News): boolean {
    if (this.caller && holders.has(this.caller.id)) return true;
    if (deleted && this.isLimited) return true;
    return types.size > 0 && (this.types?.some((type) => types.has(type)) ?? true);
  }

  wake(): void {
    this.pending = true;
    this.resolve?.();
  }

  /** Until it is woken, or was since it was last asked, or so many ms have passed, or the caller has gone. */
  async next(ms: number, signal: AbortSignal): Promise<void> {
    if (!this.pending && !signal.aborted) await this.sleep(ms, signal);
    this.resolve = undefined;
    this.pending = false;
    this.isLimited = true;
  }

  private sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      signal.addEventListener('abort', wake, { once: true });
      this.resolve = wake;
    });
  }
}

/** Wakes those who wait for items when the stream of their workspace tells of one, at whichever instance it was. */
@Injectable()
export class LeaseWaiters implements TailListener, BeforeApplicationShutdown {
  private readonly waiting = new Map<string, Set<LeaseWaiter>>();
  private count = 0;
  /** Whether nobody is to wait any more. */
  closing = false;

  constructor(
    private readonly tail: StreamTail,
    revocations: SessionRevocations,
    lifecycle: Lifecycle,
  ) {
    tail.listen(this);
    revocations.onRevoked((ended) => this.wakeThose(ended));
    // At once: what waits here is answered while sockets are still being told to go.
    lifecycle.signal.addEventListener('abort', () => this.beforeApplicationShutdown());
  }

  /** Whether {@link during} would refuse one more. */
  get isFull(): boolean {
    return this.count >= MAX_WAITING;
  }

  /**
   * Has somebody woken, from before `work` begins until it ends: also when the caller's session ends.
   * @param types of the items that are waited for; any when left out
   * @throws {TooManyWaiting}
   */
  async during<T>(
    caller: Principal | undefined,
    workspaceId: string,
    types: readonly string[] | undefined,
    work: (waiter: LeaseWaiter) => Promise<T>,
  ): Promise<T> {
    if (this.isFull) throw new TooManyWaiting();
    this.count++;
    const waiter = new LeaseWaiter(caller, types);
    try {
      await this.tail.follow(workspaceId);
      try {
        const others = this.waiting.get(workspaceId) ?? new Set();
        this.waiting.set(workspaceId, others.add(waiter));
        return await work(waiter);
      } finally {
        this.remove(workspaceId, waiter);
        this.tail.unfollow(workspaceId);
      }
    } finally {
      this.count--;
    }
  }

  onEvents({ id }: FollowedStream, events: readonly StreamEvent[]): void {
    const waiters = this.waiting.get(id);
    if (!waiters) return;
    const news = newsOf(events);
    for (const waiter of waiters) if (waiter.waitsFor(news)) waiter.wake();
  }

  onReset({ id }: FollowedStream): void {
    for (const waiter of this.waiting.get(id) ?? []) waiter.wake();
  }

  onEnd(stream: FollowedStream): void {
    this.onReset(stream);
  }

  beforeApplicationShutdown(): void {
    this.closing = true;
    for (const waiters of this.waiting.values()) for (const waiter of waiters) waiter.wake();
  }

  private wakeThose(ended: string): void {
    for (const waiters of this.waiting.values())
      for (const waiter of waiters) if (waiter.caller && endsWith(waiter.caller, ended)) waiter.wake();
  }

  private remove(workspaceId: string, waiter: LeaseWaiter): void {
    const waiters = this.waiting.get(workspaceId);
    waiters?.delete(waiter);
    if (waiters?.size === 0) this.waiting.delete(workspaceId);
  }
}

function newsOf(events: readonly StreamEvent[]): News {
  const types = new Set<string>();
  const holders = new Set<string>();
  for (const { type: event, data } of events.filter(({ type }) => makesDue(type))) {
    // Items and leases both say the type of the item.
    const { type, agentId } = JSON.parse(data) as { type: string; agentId?: string };
    types.add(type);
    if (isOfLease(event) && agentId !== undefined) holders.add(agentId);
  }
  return { types, holders, deleted: events.some(({ type }) => type === ITEM_DELETED) };
}
