import pg from 'pg';
import { withoutLogContext } from '../common/log-context.js';
import { type OpenSpan, traces } from '../common/traces.js';
import type { EntityManager } from 'typeorm';
import {
  DatabaseBusyError,
  isCancelled,
  isConnectionLoss,
  isLockTimeout,
  isOutOfRoom,
  isRetryable,
} from '../database/errors.js';
import { databaseRefused } from '../database/database-observations.js';
import type { PipelinedStatements, Statement, StatementValue } from '../database/pipelined-statements.js';
import { QueueWatch } from '../database/queue-watch.js';
import { queryAsText } from '../database/text-rows.js';
import type { Transactions } from '../database/transactions.js';
import { announceAsOf } from './event-traces.js';
import { writesCombined } from './stream-observations.js';

/** What does the same as a combined statement for one input alone, at less cost: it has nothing to share out or to sort. */
export interface LoneWrite<Input, Row> {
  readonly statement: Statement;
  /** Whether the input is one of those that it is for. */
  fits(input: Input): boolean;
  /** The statement's parameters. */
  values(input: Input): readonly StatementValue[];
  /**
   * @param rows the statement's, every column as text
   * @returns what the combined statement would answer; `undefined`: it has written nothing, and leaves it to that one
   */
  toRow(rows: readonly unknown[], input: Input): Row | undefined;
}

/** One kind of write that many callers may share a statement for. */
export interface CombinableWrite<Input extends object, Row = never> {
  /**
   * Takes one parameter, a JSON array of inputs each with its index `n`, and answers one row per input with
   * that `n`, written or not, unless `toRows` reads its answer.
   */
  readonly statement: Statement;
  /**
   * Reads the statement's answer where that is not a row each.
   * @param rows the statement's, every column as text
   * @returns a row for each input, in their order
   */
  toRows?(rows: readonly unknown[], inputs: readonly Input[]): Row[];
  readonly alone?: LoneWrite<Input, Row>;
  /** What does the same where every input fits, and has to look in fewer places. */
  readonly located?: { readonly statement: Statement; fits(input: Input): boolean };
  /** Inputs with the same key never share a batch: a statement can change a row only once. */
  keyOf?(input: Input): string;
  /** What the caller is told instead of an error of the database. */
  refusal?(error: unknown): unknown;
}

interface Waiting<Input, Row> {
  readonly input: Input;
  /** From here to its answer, if that is recorded. */
  readonly span: OpenSpan | undefined;
  /** By the watch. */
  readonly since: number;
  resolve(row: Row): void;
  reject(error: unknown): void;
}

const MAX_BATCH = 256;
const MAX_WAITING = 8_192;
const MAX_ATTEMPTS = 3;
/** When no batch was done for so long, in ms, nobody waits for a turn any longer. */
const STILL_MS = 2_000;
/** For so long a write waits for its turn at most, in ms. */
const WAIT_MS = 3_000;

/**
 * Combines the writes of many callers into one statement, round trip and flush: while one batch is on its way
 * to the database, what arrives waits for the next. Every caller gets its own row. A batch that the database
 * refuses is replayed one by one, so that nobody's write fails for a neighbour; a batch whose connection is
 * lost is not, since it may have been committed.
 */
export class WriteCombiner<Input extends object, Row extends { n: string }> {
  private waiting: Waiting<Input, Row>[] = [];
  private underWay = false;
  private readonly watch = new QueueWatch(() => this.look());
  /** The database has not come to what it was sent: until it has, one batch tries, and nobody waits behind it. */
  private isStuck = false;

