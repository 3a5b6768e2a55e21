import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, it } from '@jest/globals';

const root = resolve(import.meta.dirname, '../..');
const read = (path: string) => readFileSync(join(root, path), 'utf8');
const licences = (...packages: object[]) => {
  const components = packages.map((of, n) => ({ name: `p${n}`, version: '1.0.0', ...of }));
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/licences.mjs')], {
    input: JSON.stringify({ components }),
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
};
const under = (id: string) => ({ licenses: [{ license: { id } }] });

describe('The supply chain', () => {
  it('of every package in the lock file, the content is fixed by a hash', () => {
    const { packages } = JSON.parse(read('package-lock.json')) as {
      packages: Record<string, { integrity?: string; link?: boolean }>;
    };
    const unfixed = Object.entries(packages).filter(([path, { integrity }]) => path !== '' && !integrity);
    expect(unfixed.map(([path]) => path)).toEqual([]);
  });

  it('of every action of the public workflow, the commit is fixed, and its version said', () => {
    for (const file of readdirSync(join(root, '.github/workflows'))) {
      const uses = [...read(`.github/workflows/${file}`).matchAll(/uses: (.*)/g)].map(([, action]) => action);
      expect(uses).not.toEqual([]);
      for (const action of uses) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
    }
  });

  it('the public workflow repeats the gate', () => {
    expect(read('.github/workflows/ci.yml')).toMatch(/run: .*\.ci\/run/);
  });

  it('a licence that nobody has agreed to is refused, with the package that has it', () => {
    expect(licences(under('MIT'), under('AGPL-3.0-only'))).toMatchObject({
      status: 1,
      stderr: 'p1@1.0.0 is under AGPL-3.0-only\n',
    });
    expect(licences({})).toMatchObject({ status: 1, stderr: 'p0@1.0.0 is under none\n' });
    expect(licences({ licenses: [{ expression: 'MIT AND GPL-2.0-only' }] })).toMatchObject({ status: 1 });
    expect(licences()).toMatchObject({ status: 1 });
  });

  it('of a choice of licences, one that is agreed to is enough', () => {
    expect(licences({ licenses: [{ expression: '(GPL-2.0-only OR MIT)' }] })).toMatchObject({ status: 0 });
    expect(licences(under('MIT'), under('ISC'), under('MIT')).stdout).toBe('    2  MIT\n    1  ISC\n');
  });
});
