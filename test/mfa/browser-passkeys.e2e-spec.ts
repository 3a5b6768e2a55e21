import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startAtrium, type TestApp } from '../support/app.js';
import { Chromium, chromiumPath } from '../support/chromium.js';
import { http } from '../support/http.js';
import { challenge, verify } from '../support/mfa.js';
import { type LoginAnswer, registerUser } from '../support/people.js';

interface OptionsAnswer {
  readonly options: object;
}

/** `navigator.credentials` in the page, with our options in and what goes to us out. */
const script = (method: 'create' | 'get', options: object) => `(async () => {
  const publicKey = PublicKeyCredential.parse${method === 'create' ? 'Creation' : 'Request'}OptionsFromJSON(
    ${JSON.stringify(options)});
  return (await navigator.credentials.${method}({ publicKey })).toJSON();
})()`;

describe('A real browser', () => {
  if (chromiumPath === undefined) {
    it('is not asked: no Chromium is installed here', () => {
      process.stderr.write(
        'No Chromium is installed: passkeys are tested with the software authenticator only.\n',
      );
      expect(chromiumPath).toBeUndefined();
    });
    return;
  }

  let page: Server;
  let app: TestApp;
  let browser: Chromium;
  beforeAll(async () => {
    page = createServer((_, response) => response.end('<!doctype html><title>The web app</title>'));
    page.listen(0, '127.0.0.1');
    await once(page, 'listening');
    const url = `http://localhost:${(page.address() as AddressInfo).port}`;
    app = await startAtrium({ PUBLIC_URL: url });
    browser = await Chromium.open(chromiumPath ?? '', url);
  });
  afterAll(async () => {
    await browser?.close();
    await app?.stop();
    page?.closeAllConnections();
    page?.close();
  });

  it('makes a passkey, signs in by it, and shows it as the second factor', async () => {
    const person = await registerUser(app);
    const creation = await person.http.post<OptionsAnswer>('/v1/me/passkeys/options');
    const credential = await browser.evaluate<object>(script('create', creation.body.options));
    const added = await person.http.post('/v1/me/passkeys', { name: 'Chromium', credential });
    expect([added.status, added.text]).toEqual([201, expect.stringContaining('recoveryCodes')]);

    const request = await http(app).post<OptionsAnswer>('/v1/auth/passkeys/options');
    const alone = await http(app).post<LoginAnswer>('/v1/auth/passkeys/sign-in', {
      credential: await browser.evaluate<object>(script('get', request.body.options)),
    });
    expect([alone.status, alone.body.user.id]).toEqual([200, person.user.id]);

    const { mfaToken } = await challenge(app, person);
    const second = await http(app).post<OptionsAnswer>('/v1/auth/mfa/verify/options', { mfaToken });
    const answer = await verify(app, mfaToken, {
      credential: await browser.evaluate<object>(script('get', second.body.options)),
    });
    expect([answer.status, answer.body.user.id]).toEqual([200, person.user.id]);
  });
});
