import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');

/** Folder → what it may import. Everything else is forbidden, and tried below. */
const house: Record<string, string[]> = {
  common: [],
  config: ['common'],
  database: ['common', 'config'],
  accounts: ['common', 'config', 'database'],
  sessions: ['common', 'config', 'database', 'accounts'],
  workspaces: ['common', 'config', 'database', 'accounts', 'sessions', 'events'],
  events: ['common', 'config', 'database'],
  items: ['common', 'config', 'database', 'sessions', 'workspaces', 'events'],
  agents: ['common', 'config', 'database', 'sessions', 'workspaces', 'events'],
  rooms: ['common', 'config', 'database', 'sessions', 'workspaces', 'events'],
  'custom-rooms': ['common', 'config', 'database', 'sessions', 'workspaces', 'events', 'rooms'],
  'a-new-feature': ['common', 'config', 'database', 'sessions', 'workspaces', 'events'],
};
const folders = Object.keys(house);

/** Rule, the file that breaks it, what that file imports. */
const broken: [rule: string, from: string, specifier: string][] = [
  ['observability-is-wired-in-once', 'src/main.ts', './observability/metrics.js'],
  ['observability-is-wired-in-once', 'src/items/metrics.ts', '../observability/metrics.js'],
  ['entity-list-imports', 'src/database/entities.ts', '../items/items.service.js'],
  ['database-imports', 'src/database/other.ts', '../items/item.entity.js'],
  ['feature-imports', 'src/items/rooms.ts', '../rooms/room-hub.js'],
  ['workspaces-imports', 'src/workspaces/rooms.ts', '../rooms/room-hub.js'],
  ['events-imports', 'src/events/authoriser.ts', '../rooms/room-authoriser.decorator.js'],
  ['feature-imports', 'src/items/map.ts', '../app.module.js'],
  ['common-imports', 'src/common/typed.ts', 'type ../items/items.service.js'],
  ['no-circular', 'src/items/circle-1.ts', './circle-2.js'],
  ['no-circular', 'src/items/type-circle-1.ts', 'type ./type-circle-2.js'],
  ['not-to-unresolvable', 'src/items/lost.ts', './nowhere.js'],
  ['not-to-unresolvable', 'src/items/lost-package.ts', 'not-installed'],
  ['no-tests-in-product', 'src/items/tested.ts', '../../test/support/server.js'],
  ['no-tests-in-product', 'src/items/tested-too.ts', './items.service.spec.js'],
  ['no-dev-dependencies-in-product', 'src/items/dev.ts', 'dev-package'],
  ['no-dev-dependencies-in-product', 'migrations/2-dev.ts', 'dev-package'],
  ['no-undeclared-packages', 'src/items/undeclared.ts', 'undeclared-package'],
  ['migrations-stand-alone', 'migrations/1-first.ts', '../src/items/items.service.js'],
  ['examples-stand-alone', 'examples/worker/worker.ts', '../../src/items/items.service.js'],
];

/** Looks like the above and is right. */
const kept: [from: string, specifier: string][] = [
  ['src/app.module.ts', './observability/metrics.js'],
  ['src/observability/health.ts', '../database/migrations.js'],
  ['src/database/entities.ts', '../items/item.entity.js'],
  ['src/database/migrations.ts', '../../migrations/2-dev.js'],
  ['src/database/migrations.ts', '../../migrations/1-first.js'],
  ['src/items/authoriser.ts', '../rooms/room-authoriser.decorator.js'],
  ['src/workspaces/authoriser.ts', '../rooms/room-authoriser.decorator.js'],
  ['src/items/items.service.spec.ts', '../../test/support/server.js'],
  ['src/items/items.service.spec.ts', 'dev-package'],
  ['src/items/typed-dev.ts', 'type dev-package'],
  ['src/items/declared.ts', 'declared-package'],
];

interface Violation {
  rule: { name: string };
  from: string;
  to: string;
}

