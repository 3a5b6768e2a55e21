import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { postForm } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { Chromium, chromiumPath } from '../support/chromium.js';
import { PASSWORD, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';

const GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

describe('The page for devices, in a real browser', () => {
  if (chromiumPath === undefined) {
    it('is not opened: no Chromium is installed here', () => {
      process.stderr.write('No Chromium is installed: the page for devices is not opened.\n');
      expect(chromiumPath).toBeUndefined();
    });
    return;
  }

  let app: TestApp;
  let browser: Chromium | undefined;
  beforeAll(async () => void (app = await sharedAtrium()));
  afterAll(async () => {
    await browser?.close();
    await app.stop();
  });

  it('signs a person in, shows what waits under the code, and approves it', async () => {
    const person = await registerUser(app);
    const { body: codes } = await postForm<{ user_code: string; device_code: string }>(
      app,
      '/oauth/device_authorization',
      { client_id: 'atrium-device', scope: 'items:read', agent_name: '<b>Camera</b>' },
    );
    const page = `${app.url}/device?user_code=${codes.user_code}`;
    const shown = await Chromium.open(chromiumPath ?? '', page);
    browser = shown;
    const evaluate = shown.evaluate.bind(shown);
    const isShown = (form: string) =>
      shown.becomesTrue(`${form} is shown`, `document.getElementById('${form}')?.hidden === false`);
    const submit = (form: string, values: Readonly<Record<string, string>> = {}) =>
      evaluate(`(() => {
        const form = document.getElementById('${form}');
        for (const [name, value] of Object.entries(${JSON.stringify(values)})) form[name].value = value;
        form.requestSubmit();
      })()`);
    await isShown('sign-in');
    await submit('sign-in', { email: person.user.email, password: PASSWORD });
    await isShown('look');
    expect(await evaluate('document.getElementById("look").userCode.value')).toBe(codes.user_code);
    await submit('look');
    await isShown('decide');
    expect(await evaluate('document.getElementById("device").textContent')).toBe('<b>Camera</b> (device)');
    await submit('decide');
    await shown.becomesTrue(
      'it says so',
      'document.getElementById("message").textContent.includes("is connected")',
    );
    const { status } = await postForm(app, '/oauth/token', {
      grant_type: GRANT,
      client_id: 'atrium-device',
      device_code: codes.device_code,
    });
    expect(status).toBe(200);
    // The next time, the cookie of the session is enough.
    await evaluate('void setTimeout(() => location.reload())');
    await isShown('look');
  });
});
