import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import type { Bus } from '../bus/bus.js';
import { Announcements } from './announcements.js';
import { StreamEvent } from './stream-event.js';

const event = new StreamEvent({
  streamId: 's',
  seq: 1,
  id: 'e',
  type: 't',
  subject: 'items/1',
  principalId: 'p',
  time: '2026-01-31 08:00:00+00',
  data: '{}',
});

/** Takes notes of what the other instances are told. */
const told: string[] = [];
const bus = { publish: (...parts: string[]) => void told.push(parts.join(' ')) } as unknown as Bus;

describe('Announcing what was committed', () => {
  beforeEach(() => {
    Logger.overrideLogger(false);
  });
  afterEach(() => {
    Logger.overrideLogger(['log', 'error', 'warn', 'debug', 'verbose', 'fatal']);
  });

  it('never fails the writer nor the next listener, whatever a listener does', () => {
    const announcements = new Announcements(bus);
    const heard: StreamEvent[] = [];
    announcements.listen(() => {
      throw new Error('a listener at fault');
    });
    announcements.listen((events) => heard.push(...events));
    announcements.announce([event]);
    expect(heard).toEqual([event]);
    expect(told).toEqual(['streams s 1']);
  });

  it('tells nobody of nothing', () => {
    const announcements = new Announcements(bus);
    let calls = 0;
    announcements.listen(() => calls++);
    announcements.announce([]);
    expect(calls).toBe(0);
  });
});
