import 'reflect-metadata';
import { resolve } from 'node:path';
import { DataSource } from 'typeorm';
import { reasonOf } from '../common/reason.js';
import { ConfigurationError } from '../config/configuration-error.js';
import { type DatabaseSettings, dataSourceOptions } from './data-source.js';
import { EmbeddedServerError, startEmbedded } from './embedded.js';
import { isConnectionLoss, isLockTimeout, serverRefusal } from './errors.js';
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

/** How a command ends, besides 0; 78 is `EX_CONFIG` of sysexits.h. */
const EXIT = { failed: 1, usage: 2, configuration: 78 } as const;

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
    const [name = '', ...more] = args.filter((arg) => arg !== '--empty');
    const words = more.length === 0 ? nameWords(name) : undefined;
    if (!words) {
      console.error('Name the migration in words, such as add-item-labels:');
      console.error('  npm run migration:generate -- add-item-labels');
      return EXIT.usage;
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
  if ([name, ...args].some((each) => each === '--help' || each === '-h')) {
    console.log(USAGE);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  // What somebody believes to be an option must not be taken for consent.
  if (!command || (name !== 'generate' && args.length > 0)) {
    console.error(command ? `${name} takes nothing, but was given: ${args.join(' ')}\n\n${USAGE}` : USAGE);
    return EXIT.usage;
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
  console.error(explained(error));
  process.exitCode = error instanceof ConfigurationError ? EXIT.configuration : EXIT.failed;
}

/** What an operator can do something about, in a sentence; all that is known of the rest. */
function explained(error: unknown): unknown {
  if (error instanceof ConfigurationError || error instanceof EmbeddedServerError) return error.message;
  if (isConnectionLoss(error)) return `The database cannot be reached: ${reasonOf(error)}`;
  if (isLockTimeout(error))
    return 'A migration did not get its locks, however often it tried; nothing of it was done. See pg_stat_activity for what holds them';
  return serverRefusal(error) ?? error;
}
