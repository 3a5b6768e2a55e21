import { beforeEach, describe, expect, it, jest } from '@jest/globals';
import pg from 'pg';
import { DatabaseBusyError, DatabaseUnavailableError } from '../database/errors.js';
import type { PipelinedStatements, Statement } from '../database/pipelined-statements.js';
import { WriteCombiner } from './write-combiner.js';

interface Input {
  readonly key?: string;
  readonly value: number;
}
interface Row {
  n: string;
  value: number;
}
type Numbered = Input & { n: number };

const STATEMENT: Statement = { name: 'test.write', text: 'unused' };

/** What PostgreSQL throws, with its SQLSTATE. */
function refusal(code: string): pg.DatabaseError {
  return Object.assign(new pg.DatabaseError('refused', 1, 'error'), { code, severity: 'ERROR' });
}

/** Stands for the database: notes the batches, and answers each when the test says so. */
class Database {
  readonly batches: number[][] = [];
  private readonly open: (() => void)[] = [];
  private wake: (() => void) | undefined;
  /** Throws for a batch that is to fail. */
  judge: (batch: readonly Numbered[], attempt: number) => void = () => undefined;

  async run(_: Statement, [json]: readonly unknown[]): Promise<Row[]> {
    const batch = JSON.parse(json as string) as Numbered[];
    this.batches.push(batch.map(({ value }) => value));
    await new Promise<void>((answer) => {
      this.open.push(answer);
      this.wake?.();
    });
    this.judge(batch, this.batches.length);
    // In any order: the combiner sorts by n.
    return batch.map(({ n, value }) => ({ n: String(n), value })).reverse();
  }

  /** Answers the batch that is under way, as soon as one is. */
  async answer(): Promise<void> {
    if (this.open.length === 0) await new Promise<void>((there) => (this.wake = there));
    this.open.shift()?.();
  }
}

let database: Database;
let committed: number[][];
let combiner: WriteCombiner<Input, Row>;

beforeEach(() => {
  database = new Database();
  committed = [];
  combiner = new WriteCombiner<Input, Row>(
    database as unknown as PipelinedStatements,
    { statement: STATEMENT, keyOf: (input) => input.key ?? String(input.value) },
    (rows) => committed.push(rows.map(({ value }) => value)),
  );
});

const writes = (...values: number[]) => values.map((value) => combiner.run({ value }));
const results = (settled: PromiseSettledResult<Row>[]) =>
  settled.map((result) => (result.status === 'fulfilled' ? result.value.value : (result.reason as unknown)));

describe('Writes are combined', () => {
  it('into one batch for one turn of the event loop; what comes meanwhile waits for the next', async () => {
    const first = writes(1, 2, 3);
    const answered = database.answer();
    await new Promise((turn) => setImmediate(turn));
    const second = writes(4, 5);
    await answered;
    expect(await Promise.all(first)).toEqual([
      { n: '0', value: 1 },
      { n: '1', value: 2 },
      { n: '2', value: 3 },
    ]);
    await database.answer();
    await Promise.all(second);
    expect(database.batches).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
  });

  it('and every caller gets its own row, committed before it is told', async () => {
    const told: number[][] = [];
    const all = writes(7, 8, 9).map((write) =>
      write.then(({ value }) => told.push([value, committed.length])),
    );
    await database.answer();
    await Promise.all(all);
    expect(told).toEqual([
      [7, 1],
      [8, 1],
      [9, 1],
    ]);
    expect(committed).toEqual([[7, 8, 9]]);
  });

  it('but never two with the same key, which keep their order', async () => {
    const order: number[] = [];
    const all = [
      { key: 'a', value: 1 },
      { key: 'a', value: 2 },
      { key: 'b', value: 3 },
      { key: 'a', value: 4 },
      { key: 'b', value: 5 },
    ].map((input) => combiner.run(input).then(({ value }) => order.push(value)));
    for (let batch = 0; batch < 3; batch++) await database.answer();
    await Promise.all(all);
    expect(database.batches).toEqual([[1, 3], [2, 5], [4]]);
    expect(order).toEqual([1, 3, 2, 5, 4]);
  });

  it('up to 256 at once', async () => {
    const all = writes(...Array.from({ length: 600 }, (_, n) => n));
    for (let batch = 0; batch < 3; batch++) await database.answer();
    await Promise.all(all);
    expect(database.batches.map(({ length }) => length)).toEqual([256, 256, 88]);
  });
});

