import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { SignInChallenge } from '../../src/sessions/sessions.dto.js';
import { SignInSteps } from '../../src/sessions/sign-in-steps.js';
import type { TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import {
  exchange,
  type IdentityProvider,
  newBrowser,
  PUBLIC_URL,
  refusal,
  RETURN_URL,
  settingsFor,
  signIn,
  startAddress,
  startIdentityProvider,
  startWithProviders,
} from '../support/oidc.js';
import { PASSWORD, registerUser } from '../support/people.js';
import { type MailServer, startMailServer, tokenIn } from '../support/smtp.js';

let provider: IdentityProvider;
let mail: MailServer;
let app: TestApp;
beforeAll(async () => {
  [provider, mail] = [await startIdentityProvider(), await startMailServer()];
  app = await startWithProviders([settingsFor(provider)], { SMTP_URL: mail.url });
});
afterAll(async () => {
  await app?.stop();
  await mail?.stop();
  await provider?.stop();
});

const NEW_PASSWORD = 'the rightful passphrase';

describe('Somebody who registers an address before its owner does', () => {
  it('has neither password, session nor identity left in the account once the owner has claimed it', async () => {
    const [owner, accomplice] = [`owner-${randomUUID()}`, `squatter-${randomUUID()}`];
    const email = `${owner}@example.com`;
    const squatter = await registerUser(app, { email });
    const link = await squatter.http.post<{ url: string }>('/v1/me/identities/corp', {});
    const browser = newBrowser(app);
    browser.keep(PUBLIC_URL, link.headers);
    expect((await browser.walk(link.body.url, accomplice, RETURN_URL)).search).toBe('?linked=corp');
    expect((await signIn(app, accomplice)).user.id).toBe(squatter.user.id);

    expect(await refusal(app, owner)).toBe('account_unverified');
    await http(app).post('/v1/auth/forgot-password', { email });
    const token = tokenIn(await mail.mailTo(email, /password/i));
    const reset = await http(app).post('/v1/auth/reset-password', { token, newPassword: NEW_PASSWORD });
    expect(reset.status).toBe(204);

    const { user } = await signIn(app, owner);
    expect(user).toMatchObject({ id: squatter.user.id, emailVerified: true });
    expect((await squatter.http.get('/v1/me')).status).toBe(401);
    const password = { email, password: PASSWORD };
    expect((await http(app).post('/v1/auth/login', password)).status).toBe(401);
    expect((await signIn(app, accomplice)).user.id).not.toBe(user.id);
  });

  it('gets no code for the account by waiting for the owner to come', async () => {
    const owner = `owner-${randomUUID()}`;
    const squatter = await registerUser(app, { email: `${owner}@example.com` });
    const back = await newBrowser(app).walk(startAddress('corp'), owner, RETURN_URL);
    expect([...back.searchParams]).toEqual([['error', 'account_unverified']]);
    const entries = await app.sql(
      `SELECT 1 FROM one_time_tokens WHERE purpose = 'oauth-exchange' AND subject = $1`,
      [squatter.user.id],
    );
    expect(entries).toEqual([]);
  });
});

describe('A second factor', () => {
  it('is asked for after a provider, too', async () => {
    const guarded = `guarded-${randomUUID()}`;
    const challenge: SignInChallenge = { mfaRequired: true, mfaToken: 't', methods: ['totp'], expiresIn: 60 };
    app.nest.get(SignInSteps).add((user, amr) => {
      const isGuarded = user.email === `${guarded}@example.com` && amr.join() === 'fed';
      return Promise.resolve(isGuarded ? challenge : undefined);
    });
    const browser = newBrowser(app);
    const back = await browser.walk(startAddress('corp'), guarded, RETURN_URL);
    const answer = await exchange(app, browser, back.searchParams.get('code'));
    expect([answer.status, answer.body]).toEqual([200, challenge]);
  });
});
