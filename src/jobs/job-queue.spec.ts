import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { JobWithMetadata } from 'pg-boss';
import { logFields } from '../common/log-context.js';
import { JobQueue } from './job-queue.js';

describe('A job', () => {
  it('is named by every line that is logged while it runs, also after a wait, and by none afterwards', async () => {
    const seen: object[] = [];
    const queue = JobQueue.of('items.import', {}, async () => {
      seen.push(logFields());
      await setImmediate();
      seen.push(logFields());
      return 'done';
    });
    const { signal } = new AbortController();
    const id = '7e57ab1e-0000-4000-8000-000000000000';
    const job = { id, data: {}, retryCount: 0, retryLimit: 1, signal } as JobWithMetadata;
    await queue.run(job, signal);
    const named = { job: id, queue: 'items.import', traceId: id.replaceAll('-', '') };
    expect([...seen, logFields()]).toEqual([named, named, {}]);
  });
});
