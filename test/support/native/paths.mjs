import { join, relative, resolve } from 'node:path';

export const root = resolve(import.meta.dirname, '../../..');

/** Below node_modules, so that packages are found from there. */
export const compiledRoot = join(root, 'node_modules/.cache/atrium-tests/sources');

/** Where the run's processes keep V8's code of what they load (`NODE_COMPILE_CACHE`), for one another and for later runs. */
export const codeCache = join(root, 'node_modules/.cache/atrium-tests/code');

/** @param {string} source path of a TypeScript file of the application */
export const compiledPath = (source) => join(compiledRoot, relative(root, source)).replace(/\.ts$/, '.js');

/** How TypeScript becomes JavaScript in tests. */
export const swcOptions = {
  jsc: {
    target: 'es2023',
    parser: { syntax: 'typescript', decorators: true },
    transform: { legacyDecorator: true, decoratorMetadata: true, useDefineForClassFields: false },
    keepClassNames: true,
  },
  module: { type: 'es6' },
};
