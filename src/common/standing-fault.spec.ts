import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { StandingFault } from './standing-fault.js';

describe('What goes on failing', () => {
  let said: string[];
  let fault: StandingFault;
  beforeEach(() => {
    jest.useFakeTimers();
    said = [];
    const say = (line: unknown) => void said.push(String(line));
    fault = new StandingFault({ warn: say, log: say }, 'sweep the streams');
  });
  afterEach(() => void jest.useRealTimers());

  /** Tries once a second. */
  function failFor(seconds: number): void {
    for (let n = 0; n < seconds; n++) {
      fault.failed(new Error('no database'));
      jest.advanceTimersByTime(1_000);
    }
  }

  it('is said once, each minute, and once when it is well again', () => {
    fault.passed();
    expect(said).toEqual([]);
    failFor(60);
    expect(said).toEqual(['Cannot sweep the streams: no database']);
    failFor(2);
    expect(said).toHaveLength(2);
    fault.passed();
    fault.passed();
    expect(said.slice(2)).toEqual(['Can sweep the streams again, after 62.0 s']);
  });

  it('is said at once when it begins anew', () => {
    failFor(1);
    fault.passed();
    failFor(1);
    expect(said.map((line) => line.split(' ')[0])).toEqual(['Cannot', 'Can', 'Cannot']);
  });
});
