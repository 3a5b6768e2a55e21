import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { FormParameters } from './form-body.js';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('What a form has sent', () => {
  it('names what came more than once, with or without a value', () => {
    expect(new FormParameters('a=1&b=2&c=').repeated).toBeUndefined();
    expect(new FormParameters('a=1&b&c=3&b=2&a=1').repeated).toBe('b');
    expect(new FormParameters('').repeated).toBeUndefined();
  });

  it('is not looked through once for each of its names: there may be very many', () => {
    const search = jest.spyOn(Array.prototype, 'indexOf');
    const form = new FormParameters(Array.from({ length: 100 }, (_, n) => `n${n}=`).join('&'));
    expect([form.repeated, search.mock.calls.length]).toEqual([undefined, 0]);
  });
});
