import 'reflect-metadata';
import { DataSource } from 'typeorm';
import { dataSourceOptions } from './src/database/data-source.js';
import { commandSettings, loadDotEnv } from './src/database/settings.js';

loadDotEnv();
const { url, ...settings } = commandSettings(process.env);
if (url === undefined)
  throw new Error(
    'DATABASE_URL must be set for the TypeORM command line; npm run migration:* work without, on the embedded server',
  );

/** For the TypeORM command line: `-d ormconfig.ts`, or compiled `-d dist/ormconfig.js`. */
export default new DataSource(dataSourceOptions({ ...settings, url }));
