import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
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

describe('Announcing what was committed', () => {
  beforeEach(() => {
    Logger.overrideLogger(false);
  });
  afterEach(() => {
    Logger.overrideLogger(['log', 'error', 'warn', 'debug', 'verbose', 'fatal']);
  });

  it('never fails the writer nor the next listener, whatever a listener does', () => {
    const announcements = new Announcements();
    const heard: StreamEvent[] = [];
    announcements.listen(() => {
      throw new Error('a listener at fault');
    });
    announcements.listen((events) => heard.push(...events));
    announcements.announce([event]);
    expect(heard).toEqual([event]);
  });

  it('tells nobody of nothing', () => {
    const announcements = new Announcements();
    let calls = 0;
    announcements.listen(() => calls++);
    announcements.announce([]);
    expect(calls).toBe(0);
  });
});
