import type { CustomFetch } from 'openid-client';
import { traces } from '../common/traces.js';

/**
 * Asks a provider. It is told of no trace: whom a request here belongs to is no business of others.
 */
export const tracedFetch: CustomFetch = (url, options) => {
  if (traces === undefined) return fetch(url, options);
  return traces.run({ kind: 'call', method: options.method, url: new URL(url) }, async (span) => {
    const answer = await fetch(url, options);
    span?.set('http.response.status_code', answer.status);
    return answer;
  });
};
