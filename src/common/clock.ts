import { Injectable } from '@nestjs/common';

/** The process's idea of time, injectable so that tests can move it. */
@Injectable()
export class Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number {
    return Date.now();
  }
}
