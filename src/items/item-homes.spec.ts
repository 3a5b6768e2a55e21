import { describe, expect, it } from '@jest/globals';
import type { PipelinedStatements } from '../database/pipelined-statements.js';
import { ItemHomes } from './item-homes.js';

describe('The homes of items', () => {
  it('are known of the newest 50,000', () => {
    const homes = new ItemHomes({} as PipelinedStatements);
    for (let n = 0; n <= 50_000; n++) homes.remember(`item-${n}`, 'workspace');
    expect([0, 1, 50_000].map((n) => homes.of(`item-${n}`))).toEqual([undefined, 'workspace', 'workspace']);
  });
});
