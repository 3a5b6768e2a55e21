import { beforeAll, describe, expect, it } from '@jest/globals';
import { builtMain } from '../support/build.js';
import { drills } from './drills.js';
import { mutants, mutated } from './mutants.js';

describe('The mutants', () => {
  let main: string;
  beforeAll(async () => {
    main = await builtMain();
  }, 180_000);

  it.each(mutants)('$name still changes the code, and has a drill', (mutant) => {
    const files = mutated(mutant, main);
    for (const { put } of mutant.changes) expect([...files.values()].join()).toContain(put);
    expect(drills.map(({ name }) => name)).toContain(mutant.drill);
  });

  it('that no longer apply fail', () => {
    const [mutant] = mutants;
    const changes = [{ file: 'main.js', find: 'nothing that is there', put: '' }];
    expect(() => mutated({ ...mutant, changes }, main)).toThrow('does not apply');
  });
});
