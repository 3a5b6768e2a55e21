import { Problem } from '../common/problem.js';

/** 429 `rate_limited`: too many requests in this minute; nothing was done. */
export class RateLimited extends Problem {
  /** @param seconds until requests are taken again */
  constructor(seconds: number) {
    super(429, 'rate_limited', `Too many requests; try again in ${seconds} s.`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }
}

/** 429 `too_many_attempts`: the password or second factor was wrong too often; it was not looked at. */
export class TooManyAttempts extends Problem {
  /** @param seconds until the next attempt is taken */
  constructor(seconds: number) {
    super(429, 'too_many_attempts', `Too many failed attempts; try again in ${seconds} s.`, {
      headers: { 'Retry-After': String(seconds) },
    });
  }
}
