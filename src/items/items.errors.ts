import { NotFound, Problem } from '../common/problem.js';
import { isCheckViolation } from '../database/errors.js';

/** 404 `not_found`: no such item, or none that the caller may see. */
export class ItemNotFound extends NotFound {
  constructor() {
    super('There is no such item, or it is not yours to see.');
  }
}

/** 404 `not_found`: an item that the caller may see never had this version, or it is not known any more. */
export class ItemVersionNotFound extends NotFound {
  constructor() {
    super('The item has no such version.');
  }
}

/** 404 `not_found`: the workspace of a list or of a new item. */
export class ItemWorkspaceNotFound extends NotFound {
  constructor() {
    super('There is no such workspace, or you are not a member of it.');
  }
}

/** 409 `not_in_trash`: there is nothing to bring back, since the item is not deleted. */
export class NotInTrash extends Problem {
  constructor() {
    super(
      409,
      'not_in_trash',
      'The item is not deleted. To go back to an older version of it, name that version.',
    );
  }
}

/** 409 `lease_lost`: a change under a lease that its caller does not hold, or not any more; nothing was changed. */
export class LeaseLost extends Problem {
  constructor() {
    super(
      409,
      'lease_lost',
      'The lease has expired or ended, or was never yours; nothing was changed. Leave the item to others.',
    );
  }
}

/** 422 `list_too_slow`: no index serves what was asked for, and it took too long to look at everything. */
export class ListTooSlow extends Problem {
  constructor(limitMs: number, cause: unknown) {
    super(
      422,
      'list_too_slow',
      `The list took longer than ${limitMs} ms. Narrow it: by type, by eq, in or contains on data, by q or by ` +
        'updatedAt; sort by id or updatedAt; leave out count=exact.',
      { cause },
    );
  }
}

/** 422 `item_too_large`: the data would be larger than the table takes; nothing was written. */
export class ItemTooLarge extends Problem {
  constructor(cause: unknown) {
    super(422, 'item_too_large', 'The data of an item is at most 16 MiB, however it grew. Split it.', {
      cause,
    });
  }
}

/** 422 `batch_too_large`: what the operations write is too much for one transaction, whatever the request is long. */
export class BatchTooLarge extends Problem {
  constructor(limitBytes: number) {
    super(
      422,
      'batch_too_large',
      `The items after each operation are at most ${limitBytes} bytes together: do this in several batches.`,
    );
  }
}

/** 429 `too_many_exports`: others of this caller are running. */
export class TooManyExports extends Problem {
  constructor(limit: number) {
    super(429, 'too_many_exports', `You may have ${limit} exports running at once; let one end first.`, {
      headers: { 'Retry-After': '10' },
    });
  }
}

/** {@link ItemTooLarge} for the database's refusal of what is too large, and any other error as it is. */
export const tooLarge = (error: unknown): unknown =>
  isCheckViolation(error, 'items_data_size_check') ? new ItemTooLarge(error) : error;

/** A batch of which one operation failed, as that operation's own problem would have it; nothing was written. */
export class BatchFailed extends Problem {
  private constructor(cause: Problem, at: string) {
    const errors = (cause.errors ?? [{ pointer: '', detail: cause.detail }]).map(({ pointer, detail }) => ({
      pointer: `${at}${pointer}`,
      detail,
    }));
    const sentence = cause.detail.endsWith('.') ? cause.detail : `${cause.detail}.`;
    const detail = `${at}: ${sentence} Nothing of the batch was done.`;
    super(cause.getStatus(), cause.code, detail, { errors });
  }

  /**
   * Does something for the operation `n`.
   * @param member of the operation, that the pointers of its problems begin at
   * @throws {BatchFailed} for a problem with it
   */
  static at<T>(n: number, member: string, work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof BatchFailed || !(error instanceof Problem)) throw error;
      throw new BatchFailed(error, `/operations/${n}${member}`);
    }
  }
}
