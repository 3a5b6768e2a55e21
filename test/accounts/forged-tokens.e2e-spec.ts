import { createHmac, generateKeyPairSync, randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, TEST_SECRET, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';

let app: TestApp;
let person: Person;
beforeAll(async () => {
  app = await startAtrium();
  person = await registerUser(app);
});
afterAll(() => app.stop());

type Claims = Record<string, unknown>;
const base64 = (value: Claims) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** The claims and header of a token that is good, to change. */
function genuine(): { header: Claims; claims: Claims } {
  const [header, claims] = person.token
    .split('.')
    .slice(0, 2)
    .map((part) => JSON.parse(Buffer.from(part, 'base64url').toString()) as Claims);
  return { header, claims };
}

function sign(header: Claims, claims: Claims, secret = TEST_SECRET, hash = 'sha256'): string {
  const signed = `${base64(header)}.${base64(claims)}`;
  return `${signed}.${createHmac(hash, secret).update(signed).digest('base64url')}`;
}

/** A token like the genuine one but for these changes, signed with the right secret. */
const changed = (header: Claims, claims: Claims = {}) =>
  sign({ ...genuine().header, ...header }, { ...genuine().claims, ...claims });

const seconds = (fromNow: number) => Math.floor(Date.now() / 1_000) + fromNow;

describe('An access token', () => {
  it('that is genuine opens (so that what follows is refused for its fault alone)', async () => {
    const { header, claims } = genuine();
    expect((await http(app, sign(header, claims)).get('/v1/me')).status).toBe(200);
  });

  const forgeries: [string, () => string][] = [
    [
      'without a signature (alg none)',
      () => `${base64({ ...genuine().header, alg: 'none' })}.${base64(genuine().claims)}.`,
    ],
    [
      'with alg None in another case',
      () => `${base64({ ...genuine().header, alg: 'nOnE' })}.${base64(genuine().claims)}.`,
    ],
    [
      'of another algorithm, HS512',
      () => sign({ ...genuine().header, alg: 'HS512' }, genuine().claims, TEST_SECRET, 'sha512'),
    ],
    ['that claims RS256 over an HMAC', () => sign({ ...genuine().header, alg: 'RS256' }, genuine().claims)],
    [
      'signed with another secret',
      () => sign(genuine().header, genuine().claims, 'another-secret-0123456789-0123456789'),
    ],
    ['signed with an empty secret', () => sign(genuine().header, genuine().claims, '')],
    ['that brings its own key (jwk)', () => withOwnKey()],
    ['of another type, JWT', () => changed({ typ: 'JWT' })],
    ['without a type', () => changed({ typ: undefined })],
    ['for another audience', () => changed({}, { aud: 'somebody-else' })],
    ['without an audience', () => changed({}, { aud: undefined })],
    ['of another issuer', () => changed({}, { iss: 'https://evil.example' })],
    ['without an issuer', () => changed({}, { iss: undefined })],
    ['that has expired', () => changed({}, { iat: seconds(-1_000), exp: seconds(-1) })],
    ['that never expires', () => changed({}, { exp: undefined })],
    ['that expires at no number', () => changed({}, { exp: 'never' })],
    ['that is not valid yet', () => changed({}, { nbf: seconds(600) })],
    ['without a subject', () => changed({}, { sub: undefined })],
    ['without a session', () => changed({}, { sid: undefined })],
    [
      'whose claims were changed after signing',
      () => {
        const [header, , signature] = person.token.split('.');
        return `${header}.${base64({ ...genuine().claims, sub: randomUUID() })}.${signature}`;
      },
    ],
    ['cut short', () => person.token.slice(0, -1)],
    ['that is a refresh token', () => person.refreshToken],
    ['that is no token at all', () => 'let-me-in'],
  ];
  it.each(forgeries)('%s is refused', async (_, forge) => {
    const answer = await http(app, forge()).get('/v1/me');
    expect(answer.status).toBe(401);
    expect(answer.headers.get('content-type')).toMatch('application/problem+json');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(answer.body.code).toBe('unauthenticated');
  });

  it('in the URL, in a cookie or under another scheme is ignored', async () => {
    const { token } = person;
    expect((await http(app).get(`/v1/me?access_token=${token}&token=${token}`)).status).toBe(401);
    expect(
      (await http(app).get('/v1/me', { headers: { Cookie: `access_token=${token}; token=${token}` } }))
        .status,
    ).toBe(401);
    for (const authorization of [token, `Basic ${token}`, `Token ${token}`, 'Bearer', 'Bearer '])
      expect((await http(app).get('/v1/me', { headers: { Authorization: authorization } })).status).toBe(401);
    const inBody = await http(app).post('/v1/items', {
      title: 'x',
      type: 'x',
      data: {},
      access_token: token,
    });
    expect(inBody.status).toBe(401);
  });

  it('is refused before anything else of the request is looked at', async () => {
    const answer = await http(app, 'forged').post('/v1/items', { nonsense: true });
    expect(answer.status).toBe(401);
  });
});

describe('An access token ages by the clock', () => {
  afterEach(() => app.moveClock(-900_000));

  it('and is refused after its 15 minutes, also where it was recognised before', async () => {
    const late = await registerUser(app);
    await createItem(late);
    expect((await late.http.get('/v1/items')).status).toBe(200);
    app.moveClock(900_000);
    expect((await late.http.get('/v1/items')).status).toBe(401);
    expect((await late.http.get('/v1/items')).status).toBe(401);
    const again = await registerUser(app);
    expect((await again.http.get('/v1/me')).status).toBe(200);
  });
});

function withOwnKey(): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const jwk = publicKey.export({ format: 'jwk' });
  const secret = publicKey.export({ format: 'pem', type: 'spki' }).toString();
  return sign({ ...genuine().header, jwk, kid: 'evil' }, genuine().claims, secret);
}
