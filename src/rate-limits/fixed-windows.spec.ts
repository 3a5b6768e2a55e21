import { beforeEach, describe, expect, it } from '@jest/globals';
import { FixedWindows } from './fixed-windows.js';

const MINUTE = 60_000;

describe('Fixed windows', () => {
  let now: number;
  let windows: FixedWindows;
  beforeEach(() => {
    now = 1_000_000;
    windows = new FixedWindows({ now: () => now }, 100);
  });

  it('begin with the first hit and end a minute later', () => {
    expect(windows.hit('a', MINUTE)).toEqual({ hits: 1, endsAt: now + MINUTE });
    now += MINUTE - 1;
    expect(windows.hit('a', MINUTE).hits).toBe(2);
    now += 1;
    expect(windows.find('a')).toBeUndefined();
    expect(windows.hit('a', MINUTE)).toEqual({ hits: 1, endsAt: now + MINUTE });
  });

  it('count each key by itself', () => {
    windows.hit('a', MINUTE);
    expect(windows.hit('b', MINUTE).hits).toBe(1);
  });

  it('tell the throttler who is blocked, and for how long, in seconds', async () => {
    const counted = [];
    for (let n = 0; n < 3; n++) counted.push(await windows.increment('a', MINUTE, 2));
    expect(counted).toEqual([
      { totalHits: 1, timeToExpire: 60, isBlocked: false, timeToBlockExpire: 0 },
      { totalHits: 2, timeToExpire: 60, isBlocked: false, timeToBlockExpire: 0 },
      { totalHits: 3, timeToExpire: 60, isBlocked: true, timeToBlockExpire: 60 },
    ]);
    now += MINUTE - 1_500;
    expect((await windows.increment('a', MINUTE, 2)).timeToBlockExpire).toBe(2);
  });

  it('never hold more than their capacity, whoever asks', () => {
    for (let n = 0; n < 5_000; n++) {
      windows.hit(`stranger ${n}`, MINUTE);
      now += 1;
    }
    expect(windows.size).toBe(100);
    expect(windows.find('stranger 4999')?.hits).toBe(1);
  });

  it('are gone after they have ended, as others come', () => {
    for (let n = 0; n < 50; n++) windows.hit(`early ${n}`, MINUTE);
    now += MINUTE;
    for (let n = 0; n < 25; n++) windows.hit(`late ${n}`, MINUTE);
    expect(windows.size).toBe(25);
  });

  it('take over what was counted elsewhere, in whatever order it is told', () => {
    windows.adopt('a', 3, now + 50_000);
    expect(windows.find('a')).toEqual({ hits: 3, endsAt: now + 50_000 });
    expect(windows.hit('a', MINUTE).hits).toBe(4);
    windows.adopt('a', 9, now + 50_004);
    windows.adopt('a', 8, now + 49_998); // was given before
    expect(windows.find('a')?.hits).toBe(9);
    windows.adopt('a', 1, now + MINUTE); // another window
    expect(windows.find('a')).toEqual({ hits: 1, endsAt: now + MINUTE });
    now += MINUTE;
    windows.adopt('a', 5, now + MINUTE);
    expect(windows.find('a')?.hits).toBe(5);
    for (let n = 0; n < 200; n++) windows.adopt(`stranger ${n}`, n, now + MINUTE);
    expect(windows.size).toBe(100);
  });

  it('of a key that comes back go to the end of the row, and outlive those that began before', () => {
    windows.hit('regular', MINUTE);
    now += MINUTE;
    windows.hit('regular', MINUTE);
    for (let n = 0; n < 99; n++) windows.hit(`stranger ${n}`, MINUTE);
    expect(windows.find('regular')?.hits).toBe(1);
  });
});
