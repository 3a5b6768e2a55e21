/** An item, as Atrium answers it. */
export interface Item {
  readonly id: string;
  readonly workspaceId: string;
  readonly type: string;
  readonly title: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly version: number;
}

/** An exclusive, expiring claim on an item. */
export interface Lease {
  readonly id: string;
  /** The item's version at the claim. */
  readonly fence: number;
  /** 1 for the first. */
  readonly attempt: number;
  /** RFC 3339, by the server's clock. */
  readonly expiresAt: string;
  readonly item: Item;
}

/** What is changed of an item: a merge patch (RFC 7396). */
export interface ItemPatch {
  readonly title?: string;
  readonly type?: string;
  readonly data?: Readonly<Record<string, unknown>>;
}

/** What a handler has beside its item. */
export interface Work {
  readonly lease: Lease;
  /** Aborted, with the reason, when the lease is lost or the worker does not wait any longer: stop then. */
  readonly signal: AbortSignal;
  /** The item's version at the claim. */
  readonly fence: number;
  /**
   * Changes the item while the work goes on, under the lease.
   * @param ifMatch a version that the item must still have
   * @returns the item after that
   * @throws {import('./problem.ts').Problem} `lease_lost`, `precondition_failed`; then nothing was changed
   */
  readonly update: (patch: ItemPatch, ifMatch?: number) => Promise<Item>;
}

/**
 * Does the work on one item. What it returns is changed of the item with the completion. When it throws, the work has
 * failed and is tried again later; with {@link import('./worker.ts').GiveUp} it is not.
 */
export type Handle =
  | ((item: Item, work: Work) => Promise<ItemPatch | undefined> | ItemPatch | undefined)
  | ((item: Item, work: Work) => Promise<void>)
  | ((item: Item, work: Work) => void);