describe('A batch that the database refuses', () => {
  it('is replayed one by one, so that only the one at fault fails', async () => {
    const fault = refusal('23514');
    database.judge = (batch) => {
      if (batch.some(({ value }) => value === 2)) throw fault;
    };
    const all = Promise.allSettled(writes(1, 2, 3));
    for (let batch = 0; batch < 4; batch++) await database.answer();
    expect(results(await all)).toEqual([1, fault, 3]);
    expect(database.batches).toEqual([[1, 2, 3], [1], [2], [3]]);
    expect(committed).toEqual([[1], [3]]);
  });

  it('for a deadlock is tried again, even when it is a single write', async () => {
    database.judge = (_, attempt) => {
      if (attempt < 3) throw refusal('40P01');
    };
    const [write] = writes(1);
    for (let batch = 0; batch < 3; batch++) await database.answer();
    expect(await write).toEqual({ n: '0', value: 1 });
    expect(database.batches).toHaveLength(3);
  });

  it('for deadlocks without end fails in the end', async () => {
    database.judge = () => {
      throw refusal('40001');
    };
    const all = Promise.allSettled(writes(1));
    for (let batch = 0; batch < 3; batch++) await database.answer();
    expect(results(await all)).toEqual([expect.objectContaining({ code: '40001' })]);
  });
});

describe('A batch whose connection broke', () => {
  it('is not replayed, since it may have been committed; what comes after goes on', async () => {
    const broken = new DatabaseUnavailableError('gone');
    database.judge = (_, attempt) => {
      if (attempt === 1) throw broken;
    };
    const all = Promise.allSettled(writes(1, 2));
    await database.answer();
    expect(results(await all)).toEqual([broken, broken]);
    const [next] = writes(3);
    await database.answer();
    expect((await next).value).toBe(3);
    expect(database.batches).toEqual([[1, 2], [3]]);
    expect(committed).toEqual([[3]]);
  });
});

