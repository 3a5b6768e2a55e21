/**
 * A process that does the jobs `test.slow` of the database named by its argument: it reports that it has begun, and
 * never ends by itself.
 */
import 'reflect-metadata';
import { startJobs } from './jobs.js';

await startJobs(process.argv[2] ?? '', (jobs) => {
  jobs.handle<{ name: string }>('test.slow', {}, async ({ data }) => {
    process.send?.(data.name);
    return new Promise(() => undefined);
  });
});
process.send?.('ready');
