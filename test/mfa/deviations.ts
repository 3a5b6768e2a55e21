import { generateKeyPairSync } from 'node:crypto';
import type { Deviation } from '../support/authenticator.js';

/** Of an authenticator that nobody has registered. */
export const anotherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
/** What a ceremony is refused for, whichever it is. */
export const DEVIATIONS: [what: string, deviation: Deviation][] = [
  ['another origin', { origin: 'https://app.example.com.evil.example' }],
  ['an unlisted origin of the same domain', { origin: 'https://other.example.com' }],
  ['another RP id', { rpId: 'evil.example' }],
  ['a challenge that was never given', { challenge: 'A'.repeat(43) }],
  ['no user verification', { userVerified: false }],
  ['the other kind of ceremony', { type: 'payment.get' }],
];
