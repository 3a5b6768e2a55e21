/**
 * A process that uses the embedded server in the folder named by its argument until its channel closes. It reports
 * the server's URL and, for what else the environment may do to it, the search path of a session of its data source.
 */
import 'reflect-metadata';
import { once } from 'node:events';
import { startEmbedded } from '../../src/database/embedded.js';

const left = once(process, 'disconnect');
const server = await startEmbedded({ dataDir: process.argv[2] ?? '', log: () => undefined });
const report = { url: server.url, searchPath: process.env.PGOPTIONS && (await searchPath(server.url)) };
// With a callback, because a test that has ended meanwhile would otherwise end this process before it leaves.
process.send?.(report, undefined, undefined, () => undefined);
await left;
await server.stop();

async function searchPath(url: string): Promise<string> {
  // Only now: it brings every entity, and most tests start many of these processes.
  const { DataSource } = await import('typeorm');
  const { dataSourceOptions } = await import('../../src/database/data-source.js');
  const options = dataSourceOptions({ url, poolSize: 2, statementTimeoutMs: 5_000 });
  const dataSource = await new DataSource(options).initialize();
  const [setting] = await dataSource.query<[{ search_path: string }]>('SHOW search_path');
  await dataSource.destroy();
  return setting.search_path;
}
