import { root, swcOptions } from './test/support/native/paths.mjs';

/** Loaded once per worker; see test/support/native/transform.mjs. */
const NATIVE = '(@nestjs|typeorm|class-validator|class-transformer|reflect-metadata|rxjs|pg)/';
const SOURCES = `^${RegExp.escape(root)}/(src|migrations)/(?!.*\\.spec\\.ts$).*\\.ts$`;

/** Specs run as ES modules (`npm test` passes the flag that allows it) on one real PostgreSQL for the whole run. */
export default {
  testEnvironment: '<rootDir>/test/support/native/environment.mjs',
  roots: ['<rootDir>/src', '<rootDir>/test'],
  testMatch: ['**/test/**/*.e2e-spec.ts', '**/test/**/*.spec.ts', '**/src/**/*.spec.ts'],
  globalSetup: './test/support/global-setup.mjs',
  globalTeardown: './test/support/global-teardown.mjs',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: { '^(\\.{1,2}/.*)\\.js$': '$1' },
  transform: {
    [`/node_modules/${NATIVE}`]: '<rootDir>/test/support/native/transform.mjs',
    [SOURCES]: '<rootDir>/test/support/native/transform.mjs',
    '^.+\\.ts$': ['@swc/jest', { ...swcOptions, sourceMaps: 'inline' }],
  },
  transformIgnorePatterns: [`/node_modules/(?!${NATIVE})`],
  testTimeout: 120_000,
  // Of two cores, one would idle while a test waits for PostgreSQL or a process.
  maxWorkers: 4,
  workerIdleMemoryLimit: '400MB',
};
