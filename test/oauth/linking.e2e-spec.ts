import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../support/app.js';
import { http, type HttpClient } from '../support/http.js';
import {
  type IdentityProvider,
  newBrowser,
  PUBLIC_URL,
  refusal,
  RETURN_URL,
  settingsFor,
  signIn,
  startIdentityProvider,
  startWithProviders,
} from '../support/oidc.js';
import { type PageAnswer, type Person, registerUser } from '../support/people.js';

interface IdentityAnswer {
  readonly id: string;
  readonly provider: string;
  readonly issuer: string;
  readonly email: string | null;
  readonly createdAt: string;
}

let provider: IdentityProvider;
let app: TestApp;
beforeAll(async () => {
  provider = await startIdentityProvider();
  app = await startWithProviders([settingsFor(provider)]);
});
afterAll(async () => {
  await app?.stop();
  await provider?.stop();
});

const someone = () => `p-${randomUUID()}`;
const list = async (client: HttpClient, query = '') =>
  (await client.get<PageAnswer<IdentityAnswer>>(`/v1/me/identities${query}`)).body;
const begin = async (person: Person, browser = newBrowser(app)) => {
  const answer = await person.http.post<{ url: string }>('/v1/me/identities/corp', {});
  browser.keep(PUBLIC_URL, answer.headers);
  return { answer, browser };
};
/** Links `login` to a person's account; says with what the browser came back. */
const link = async (person: Person, login: string) => {
  const { answer, browser } = await begin(person);
  return (await browser.walk(answer.body.url, login, RETURN_URL)).search;
};
const actionsOf = async (userId: string) =>
  (
    await app.sql<{ action: string }>('SELECT action FROM audit_entries WHERE user_id = $1 ORDER BY id', [
      userId,
    ])
  ).map(({ action }) => action);

describe('Linking an identity', () => {
  it('lets its owner sign in by it from then on, whatever its address', async () => {
    const person = await registerUser(app);
    const login = someone();
    provider.people.set(login, { email: 'another@example.com', email_verified: false });
    expect(await link(person, login)).toBe('?linked=corp');
    expect((await signIn(app, login)).user.id).toBe(person.user.id);
    expect(await list(person.http)).toEqual({
      data: [
        {
          id: expect.stringMatching(/^[0-9a-f-]{36}$/),
          provider: 'corp',
          issuer: provider.issuer,
          email: 'another@example.com',
          createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        },
      ],
      nextCursor: null,
    });
    expect(await actionsOf(person.user.id)).toContain('identity.linked');
  });

  it('answers the address of the provider and a cookie, and nothing that proves anything', async () => {
    const { answer } = await begin(await registerUser(app));
    expect(answer.status).toBe(200);
    expect(Object.keys(answer.body)).toEqual(['url']);
    expect(new URL(answer.body.url).origin).toBe(provider.issuer);
    expect(answer.headers.getSetCookie()[0]).toMatch(/HttpOnly; SameSite=Lax/);
  });

  it('twice is once', async () => {
    const person = await registerUser(app);
    const login = someone();
    expect([await link(person, login), await link(person, login)]).toEqual(['?linked=corp', '?linked=corp']);
    expect((await list(person.http)).data).toHaveLength(1);
  });

  it('takes none from another account', async () => {
    const [one, other] = [await registerUser(app), await registerUser(app)];
    const login = someone();
    await link(one, login);
    expect(await link(other, login)).toBe('?error=identity_taken');
    expect((await list(other.http)).data).toEqual([]);
    expect((await signIn(app, login)).user.id).toBe(one.user.id);
  });

  it('is done in the browser that asked for it: nobody links his own to another account, or theirs to his', async () => {
    const attacker = await registerUser(app);
    const { answer } = await begin(attacker);
    const victim = newBrowser(app);
    const callback = await victim.walk(
      answer.body.url,
      someone(),
      `${PUBLIC_URL}/v1/auth/oauth/corp/callback`,
    );
    expect((await victim.open(callback.href)).status).toBe(400);
    expect((await list(attacker.http)).data).toEqual([]);
  });

  it('comes to nothing when the session that asked for it has ended', async () => {
    const person = await registerUser(app);
    const { answer, browser } = await begin(person);
    await person.http.post('/v1/auth/logout', { refreshToken: person.refreshToken });
    const back = await browser.walk(answer.body.url, someone(), RETURN_URL);
    expect(back.search).toBe('?error=session_revoked');
    expect(await app.sql('SELECT 1 FROM identities WHERE user_id = $1', [person.user.id])).toEqual([]);
  });

  it.each([
    ['another return address', 'corp', { returnTo: 'https://evil.example' }, 400],
    ['a property that it does not know', 'corp', { userId: randomUUID() }, 400],
    ['a provider that nobody configured', 'nobody', {}, 404],
  ])('refuses %s', async (_, name, body, status) => {
    const person = await registerUser(app);
    expect((await person.http.post(`/v1/me/identities/${name}`, body)).status).toBe(status);
  });

  it('is for people who are logged in', async () => {
    const answers = await Promise.all([
      http(app).get('/v1/me/identities'),
      http(app).post('/v1/me/identities/corp', {}),
      http(app).delete(`/v1/me/identities/${randomUUID()}`),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 401]);
  });
});

