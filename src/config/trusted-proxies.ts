import { isIP } from 'node:net';

/**
 * Whom to believe what `X-Forwarded-For` says: the number of proxies in front, or their addresses. `false`: nobody.
 */
export type TrustedProxies = number | readonly string[] | false;

/** Networks that are nobody's on the internet, by Express's names for them. */
const NAMED = new Set(['loopback', 'linklocal', 'uniquelocal']);
/** A shorter prefix would trust a good part of the internet. */
const SHORTEST_PREFIX = { 4: 8, 6: 16 } as const;

/**
 * Reads `TRUST_PROXY`: a number of hops from 1 to 9, or addresses, networks (`10.0.0.0/8`) and names
 * separated by commas.
 * @returns `undefined` if it is none of these; "everybody" is none of these, too
 */
export function readTrustedProxies(text: string): Exclude<TrustedProxies, false> | undefined {
  if (/^[1-9]$/.test(text.trim())) return Number(text);
  const proxies = text
    .split(',')
    .map((proxy) => proxy.trim())
    .filter(Boolean);
  return proxies.length > 0 && proxies.every(isProxy) ? proxies : undefined;
}

function isProxy(text: string): boolean {
  if (NAMED.has(text)) return true;
  const [address = '', prefix, ...more] = text.split('/');
  const family = isIP(address);
  if ((family !== 4 && family !== 6) || more.length > 0) return false;
  if (prefix === undefined) return true;
  const bits = /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
  return bits >= SHORTEST_PREFIX[family] && bits <= (family === 4 ? 32 : 128);
}
