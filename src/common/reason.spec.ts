import { describe, expect, it } from '@jest/globals';
import { reasonOf } from './reason.js';

const refused = (address: string) => new Error(`connect ECONNREFUSED ${address}`);

describe('The reason of an error', () => {
  it.each<[string, unknown, string]>([
    ['its message', new Error('out of paper'), 'out of paper'],
    [
      'that of each address that was tried, where it has none of its own',
      new AggregateError([refused('::1:5432'), refused('127.0.0.1:5432'), refused('::1:5432')]),
      'connect ECONNREFUSED ::1:5432; connect ECONNREFUSED 127.0.0.1:5432',
    ],
    ['its code, where it says nothing', Object.assign(new Error(), { code: 'EIO' }), 'EIO'],
    ['its name, where there is nothing else', new TypeError(), 'TypeError'],
    ['what was thrown, if that is no error', 'paper', 'paper'],
    ['its message, if it is the copy of one', { code: 'EIO', message: 'out of ink' }, 'out of ink'],
  ])('is %s', (_, error, reason) => {
    expect(reasonOf(error)).toBe(reason);
  });
});
