import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, glob, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { root } from './native/paths.mjs';
import { until } from './until.js';

const dist = join(root, 'dist');
const cache = join(root, 'node_modules/.cache/atrium-tests');
const SOURCES = ['src/**/*.ts', 'migrations/*.ts', 'tsconfig*.json', 'nest-cli.json', 'package-lock.json'];
const PATIENCE_MS = 120_000;
/** Builds of older sources than this are removed; a younger one may belong to another run. */
const KEPT_MS = 3_600_000;

/**
 * The application as `npm run build` compiles it, for what only shows there: the schemas that the compiler's plugin
 * writes, and the process as it is deployed. Built once for the same sources; types are not checked again.
 * @returns the path of the compiled `main.js`
 */
export async function builtMain(): Promise<string> {
  const target = join(cache, await fingerprint());
  const main = join(target, 'src/main.js');
  await mkdir(cache, { recursive: true });
  const lock = `${target}.lock`;
  const isBuilt = async () => (await stat(main).catch(() => undefined)) !== undefined;
  for (;;) {
    if (await isBuilt()) return main;
    const isMine = await mkdir(lock).then(
      () => true,
      () => false,
    );
    if (isMine) break;
    // Another suite builds it; or one did that was killed.
    const since = (await stat(lock).catch(() => undefined))?.mtimeMs;
    if (since !== undefined && Date.now() - since > PATIENCE_MS)
      await rm(lock, { recursive: true, force: true });
    await until('built by the other', async () => (await isBuilt()) || !(await exists(lock)), PATIENCE_MS);
  }
  try {
    await build(target);
    return main;
  } finally {
    await rm(lock, { recursive: true, force: true });
  }
}

const exists = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

async function build(target: string): Promise<void> {
  const outDir = `${target}.${process.pid}`;
  if (await isCurrent(dist)) await cp(dist, outDir, { recursive: true });
  else await compile(outDir);
  await writeFile(join(outDir, 'package.json'), '{"type":"module"}');
  await rename(outDir, target);
  for (const name of await readdir(cache)) {
    if (name === 'sources' || name === 'code') continue; // see native/compile.mjs
    const since = (await stat(join(cache, name)).catch(() => undefined))?.mtimeMs ?? Date.now();
    if (Date.now() - since > KEPT_MS) await rm(join(cache, name), { recursive: true, force: true });
  }
}

/** Whether somebody has built there since the sources last changed, as the gate does before its tests. */
async function isCurrent(folder: string): Promise<boolean> {
  const builtAt = (await stat(join(folder, 'src/main.js')).catch(() => undefined))?.mtimeMs ?? 0;
  const changedAt = (await sources()).map(async (file) => (await stat(join(root, file))).mtimeMs);
  return Math.max(...(await Promise.all(changedAt))) < builtAt;
}

async function compile(outDir: string): Promise<void> {
  const tsconfig = `${outDir}.json`;
  await writeFile(
    tsconfig,
    JSON.stringify({
      extends: join(root, 'tsconfig.build.json'),
      compilerOptions: { outDir, sourceMap: false, noCheck: true },
    }),
  );
  const nest = createRequire(import.meta.url).resolve('@nestjs/cli/bin/nest.js');
  await promisify(execFile)(process.execPath, [nest, 'build', '--path', relative(root, tsconfig)], {
    cwd: root,
  });
  await rm(tsconfig);
}

async function sources(): Promise<string[]> {
  const files: string[] = [];
  for await (const file of glob(SOURCES, { cwd: root })) if (!file.endsWith('.spec.ts')) files.push(file);
  return files;
}

async function fingerprint(): Promise<string> {
  const hash = createHash('sha256');
  for (const file of (await sources()).sort()) hash.update(file).update(await readFile(join(root, file)));
  return hash.digest('hex').slice(0, 16);
}
