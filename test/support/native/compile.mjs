import { transformFile } from '@swc/core';
import { execFile } from 'node:child_process';
import { glob, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { codeCache, compiledPath, compiledRoot, root, swcOptions } from './paths.mjs';

/** The application, and what tests drive it with. */
const SOURCES = ['src/**/*.ts', 'migrations/*.ts', 'test/support/**/*.ts'];

/** Compiles the sources, for Node to load them as they are; what is compiled already stays. */
export async function compileSources() {
  await mkdir(compiledRoot, { recursive: true });
  await write(join(compiledRoot, 'package.json'), '{"type":"module"}');
  // It tells where things are, and is itself somewhere else here.
  const paths = join(import.meta.dirname, 'paths.mjs');
  const compiledPaths = join(compiledRoot, relative(root, paths));
  await write(compiledPaths, `export * from ${JSON.stringify(pathToFileURL(paths).href)};`);
  for await (const source of glob(SOURCES, { cwd: root })) {
    if (source.endsWith('.spec.ts')) continue;
    const file = join(root, source);
    const { code } = await transformFile(file, { ...swcOptions, swcrc: false, sourceMaps: false });
    await write(compiledPath(file), code);
  }
}

/** What has been renamed or removed since stays in the cache until it is begun anew. */
const KEPT_MS = 7 * 24 * 3_600_000;

/**
 * Loads the compiled application once, where nobody has lately: some twenty processes of a run load its three thousand
 * modules, and take V8's code of them from what this one leaves behind.
 */
export async function warmCodeCache() {
  const since = (await stat(codeCache).catch(() => undefined))?.birthtimeMs ?? 0;
  if (Date.now() - since < KEPT_MS) return;
  await rm(codeCache, { recursive: true, force: true });
  const application = pathToFileURL(compiledPath(join(root, 'src/application.ts'))).href;
  await promisify(execFile)(process.execPath, ['--no-warnings', '--import', application, '-e', ''], {
    cwd: root,
    env: { ...process.env, NODE_COMPILE_CACHE: codeCache },
  });
}

/** Whole or not at all, since another run may be reading. */
async function write(path, text) {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.${process.pid}`, text);
  await rename(`${path}.${process.pid}`, path);
}