  /** @param committed told of each batch's rows, in order, before its callers are */
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly write: CombinableWrite<Input, NoInfer<Row>>,
    private readonly committed: (rows: readonly Row[]) => void,
  ) {}

  /**
   * @returns the statement's row for this input, after the commit
   * @throws {DatabaseBusyError} when too many are waiting, or nothing moves, or it has waited for long; nothing was
   *   written
   */
  run(input: Input): Promise<Row> {
    return new Promise((resolve, reject) => {
      if (this.waiting.length >= MAX_WAITING || (this.underWay && this.isStuck)) {
        reject(this.busy());
        return;
      }
      const span = traces?.begin({ kind: 'write', statement: this.write.statement.name });
      this.waiting.push({ input, span, since: this.watch.now, resolve, reject });
      if (this.underWay) return;
      this.underWay = true;
      // What else the event loop brings in this turn shares the first batch.
      // It is nobody's own, so its lines are not the first caller's.
      withoutLogContext(() => setImmediate(() => void this.drain()));
    });
  }

  /**
   * {@link run} in a transaction of its own, shared with nobody.
   * @param last what must stand or fall with the write; whatever it throws undoes both
   * @returns the statement's row, after the commit
   */
  runAlone(
    transactions: Transactions,
    input: Input,
    last: (manager: EntityManager, row: Row) => Promise<void>,
  ): Promise<Row> {
    const work = () => this.inTransaction(transactions, input, last);
    return traces === undefined
      ? work()
      : traces.run({ kind: 'write', statement: this.write.statement.name }, work);
  }

  private async inTransaction(
    transactions: Transactions,
    input: Input,
    last: (manager: EntityManager, row: Row) => Promise<void>,
  ): Promise<Row> {
    try {
      const written = await transactions.run(async (manager) => {
        const run: Run = ({ text }, values) => queryAsText(manager, text, values);
        const row = (await this.lone(input, run)) ?? (await this.combined([input], run))[0];
        await last(manager, row);
        return row;
      });
      this.committed([written]);
      return written;
    } catch (error) {
      throw this.write.refusal?.(error) ?? error;
    }
  }

  private async drain(): Promise<void> {
    this.watch.start();
    while (this.waiting.length > 0) await this.send(this.nextBatch());
    this.watch.stop();
    this.underWay = false;
  }

  /** What waits for locks before them is bounded for each batch, but not how many batches. */
  private look(): void {
    if (this.watch.stillMs > STILL_MS) this.isStuck = true;
    const limitMs = this.isStuck ? 0 : WAIT_MS;
    this.waiting = this.waiting.filter((entry) => !this.isRefused(entry, limitMs));
  }

  private isRefused(entry: Waiting<Input, Row>, limitMs: number): boolean {
    if (this.watch.waitedMs(entry.since) < limitMs) return false;
    const error = this.busy();
    entry.span?.end(error);
    entry.reject(error);
    return true;
  }

  /** It has come to a batch: done or refused, but not broken off before its turn. */
  private answered(error?: unknown): void {
    if (isBrokenOff(error)) {
      this.isStuck = true;
      return;
    }
    this.isStuck = false;
    this.watch.moved();
  }

  private busy(): DatabaseBusyError {
    databaseRefused.tell({ way: 'writes' });
    return new DatabaseBusyError(`${this.waiting.length} writes wait for their turn`);
  }

  private nextBatch(): Waiting<Input, Row>[] {
    const { write } = this;
    if (!write.keyOf) return this.waiting.splice(0, MAX_BATCH);
    const keys = new Set<string>();
    const batch: Waiting<Input, Row>[] = [];
    const later: Waiting<Input, Row>[] = [];
    for (const entry of this.waiting) {
      const key = write.keyOf(entry.input);
      if (batch.length < MAX_BATCH && !keys.has(key)) batch.push(entry);
      else later.push(entry);
      keys.add(key); // also of those left for later, so that they keep their order
    }
    this.waiting = later;
    return batch;
  }

  private async send(batch: Waiting<Input, Row>[], attempt = 1): Promise<void> {
    try {
      const rows = await this.execute(batch);
      batch.forEach((entry, n) => {
        entry.span?.end();
        entry.resolve(rows[n]);
      });
    } catch (error) {
      this.answered(error);
      // Whoever was sacrificed for a concurrent transaction is at no fault of its own: the batch stays together.
      if (isRetryable(error) && attempt < MAX_ATTEMPTS) await this.send(batch, attempt + 1);
      else if (isRefusal(error) && batch.length > 1) {
        // What may wait as long once more would be told too late.
        const limitMs = isBrokenOff(error) ? STILL_MS : WAIT_MS;
        for (const entry of batch) if (!this.isRefused(entry, limitMs)) await this.send([entry]);
      } else
        for (const entry of batch) {
          entry.span?.end(error);
          entry.reject(this.write.refusal?.(error) ?? error);
        }
    }
  }

  private async execute(batch: Waiting<Input, Row>[]): Promise<Row[]> {
    const run: Run = (statement, values) => this.written(batch, statement, values);
    const inputs = batch.map(({ input }) => input);
    const lone = inputs.length === 1 ? await this.lone(inputs[0], run) : undefined;
    const rows = lone ? [lone] : await this.combined(inputs, run);
    this.answered();
    writesCombined.tell({ statement: this.write.statement.name, size: batch.length });
    if (traces === undefined) this.committed(rows);
    else announceAsOf(batch, () => this.committed(rows));
    return rows;
  }

  /** By the statement for one, if there is one for this input and it takes it. */
  private async lone(input: Input, run: Run): Promise<Row | undefined> {
    const { alone } = this.write;
    if (!alone?.fits(input)) return undefined;
    return alone.toRow(await run(alone.statement, alone.values(input)), input);
  }

  /** @returns a row for each, in the order of the inputs */
  private async combined(inputs: readonly Input[], run: Run): Promise<Row[]> {
    const { write } = this;
    const { located } = write;
    const { statement } = located && inputs.every((input) => located.fits(input)) ? located : write;
    const parameter = JSON.stringify(inputs.map((input, n) => ({ n, ...input })));
    if (write.toRows) return write.toRows(await run(statement, [parameter]), inputs);
    const rows = await run<Row>(statement, [parameter]);
    if (rows.length !== inputs.length)
      throw new Error(`${statement.name} answered ${rows.length} rows to ${inputs.length} inputs`);
    return rows.sort((a, b) => Number(a.n) - Number(b.n));
  }

  private written<Found extends object>(
    batch: readonly Waiting<Input, Row>[],
    statement: Statement,
    values: readonly StatementValue[],
  ): Promise<Found[]> {
    const run = (): Promise<Found[]> => this.statements.run<Found>(statement, values, true);
    if (traces === undefined) return run();
    const spans = batch.flatMap(({ span }) => span ?? []);
    return traces.runShared(statement.name, spans, batch.length, run);
  }
}

/** Runs a statement, somewhere. */
type Run = <Found extends object>(
  statement: Statement,
  values: readonly StatementValue[],
) => Promise<Found[]>;

/** PostgreSQL gave it up, since it waited for a lock, or took, too long. */
const isBrokenOff = (error: unknown): boolean => isLockTimeout(error) || isCancelled(error);

/** PostgreSQL itself said no, to what one of them wants, so nothing of the statement was kept. */
function isRefusal(error: unknown): boolean {
  return error instanceof pg.DatabaseError && !isConnectionLoss(error) && !isOutOfRoom(error);
}
