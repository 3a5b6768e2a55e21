/** A process that uses the embedded server in the folder named by its argument until its channel closes. */
import 'reflect-metadata';
import { once } from 'node:events';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from '../../src/database/data-source.js';
import { startEmbedded } from '../../src/database/embedded.js';

const left = once(process, 'disconnect');
const server = await startEmbedded({ dataDir: process.argv[2] ?? '', log: () => undefined });
const settings = { url: server.url, poolSize: 2, statementTimeoutMs: 5_000 };
const dataSource = await new DataSource(dataSourceOptions(settings)).initialize();
const [setting] = await dataSource.query<[{ search_path: string }]>('SHOW search_path');
await dataSource.destroy();
process.send?.({ url: server.url, searchPath: setting.search_path });
await left;
await server.stop();