describe('Unlinking an identity', () => {
  it('ends its power to sign in', async () => {
    const person = await registerUser(app);
    const login = someone();
    provider.people.set(login, { email: null });
    await link(person, login);
    const [{ id }] = (await list(person.http)).data as [IdentityAnswer];
    expect((await person.http.delete(`/v1/me/identities/${id}`)).status).toBe(204);
    expect((await person.http.delete(`/v1/me/identities/${id}`)).status).toBe(404);
    expect((await list(person.http)).data).toEqual([]);
    expect(await refusal(app, login)).toBe('provider_address_unverified');
    expect(await actionsOf(person.user.id)).toContain('identity.unlinked');
  });

  it('never takes the last way to sign in, not even by two at once', async () => {
    const login = someone();
    const { accessToken, user } = await signIn(app, login);
    const client = http(app, accessToken);
    const [{ id }] = (await list(client)).data as [IdentityAnswer];
    const alone = await client.delete(`/v1/me/identities/${id}`);
    expect([alone.status, alone.body.code]).toEqual([409, 'last_sign_in_method']);

    for (let round = 0; round < 10; round++) {
      await link({ http: client } as Person, someone());
      const ids = (await list(client)).data.map((identity) => identity.id);
      expect(ids).toHaveLength(2);
      const answers = await Promise.all(ids.map((each) => client.delete(`/v1/me/identities/${each}`)));
      expect(answers.map(({ status }) => status).sort()).toEqual([204, 409]);
    }
    expect(await app.sql('SELECT 1 FROM identities WHERE user_id = $1', [user.id])).toHaveLength(1);
  });

  it("leaves other people's alone, as if they did not exist", async () => {
    const [one, other] = [await registerUser(app), await registerUser(app)];
    await link(one, someone());
    const [{ id }] = (await list(one.http)).data as [IdentityAnswer];
    const theirs = await other.http.delete(`/v1/me/identities/${id}`);
    const nobodys = await other.http.delete(`/v1/me/identities/${randomUUID()}`);
    expect({ ...theirs.body, requestId: '' }).toEqual({ ...nobodys.body, requestId: '' });
    expect((await list(one.http)).data).toHaveLength(1);
  });
});

describe('The list of identities', () => {
  it('is paged, oldest first', async () => {
    const person = await registerUser(app);
    for (let count = 0; count < 3; count++) await link(person, someone());
    const first = await list(person.http, '?limit=2');
    const rest = await list(person.http, `?limit=2&cursor=${first.nextCursor ?? ''}`);
    expect([first.data.length, rest.data.length, rest.nextCursor]).toEqual([2, 1, null]);
    const times = [...first.data, ...rest.data].map(({ createdAt }) => createdAt);
    expect(times).toEqual([...times].sort());
  });

  it('goes with the account', async () => {
    const person = await registerUser(app);
    await link(person, someone());
    await app.sql('DELETE FROM identities WHERE user_id <> $1', [person.user.id]);
    const answer = await person.http.call('DELETE', '/v1/me', { json: { password: person.password } });
    expect(answer.status).toBe(204);
    expect(await app.sql('SELECT 1 FROM identities')).toEqual([]);
  });
});
