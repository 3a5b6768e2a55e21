import 'reflect-metadata';
import { createRequire } from 'node:module';
import { compiledPath } from './paths.mjs';

const require = createRequire(import.meta.url);

/**
 * Instead of evaluating the application and its framework anew for every test file, which takes longer than most
 * files' tests, a worker loads them once, as Node does outside of Jest: what Jest gets to see of such a module
 * hands over the one that Node has.
 */
export default {
  process(_source, filename, { supportsStaticESM }) {
    const path = filename.endsWith('.ts') ? compiledPath(filename) : filename;
    const load = `globalThis.requireNatively(${JSON.stringify(path)})`;
    if (!supportsStaticESM) return { code: `module.exports = ${load};` };
    const exported = require(path);
    const names = Object.keys(exported).filter((name) => /^[\w$]+$/.test(name) && name !== 'default');
    const lines = [`const loaded = ${load};`];
    if (names.length > 0) lines.push(`export const { ${names.join(', ')} } = loaded;`);
    if ('default' in exported) lines.push('export default loaded.default;');
    return { code: lines.join('\n') };
  },
};
