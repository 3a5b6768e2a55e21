import { randomUUID } from 'node:crypto';
import { Browser } from './browser.js';
import { type LoginAnswer, PASSWORD } from './people.js';

/** What a sign-in answers whose refresh token is in a cookie. */
export type CookieLogin = Omit<LoginAnswer, 'refreshToken'> & { csrfToken: string; refreshToken?: undefined };

/** The names of the cookies, without https. */
export const REFRESH = 'atrium-refresh';
export const CSRF = 'atrium-csrf';

export const credentials = () => ({ email: `${randomUUID()}@example.com`, password: PASSWORD });

/** Somebody who has registered in a browser. */
export async function signedIn(at: { readonly url: string }) {
  const browser = new Browser(at);
  const input = credentials();
  const { status, body, text } = await browser.post<CookieLogin>('/v1/auth/register', {
    json: { ...input, transport: 'cookie' },
  });
  if (status !== 201) throw new Error(`register answered ${status}: ${text}`);
  return { browser, ...input, ...body };
}

/** Asks for the next tokens with the cookie, as a page of the browser. */
export const refresh = (
  browser: Browser,
  csrfToken?: string,
  headers: Record<string, string> = browser.page,
) =>
  browser.post<CookieLogin & { code: string }>('/v1/auth/refresh', {
    headers: { ...headers, ...(csrfToken === undefined ? {} : { 'X-CSRF-Token': csrfToken }) },
  });