/** Runs the project's import rules over `src` and `examples` of a folder: `rule: from -> to` for all that break one. */
async function cruise(folder: string): Promise<string[]> {
  const args = [
    join(root, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs'),
    ...['--config', join(root, '.dependency-cruiser.cjs'), '--output-type', 'json', 'src', 'examples'],
  ];
  const json = await new Promise<string>((done, failed) => {
    // Exits with the number of violations, so only an answer that is no JSON is a failure.
    execFile(process.execPath, args, { cwd: folder, maxBuffer: 64 * 1_048_576 }, (error, stdout, stderr) => {
      if (stdout.startsWith('{')) done(stdout);
      else failed(new Error(`depcruise gave no answer: ${stderr}`, { cause: error }));
    });
  });
  const answer = JSON.parse(json) as { summary: { violations: Violation[]; totalCruised: number } };
  expect(answer.summary.totalCruised).toBeGreaterThan(0);
  return answer.summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
}

describe('The import rules', () => {
  let tree: string;
  let violations: string[];
  let ofSource: string[];

  beforeAll(async () => {
    tree = await mkdtemp(join(tmpdir(), 'atrium-imports-'));
    const files = new Map<string, string[]>();
    const add = (file: string, line?: string): void => {
      files.set(file, [...(files.get(file) ?? []), ...(line ? [line] : [])]);
    };
    const connect = (from: string, specifier: string): void => {
      const [, type = '', path = ''] = /^(type )?(.*)$/.exec(specifier) ?? [];
      add(from, type ? `import type { a } from '${path}';` : `import '${path}';`);
      if (path.startsWith('.') && !path.includes('nowhere'))
        add(relative('/', resolve('/', dirname(from), path)).replace(/\.js$/, '.ts'));
    };

    for (const from of folders)
      for (const to of folders) if (to !== from) connect(`src/${from}/to-${to}.ts`, `../${to}/leaf.js`);
    for (const [, from, specifier] of broken) connect(from, specifier);
    for (const [from, specifier] of kept) connect(from, specifier);
    connect('src/items/circle-2.ts', './circle-1.js');
    connect('src/items/type-circle-2.ts', 'type ./type-circle-1.js');
    add('src/items/forgotten.ts');

    add('tsconfig.json', '{ "compilerOptions": { "module": "nodenext", "moduleResolution": "nodenext" } }');
    const packages = { dependencies: { 'declared-package': '1' }, devDependencies: { 'dev-package': '1' } };
    add('package.json', JSON.stringify({ name: 'fixture', type: 'module', ...packages }));
    for (const name of ['declared-package', 'dev-package', 'undeclared-package']) {
      add(`node_modules/${name}/package.json`, JSON.stringify({ name, version: '1.0.0', main: 'index.js' }));
      add(`node_modules/${name}/index.js`);
    }
    for (const [file, lines] of files) {
      await mkdir(dirname(join(tree, file)), { recursive: true });
      await writeFile(
        join(tree, file),
        file.endsWith('.json') ? lines.join('') : [...lines, 'export {};', ''].join('\n'),
      );
    }
    [violations, ofSource] = await Promise.all([cruise(tree), cruise(root)]);
  });

  afterAll(() => rm(tree, { recursive: true, force: true }));

  it('hold in the source', () => {
    expect(ofSource).toEqual([]);
  });

  it.each(folders)('let src/%s import what the design says and nothing else', (from) => {
    const open = folders.filter(
      (to) => to !== from && !violations.some((line) => line.includes(`src/${from}/to-${to}.ts -> `)),
    );
    expect(open.sort()).toEqual(house[from]?.toSorted());
  });

  it.each(broken)('catch %s: %s imports %s', (rule, from) => {
    expect(violations.filter((line) => line.startsWith(`${rule}: ${from} -> `))).toHaveLength(1);
  });

  it('catch a file that nothing imports and that imports nothing', () => {
    expect(violations).toContain('no-orphans: src/items/forgotten.ts -> src/items/forgotten.ts');
  });

  it.each(kept)('let %s import %s', (from, specifier) => {
    const target = specifier.replace(/^type |\.js$|^.*\.\.?\//g, '');
    expect(violations.filter((line) => line.includes(`: ${from} -> `) && line.includes(target))).toEqual([]);
  });
});
