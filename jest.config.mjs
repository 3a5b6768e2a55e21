import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { root, swcOptions } from './test/support/native/paths.mjs';

/** Loaded once per worker; see test/support/native/transform.mjs. */
const NATIVE =
  '(@nestjs|@seriousme|ajv|ajv-formats|class-transformer|class-validator|csv-parse|fast-check|jsonwebtoken|mailparser|' +
  'openid-client|pg|pg-boss|reflect-metadata|rfc6902|rxjs|typeorm)/';
const SOURCES = `^${RegExp.escape(root)}/(src|migrations|test/support)/.*\\.ts$`;

const hasRedis = spawnSync('redis-server', ['--version']).status === 0;
if (!hasRedis) console.warn('There is no redis-server on the PATH: the specs in test/redis are left out.');
const hasPgBouncer = spawnSync('pgbouncer', ['--version']).status === 0;
if (!hasPgBouncer) console.warn('There is no pgbouncer on the PATH: the specs in test/pooler are left out.');
const hasKubectl = spawnSync('kubectl', ['kustomize', '--help']).status === 0;
if (!hasKubectl) console.warn('There is no kubectl on the PATH: the specs in test/kubectl are left out.');
const hasPostgreSql = globSync('/usr/lib/postgresql/*/bin/pg_basebackup').length > 0;
if (!hasPostgreSql)
  console.warn('There is no PostgreSQL of the system: the specs in test/postgresql are left out.');

/** What is not on this machine, by the folder of its specs. */
const leftOut = [
  ...(hasRedis ? [] : ['redis']),
  ...(hasPgBouncer ? [] : ['pooler']),
  ...(hasKubectl ? [] : ['kubectl']),
  ...(hasPostgreSql ? [] : ['postgresql']),
];

/** Specs run as ES modules (`npm test` passes the flag that allows it). */
const modules = {
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
};
const swc = { '^.+\\.ts$': ['@swc/jest', { ...swcOptions, sourceMaps: 'inline' }] };

export default {
  projects: [
    {
      ...modules,
      // Pure rules, and timers that the tests move.
      testMatch: ['<rootDir>/src/**/*.spec.ts'],
      transform: swc,
    },
    {
      ...modules,
      // The public surface, on one real PostgreSQL for the whole run.
      testMatch: ['<rootDir>/test/**/*.e2e-spec.ts', '<rootDir>/test/**/*.spec.ts'],
      testPathIgnorePatterns: ['/node_modules/', ...leftOut.map((folder) => `<rootDir>/test/${folder}/`)],
      testEnvironment: '<rootDir>/test/support/native/environment.mjs',
      testRunner: '<rootDir>/test/support/native/runner.mjs',
      // Files share one `expect`, which is not to be taken apart with the globals of one of them.
      injectGlobals: false,
      globalSetup: '<rootDir>/test/support/global-setup.mjs',
      globalTeardown: '<rootDir>/test/support/global-teardown.mjs',
      transform: {
        [`/node_modules/${NATIVE}`]: '<rootDir>/test/support/native/transform.mjs',
        [SOURCES]: '<rootDir>/test/support/native/transform.mjs',
        ...swc,
      },
      transformIgnorePatterns: [`/node_modules/(?!${NATIVE})`],
    },
  ],
  testSequencer: '<rootDir>/test/support/longest-first.mjs',
  // Jest takes it from here and not from the projects.
  testTimeout: 120_000,
  // Of two cores, one would idle while a test waits for PostgreSQL or a process.
  maxWorkers: 4,
  // A new one costs as much as ten files, most of which keep some 35 MB.
  workerIdleMemoryLimit: '2GB',
};
