import 'reflect-metadata';
import { resolve } from 'node:path';
import { DataSource } from 'typeorm';
import { ConfigurationError } from '../config/configuration-error.js';
import { type DatabaseSettings, dataSourceOptions } from './data-source.js';
import { EmbeddedServerError, startEmbedded } from './embedded.js';
import { nameWords, writeMigration } from './migration-files.js';
import { currentMigration, migrate, migrationHistory, pendingMigrations, revert } from './migrator.js';
import { schemaDrift } from './schema-drift.js';
import { commandSettings, loadDotEnv } from './settings.js';

const USAGE = `Usage: npm run migration:<command>

  generate -- NAME [--empty]  write a migration for what the entities changed, or an empty one to fill in
  run                         apply the pending migrations
  revert                      take back the one applied last
  history                     list what is applied, and when, and what is pending
  current                     name the one applied last
  check                       fail if entities and migrations differ

In a container: node dist/src/database/cli.js <command>`;

type Command = (settings: DatabaseSettings, args: readonly string[]) => Promise<number>;

const commands: Readonly<Record<string, Command>> = {
  run: (settings) =>
    connected(settings, async (dataSource) => {
      const names = await migrate(dataSource, settings);
      for (const name of names) console.log(`applied ${name}`);
      if (names.length === 0) console.log('Nothing to do: every migration is applied.');
      return 0;
    }),

  revert: (settings) =>
    connected(settings, async (dataSource) => {
      const name = await revert(dataSource, settings);
      console.log(name === undefined ? 'Nothing to revert: no migration is applied.' : `reverted ${name}`);
      return name === undefined ? 1 : 0;
    }),

  history: (settings) =>
    connected(settings, async (dataSource) => {
      for (const { name, appliedAt, known } of await migrationHistory(dataSource))
        console.log(
          `${appliedAt ? `applied ${appliedAt.toISOString()}` : 'pending'.padEnd(32)}  ${name}` +
            (known ? '' : '  (not in this build)'),
        );
      return 0;
    }),

  current: (settings) =>
    connected(settings, async (dataSource) => {
      const current = await currentMigration(dataSource);
      const pending = await pendingMigrations(dataSource);
      console.log(current?.name ?? 'No migration is applied.');
      if (pending.length > 0) console.error(`${pending.length} pending: npm run migration:run`);
      return 0;
    }),

  check: async (settings) => {
    const { up } = await schemaDrift(settings);
    if (up.length === 0) {
      console.log('Entities and migrations agree.');
      return 0;
    }
    console.error('Entities and migrations differ. The migrations lack:\n');
    for (const { query } of up) console.error(`  ${query};`);
    console.error('\nWrite them with: npm run migration:generate -- NAME');
    return 1;
  },

  generate: async (settings, args) => {
    const empty = args.includes('--empty');
    const words = nameWords(args.find((arg) => !arg.startsWith('-')) ?? '');
    if (!words) {
      console.error('Name the migration in words, such as add-item-labels:');
      console.error('  npm run migration:generate -- add-item-labels');
      return 2;
    }
    const drift = empty ? { up: [], down: [] } : await schemaDrift(settings);
    if (!empty && drift.up.length === 0) {
      console.error(
        'Entities and migrations agree: there is nothing to generate. For SQL of your own add --empty.',
      );
      return 1;
    }
    const file = await writeMigration(resolve('migrations'), words, Date.now(), drift);
    console.log(`Wrote ${file}\nRead it, say why in its comment, then: npm run migration:run`);
    return 0;
  },
};

async function connected(
  settings: DatabaseSettings,
  work: (dataSource: DataSource) => Promise<number>,
): Promise<number> {
  const dataSource = await new DataSource(dataSourceOptions(settings)).initialize();
  try {
    return await work(dataSource);
  } finally {
    await dataSource.destroy();
  }
}

async function main([name = '', ...args]: readonly string[]): Promise<number> {
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    console.error(USAGE);
    return 2;
  }
  loadDotEnv();
  const { url, directUrl, dataDir, ...rest } = commandSettings(process.env);
  // What changes a schema needs a session of its own, where there is one to be had.
  if (directUrl !== undefined) return command({ ...rest, url: directUrl, pooled: false }, args);
  if (url !== undefined) return command({ ...rest, url }, args);
  const server = await startEmbedded({ dataDir, log: (line) => console.error(line) });
  try {
    return await command({ ...rest, url: server.url }, args);
  } finally {
    await server.stop();
  }
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const expected = error instanceof ConfigurationError || error instanceof EmbeddedServerError;
  console.error(expected ? error.message : error);
  process.exitCode = 1;
}
