import { startAtrium, type TestApp } from './app.js';
import { http } from './http.js';
import { type LoginAnswer, type Person, registerUser } from './people.js';
import { type MailServer, startMailServer, tokenIn } from './smtp.js';

/** What the links in mails must begin with. */
export const PUBLIC_URL = 'https://app.atrium.example/base';
const MAIL_FROM = 'Atrium <no-reply@atrium.example>';
export const NEW_PASSWORD = 'a quite different passphrase';

/** By which the mails are told apart. */
export const VERIFY = /Confirm your e-mail/;
export const RESET = /Choose a new password/;
export const NEW_ADDRESS = /Confirm your new/;

/** How a token is refused that is not, or no more, good for anything. */
export const INVALID_TOKEN = { status: 400, code: 'invalid_token' };

/** An instance that mails, and what it mailed. */
export interface MailedApp {
  readonly app: TestApp;
  readonly mail: MailServer;
  stop(): Promise<void>;
}

/** Starts an instance with a mail server of its own. */
export async function startMailedApp(): Promise<MailedApp> {
  const mail = await startMailServer();
  const app = await startAtrium({ SMTP_URL: mail.url, MAIL_FROM, PUBLIC_URL, RATE_LIMIT: 'off' });
  return { app, mail, stop: () => app.stop().then(() => mail.stop()) };
}

/** The requests that mail a proof or use one, at the instance that `current` names by then. */
export function mailedProofs(current: () => MailedApp) {
  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    http(current().app).post(`/v1/auth/${path}`, body, { headers });
  const forgot = (email: unknown, headers?: Record<string, string>) =>
    post('forgot-password', { email }, headers);
  let people = 0;
  return {
    post,
    forgot,
    /** Somebody with an address that can be read, and the token that came by mail. */
    register: async (): Promise<Person & { email: string; verifyToken: string }> => {
      const email = `person${++people}@example.com`;
      const person = await registerUser(current().app, { email });
      return { ...person, email, verifyToken: tokenIn(await current().mail.mailTo(email, VERIFY)) };
    },
    verify: (token: string) => post('verify-email', { token }),
    reset: (token: string, newPassword = NEW_PASSWORD) => post('reset-password', { token, newPassword }),
    confirmEmail: (token: string) => post('confirm-email', { token }),
    login: (email: string, password: string) =>
      http(current().app).post<LoginAnswer>('/v1/auth/login', { email, password }),
    isVerified: async (person: Person) =>
      (await person.http.get<{ emailVerified: boolean }>('/v1/me')).body.emailVerified,
    /** What the audit trail says of somebody, oldest first. */
    actions: async ({ user }: Person) => {
      const found = await current().app.sql<{ action: string }>(
        'SELECT action FROM audit_entries WHERE user_id = $1 ORDER BY id',
        [user.id],
      );
      return found.map(({ action }) => action);
    },
    /** Asks for a reset and reads the mail. */
    resetToken: async (email: string, count = 1): Promise<string> => {
      const { status, text } = await forgot(email);
      if (status !== 202) throw new Error(`forgot answered ${status}: ${text}`);
      return tokenIn(await current().mail.mailTo(email, RESET, count));
    },
    /** Lets every living token reach its end. */
    expireTokens: () => current().app.sql(`UPDATE one_time_tokens SET expires_at = now() - interval '1 ms'`),
  };
}