describe('A write that waits behind one that takes long', () => {
  it('is refused unsent after a while, and what comes then at once, until that is answered', async () => {
    jest.useFakeTimers();
    try {
      const [first] = writes(1);
      await jest.advanceTimersByTimeAsync(1);
      const [second] = writes(2);
      const refused = expect(second).rejects.toBeInstanceOf(DatabaseBusyError);
      await jest.advanceTimersByTimeAsync(2_500);
      await refused;
      await expect(writes(3)[0]).rejects.toBeInstanceOf(DatabaseBusyError);
      await database.answer();
      await first;
      const [fourth] = writes(4);
      await jest.advanceTimersByTimeAsync(1);
      await database.answer();
      expect((await fourth).value).toBe(4);
      expect(database.batches).toEqual([[1], [4]]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('is refused at once, when the one before was broken off in its wait for a lock, until one is done', async () => {
    const broken = refusal('55P03');
    database.judge = () => {
      throw broken;
    };
    const [first] = writes(1);
    const failed = expect(first).rejects.toBe(broken);
    await database.answer();
    await failed;
    database.judge = () => undefined;
    const [second] = writes(2);
    await expect(writes(3)[0]).rejects.toBeInstanceOf(DatabaseBusyError);
    await database.answer();
    expect((await second).value).toBe(2);
    const later = writes(4, 5);
    await database.answer();
    expect((await Promise.all(later)).map(({ value }) => value)).toEqual([4, 5]);
  });

  it('is refused, too, when there are answers, but not for it', async () => {
    jest.useFakeTimers();
    try {
      const same = writes(1, 1, 1, 1);
      await jest.advanceTimersByTimeAsync(1);
      const refused = expect(same[3]).rejects.toBeInstanceOf(DatabaseBusyError);
      for (let n = 0; n < 3; n++) {
        await jest.advanceTimersByTimeAsync(1_500);
        await database.answer();
      }
      await Promise.all([...same.slice(0, 3), refused]);
      expect(database.batches).toEqual([[1], [1], [1]]);
    } finally {
      jest.useRealTimers();
    }
  });

  it('is not tried alone either, when its batch was refused and its neighbours take long', async () => {
    jest.useFakeTimers();
    try {
      database.judge = (batch) => {
        if (batch.length > 1) throw refusal('55P03');
      };
      const [first, second] = writes(1, 2);
      await jest.advanceTimersByTimeAsync(1);
      const refused = expect(second).rejects.toBeInstanceOf(DatabaseBusyError);
      await database.answer();
      await jest.advanceTimersByTimeAsync(6_000);
      await database.answer();
      await Promise.all([first, refused]);
      expect(database.batches).toEqual([[1, 2], [1]]);
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('A write that has a statement of its own for one', () => {
  const ALONE = { name: 'test.write_alone', text: 'unused' };
  let sent: string[];

  beforeEach(() => {
    sent = [];
    const statements = {
      async run({ name }: Statement, [value]: readonly unknown[]) {
        sent.push(`${name} ${String(value)}`);
        if (name === ALONE.name) return value === 13 ? [] : [{ value }];
        return (JSON.parse(value as string) as Numbered[]).map((input) => ({
          ...input,
          n: String(input.n),
        }));
      },
    };
    combiner = new WriteCombiner<Input, Row>(
      statements as unknown as PipelinedStatements,
      {
        statement: STATEMENT,
        alone: {
          statement: ALONE,
          fits: ({ value }) => value < 100,
          values: ({ value }) => [value],
          toRow: (rows: readonly { value: number }[]) => rows[0] && { n: '0', value: rows[0].value },
        },
      },
      (rows) => committed.push(rows.map(({ value }) => value)),
    );
  });

  it('is sent by it when nobody else writes, and by the one for many otherwise', async () => {
    expect(await Promise.all(writes(1))).toEqual([{ n: '0', value: 1 }]);
    await Promise.all(writes(2, 3));
    expect(sent).toEqual(['test.write_alone 1', 'test.write [{"n":0,"value":2},{"n":1,"value":3}]']);
    expect(committed).toEqual([[1], [2, 3]]);
  });

  it('is sent by the one for many where the other is not for it, or leaves it undone', async () => {
    await Promise.all(writes(100));
    expect(await Promise.all(writes(13))).toEqual([{ n: '0', value: 13 }]);
    expect(sent).toEqual([
      'test.write [{"n":0,"value":100}]',
      'test.write_alone 13',
      'test.write [{"n":0,"value":13}]',
    ]);
    expect(committed).toEqual([[100], [13]]);
  });
});

describe('A write that says where its record is', () => {
  it('is sent by the statement that looks there, unless the batch holds one that does not say so', async () => {
    const sent: string[] = [];
    const statements = {
      async run({ name }: Statement, [json]: readonly unknown[]) {
        const batch = JSON.parse(json as string) as Numbered[];
        sent.push(`${name} ${batch.map(({ value }) => value).join(' ')}`);
        return batch.map((input) => ({ ...input, n: String(input.n) }));
      },
    };
    combiner = new WriteCombiner<Input, Row>(
      statements as unknown as PipelinedStatements,
      {
        statement: STATEMENT,
        located: {
          statement: { name: 'test.write_there', text: 'unused' },
          fits: ({ value }) => value < 100,
        },
      },
      () => undefined,
    );
    await Promise.all(writes(1, 2));
    await Promise.all(writes(3, 100, 4));
    await Promise.all(writes(5));
    expect(sent).toEqual(['test.write_there 1 2', 'test.write 3 100 4', 'test.write_there 5']);
  });
});

describe('A batch for which there is no room on the disk', () => {
  it('fails as one: none of its writes would fare better alone', async () => {
    const full = refusal('53100');
    database.judge = () => {
      throw full;
    };
    const all = Promise.allSettled(writes(1, 2, 3));
    await database.answer();
    expect(results(await all)).toEqual([full, full, full]);
    expect(database.batches).toHaveLength(1);
  });
});

describe('Too many waiting writes', () => {
  it('are refused at once, and those before them are done', async () => {
    const all = Promise.allSettled(writes(...Array.from({ length: 8_193 }, (_, n) => n)));
    for (let batch = 0; batch < 32; batch++) await database.answer();
    const settled = await all;
    expect(settled.filter(({ status }) => status === 'fulfilled')).toHaveLength(8_192);
    expect(results(settled.slice(-1))).toEqual([expect.any(DatabaseBusyError)]);
  });
});
