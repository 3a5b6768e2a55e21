import { transformFile } from '@swc/core';
import { glob, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { compiledPath, compiledRoot, root, swcOptions } from './paths.mjs';

/** The application, and the process that tests start many of. */
const SOURCES = ['src/**/*.ts', 'migrations/*.ts', 'test/support/database-holder.ts'];

/** Compiles the sources, for Node to load them as they are; what is compiled already stays. */
export async function compileSources() {
  await mkdir(compiledRoot, { recursive: true });
  await write(join(compiledRoot, 'package.json'), '{"type":"module"}');
  for await (const source of glob(SOURCES, { cwd: root })) {
    if (source.endsWith('.spec.ts')) continue;
    const file = join(root, source);
    const { code } = await transformFile(file, { ...swcOptions, swcrc: false, sourceMaps: false });
    await write(compiledPath(file), code);
  }
}

/** Whole or not at all, since another run may be reading. */
async function write(path, text) {
  if ((await readFile(path, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(path), { recursive: true });
  await writeFile(`${path}.${process.pid}`, text);
  await rename(`${path}.${process.pid}`, path);
}
