import { readFile } from 'node:fs/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Client } from 'pg';
import { Jobs } from '../../src/jobs/jobs.js';
import { type Instance, startInstance, testVariables } from '../support/app.js';
import { builtMain } from '../support/build.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { registerUser } from '../support/people.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { until } from '../support/until.js';

/** More of them, once in a while: what is promised does not depend on it. */
const LINES = Number(process.env.IMPORT_LINES ?? 3_000);
const PATIENCE_MS = 100_000 + LINES * 5;
/** Of the process: more than it has when nothing happens, and a good deal less than many lines have as items. */
const HEAP_MB = 160;
/** Collecting garbage takes a while. */
const PARTS_PER_LOOK = 50;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
/** Bytes that something still refers to. */
function liveHeap(): number {
  collectGarbage();
  return process.memoryUsage().heapUsed;
}

let database: TestDatabase;
let client: Client;
/** Holds what others wait for: what a transaction sees of them does not change. */
let holder: Client;
let first: AtriumProcess;
let second: Instance | undefined;
beforeAll(async () => {
  [database] = await Promise.all([createTestDatabase(), builtMain()]);
  client = new Client({ connectionString: database.url });
  holder = new Client({ connectionString: database.url });
  await Promise.all([client.connect(), holder.connect()]);
  first = await spawnAtrium({
    ...testVariables(database.url),
    NODE_OPTIONS: `--max-old-space-size=${HEAP_MB}`,
  });
}, 180_000);
afterAll(async () => {
  await first.kill();
  await second?.stop();
  await Promise.all([client.end(), holder.end()]);
  await database.drop();
});

const filler = 'x'.repeat(600);
/** The lines, made as they are sent. */
function* lines(): Generator<Uint8Array> {
  for (let n = 0; n < LINES; n++)
    yield Buffer.from(`{"title":"Item ${n}","type":"bulk","data":{"n":${n},"text":"${filler}"}}\n`);
}

const peakMb = async ({ child }: AtriumProcess): Promise<number> =>
  Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;

describe('An import of many items', () => {
  it(
    'survives a kill -9 within a batch: another instance goes on behind the last line that was committed',
    async () => {
      const url = await first.url();
      const ada = await registerUser({ url });
      const { status, body } = await ada.http.call<{ id: string }>('POST', '/v1/items/import', {
        raw: ReadableStream.from(lines()) as ReadableStream,
        headers: { 'Content-Type': 'application/x-ndjson' },
      });
      expect(status).toBe(202);
      const processed = async () => {
        const { rows } = await client.query<{ processed: number; state: string }>(
          'SELECT processed, state FROM item_imports WHERE id = $1',
          [body.id],
        );
        return rows[0];
      };
      const some = Math.max(500, LINES / 6);
      await until('some of it is done', async () => (await processed()).processed >= some, PATIENCE_MS);
      // Its next batch has written items, and waits for the stream's counter: then it is killed.
      await holder.query('BEGIN');
      await holder.query('SELECT 1 FROM streams WHERE id = $1 FOR UPDATE', [ada.workspaceId]);
      const waits = `SELECT 1 FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'atrium'`;
      await until('it waits for the counter', async () => (await client.query(waits)).rows.length > 0);
      const peak = await peakMb(first);
      await first.kill();
      await holder.query('COMMIT');
      const { processed: before } = await processed();
      expect(before).toBeGreaterThanOrEqual(some);
      expect(before).toBeLessThan(LINES);

      second = await startInstance(database.url);
      const { nest } = second;
      // As if the silence had lasted as long as it takes.
      await client.query(
        `UPDATE jobs.job SET heartbeat_on = now() - interval '1 hour' WHERE name = 'items.import' AND state = 'active'`,
      );
      await client.query(
        `UPDATE jobs.queue SET monitor_on = NULL, monitor_claim_on = now() - interval '1 hour'`,
      );
      await until(
        'it is done',
        async () => {
          await nest.get(Jobs, { strict: false }).sweep();
          return (await processed()).state === 'done';
        },
        PATIENCE_MS,
      );
      const { rows } = await client.query<{ n: number; subject: string }>(
        `SELECT (data -> 'data' ->> 'n')::int AS n, subject FROM events
         WHERE stream_id = $1 AND type = 'item.created' ORDER BY seq`,
        [ada.workspaceId],
      );
      expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: LINES }, (_, n) => n));
      const items = await client.query('SELECT 1 FROM items WHERE workspace_id = $1', [ada.workspaceId]);
      expect(items.rows).toHaveLength(LINES);
      const left = await client.query('SELECT 1 FROM item_import_chunks');
      expect(left.rows).toEqual([]);
      // The process itself has about 200 MB; what was sent is in the database.
      expect(peak).toBeLessThan(360);
      if (process.env.IMPORT_LINES) console.log(`peak of the process: ${Math.round(peak)} MB`);
    },
    2 * PATIENCE_MS,
  );

  it(
    'comes out again as an export, whole',
    async () => {
      if (!second) throw new Error('The import has not come so far');
      const { rows } = await client.query<{ email: string }>('SELECT email FROM users');
      const login = await http(second).post<{ accessToken: string }>('/v1/auth/login', {
        email: rows[0].email,
        password: 'correct horse battery',
      });
      const before = liveHeap();
      const answer = await fetch(`${second.url}/v1/items/export`, {
        headers: { Authorization: `Bearer ${login.body.accessToken}` },
      });
      let [count, parts, most] = [0, 0, 0];
      for await (const part of answer.body ?? []) {
        for (const byte of part as Uint8Array) if (byte === 10) count++;
        if (parts++ % PARTS_PER_LOOK === 0) most = Math.max(most, liveHeap() - before);
      }
      expect(count).toBe(LINES);
      expect(most).toBeLessThan(50_000_000);
      if (process.env.IMPORT_LINES) console.log(`live heap of the export: ${Math.round(most / 1e6)} MB`);
    },
    PATIENCE_MS,
  );
});
