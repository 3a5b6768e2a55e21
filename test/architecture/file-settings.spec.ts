import { expect, it, jest } from '@jest/globals';

jest.retryTimes(1);

let attempts = 0;

it('a file that has its tests repeated is heard', () => {
  expect(++attempts).toBe(2);
});
