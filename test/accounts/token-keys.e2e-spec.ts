import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import jwt from 'jsonwebtoken';
import { loadConfig } from '../../src/config/config.js';
import { startAgent } from '../support/agents.js';
import { startAtrium, TEST_SECRET, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';

type Jwk = JsonWebKey & { kid: string };

const pair = (kid: string): Jwk => ({
  ...generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' }),
  kid,
});
const publicPart = ({ d: _, ...rest }: Jwk): Jwk => rest;
const pem = ({ kty, crv, x, y }: Jwk) =>
  createPublicKey({ key: { kty, crv, x, y }, format: 'jwk' }).export({ type: 'spki', format: 'pem' });

const [old, current, foreign] = [pair('old'), pair('current'), pair('foreign')];
let folder: string;
let app: TestApp;

/** Writes a JWK Set, and names it. */
async function keysFile(name: string, keys: unknown[]): Promise<string> {
  const file = join(folder, name);
  await writeFile(file, JSON.stringify({ keys }));
  return file;
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'atrium-keys-'));
  app = await startAtrium({ TOKEN_KEYS_FILE: await keysFile('old.json', [old]) });
});
afterAll(async () => {
  await app.stop();
  await rm(folder, { recursive: true, force: true });
});

const status = async (token: string, url = app.url) => (await http({ url }, token).get('/v1/me')).status;

describe('With configured key pairs', () => {
  it('tokens are signed with ES256 and name their key, which the JWK Set shows without its private part', async () => {
    const { token } = await registerUser(app);
    const { header } = jwt.decode(token, { complete: true })!;
    expect(header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: 'old' });
    const { body } = await http(app).get<{ keys: Jwk[] }>('/.well-known/jwks.json');
    expect(body.keys).toEqual([{ ...publicPart(old), use: 'sig', alg: 'ES256' }]);
    expect(() => jwt.verify(token, pem(body.keys[0]), { algorithms: ['ES256'] })).not.toThrow();
    expect(await status(token)).toBe(200);
  });

  it('a token is refused that is signed by another key, with the secret, or with the public key as a secret', async () => {
    const { token } = await registerUser(app);
    const claims = jwt.decode(token) as object;
    const sign = (secret: jwt.Secret, algorithm: jwt.Algorithm, header: object) =>
      jwt.sign(claims, secret, { algorithm, header: { alg: algorithm, typ: 'at+jwt', ...header } });
    const foreignKey = { key: foreign, format: 'jwk' } as unknown as jwt.Secret;
    const forged = [
      sign(foreignKey, 'ES256', { kid: 'old' }),
      sign(foreignKey, 'ES256', { kid: 'foreign' }),
      sign(foreignKey, 'ES256', { kid: 'foreign', jwk: publicPart(foreign) }),
      sign(foreignKey, 'ES256', { kid: 'old', jku: 'https://evil.example/jwks.json' }),
      sign(foreignKey, 'ES256', {}),
      sign(TEST_SECRET, 'HS256', {}),
      sign(TEST_SECRET, 'HS256', { kid: 'old' }),
      sign(pem(old).toString(), 'HS256', { kid: 'old' }),
    ];
    expect(await Promise.all(forged.map((token) => status(token)))).toEqual(forged.map(() => 401));
  });

  it('a set that cannot serve stops the start, with the name of the variable', async () => {
    const rsa = {
      ...generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ format: 'jwk' }),
      kid: 'r',
    };
    const files = await Promise.all(
      [[], [publicPart(old)], [old, old], [{ ...old, kid: undefined }], [rsa]].map((keys, n) =>
        keysFile(`bad-${n}.json`, keys),
      ),
    );
    for (const file of [...files, join(folder, 'missing.json')])
      expect(() => loadConfig({ TOKEN_KEYS_FILE: file })).toThrow(/TOKEN_KEYS_FILE/);
  });

  it('a rotation lets the old tokens live while the old key is listed, and no longer', async () => {
    const { token } = await registerUser(app);
    const overlapping = await app.startSecondInstance({
      TOKEN_KEYS_FILE: await keysFile('both.json', [current, publicPart(old)]),
    });
    const { token: newer } = await registerUser(overlapping);
    expect(await status(token, overlapping.url)).toBe(200);
    expect(await status(newer, overlapping.url)).toBe(200);
    const rotated = await app.startSecondInstance({
      TOKEN_KEYS_FILE: await keysFile('current.json', [current]),
    });
    expect(await status(newer, rotated.url)).toBe(200);
    expect(await status(token, rotated.url)).toBe(401);
    // Each by its own keys, though passport is one for the whole process.
    expect(await status((await registerUser(app)).token)).toBe(200);
    expect(await status(newer)).toBe(401);
  });
});

describe('Without configured key pairs', () => {
  it('agents’ tokens are signed with a pair that every instance comes to by the secret, for others to verify', async () => {
    const plain = await sharedAtrium();
    const other = await sharedSecondInstance();
    const owner = await registerUser(plain);
    const { token } = await startAgent(plain, owner, ['items:read']);
    const { body } = await http(plain).get<{ keys: Jwk[] }>('/.well-known/jwks.json');
    const [{ kid }] = body.keys;
    expect(body.keys.map(({ kty, crv, d }) => [kty, crv, d])).toEqual([['EC', 'P-256', undefined]]);
    expect(jwt.decode(token, { complete: true })?.header).toEqual({ alg: 'ES256', typ: 'at+jwt', kid });
    expect(() => jwt.verify(token, pem(body.keys[0]), { algorithms: ['ES256'] })).not.toThrow();
    expect(jwt.decode(owner.token, { complete: true })?.header).toEqual({ alg: 'HS256', typ: 'at+jwt' });
    const read = async (given: string) => (await http(other, given).get('/v1/items')).status;
    expect([await read(token), await read(owner.token)]).toEqual([200, 200]);
    expect((await http(other).get('/.well-known/jwks.json')).body).toEqual(body);

    const claims = jwt.decode(token) as object;
    const forged = (secret: jwt.Secret, algorithm: jwt.Algorithm, header: object) =>
      jwt.sign(claims, secret, { algorithm, header: { alg: algorithm, typ: 'at+jwt', ...header } });
    const foreignKey = { key: foreign, format: 'jwk' } as unknown as jwt.Secret;
    for (const forgery of [
      forged(TEST_SECRET, 'HS256', { kid }),
      forged(pem(body.keys[0]), 'HS256', { kid }),
      forged(pem(body.keys[0]), 'HS256', {}),
      forged(foreignKey, 'ES256', { kid }),
      forged(foreignKey, 'ES256', {}),
    ])
      expect(await read(forgery)).toBe(401);
  });
});
