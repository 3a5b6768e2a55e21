import { existsSync } from 'node:fs';
import { ConfigurationError } from '../config/configuration-error.js';
import { loadConfig } from '../config/config.js';

/** The part of the configuration that the database's commands need. */
export interface CommandSettings {
  /** `undefined`: the embedded server. */
  readonly url: string | undefined;
  /** Past a pooler; `undefined`: the same as `url`. */
  readonly directUrl: string | undefined;
  readonly pooled: boolean;
  readonly poolSize: number;
  readonly statementTimeoutMs: number;
  /** Absolute path. */
  readonly dataDir: string;
}

const VARIABLES = [
  'DATABASE_URL',
  'DATABASE_DIRECT_URL',
  'DATABASE_POOLER',
  'DATABASE_POOL_SIZE',
  'DATABASE_STATEMENT_TIMEOUT_MS',
  'DATA_DIR',
];

/** Adds the variables of `.env` in the working directory, if there is one; what is set already stays. */
export function loadDotEnv(): void {
  if (existsSync('.env')) process.loadEnvFile('.env');
}

/**
 * Reads what the database's commands need and nothing else, so that a migration job does not have to be given
 * the application's secrets.
 * @throws {ConfigurationError} naming the variable and the mend
 */
export function commandSettings(env: Readonly<Record<string, string | undefined>>): CommandSettings {
  const config = loadConfig(Object.fromEntries(VARIABLES.map((name) => [name, env[name]])));
  if (env.NODE_ENV === 'production' && config.database.url === undefined)
    throw new ConfigurationError([
      'DATABASE_URL must be set in production: the embedded PostgreSQL is for development only',
    ]);
  return { ...config.database, dataDir: config.dataDir };
}
