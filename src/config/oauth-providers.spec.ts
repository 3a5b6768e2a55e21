import 'reflect-metadata';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { ConfigurationError } from './configuration-error.js';
import { readOAuthProviders } from './oauth-providers.js';
import { readEnvironment } from './read-environment.js';

const folder = mkdtempSync(join(tmpdir(), 'atrium-providers-'));
afterAll(() => rmSync(folder, { recursive: true }));

function read(content: unknown, allowLoopback = false) {
  const file = join(folder, 'providers.json');
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return readOAuthProviders(file, allowLoopback);
}

const credentials = { clientId: 'atrium', clientSecret: 'hunter2' };
const corp = { name: 'corp', issuer: 'https://id.example.com', ...credentials };

describe('The file of providers', () => {
  it('brings what the presets know', () => {
    const presets = ['google', 'microsoft', 'github'].map((preset) => ({
      name: preset,
      preset,
      ...credentials,
    }));
    expect(
      read([...presets, corp]).map(({ name, kind, issuer, scopes }) => [name, kind, issuer, scopes[0]]),
    ).toEqual([
      ['google', 'openid', 'https://accounts.google.com', 'openid'],
      ['microsoft', 'microsoft', 'https://login.microsoftonline.com/common/v2.0', 'openid'],
      ['github', 'github', 'https://github.com', 'read:user'],
      ['corp', 'openid', 'https://id.example.com', 'openid'],
    ]);
  });

  it('may say otherwise than a preset', () => {
    const issuer = 'https://login.microsoftonline.com/0f3a/v2.0';
    const [provider] = read([
      { name: 'work', preset: 'microsoft', issuer, scopes: ['openid', 'email'], ...credentials },
    ]);
    expect(provider).toMatchObject({ kind: 'microsoft', issuer, scopes: ['openid', 'email'] });
  });

  it('may name a provider without TLS on this machine only, and not in production', () => {
    const local = [{ ...corp, issuer: 'http://127.0.0.1:4000' }];
    expect(read(local, true)).toHaveLength(1);
    expect(() => read(local, false)).toThrow(/issuer that is an https/);
    for (const issuer of [
      'http://id.example.com',
      'http://127.0.0.1.example.com',
      'http://localhost@evil.example',
    ])
      expect(() => read([{ ...corp, issuer }], true)).toThrow(/issuer that is an https/);
  });

  it.each<[string, unknown, RegExp]>([
    ['no JSON', '[{"clientSecret": "hunter2"', /is not JSON/],
    ['no list', { corp }, /must be a list/],
    ['an entry that is none', [null], /entry 0 is not an object/],
    ['no name', [{ ...corp, name: undefined }], /entry 0 needs a name/],
    ['a name that is no part of a path', [{ ...corp, name: '../x' }], /entry 0 needs a name/],
    ['a name twice', [corp, corp], /share a name/],
    ['an unknown setting', [{ ...corp, secret: 'hunter2' }], /corp has no setting secret/],
    ['an unknown preset', [{ ...corp, preset: 'constructor' }], /corp needs a preset of google/],
    ['no secret', [{ ...corp, clientSecret: '' }], /needs clientId and clientSecret/],
    ['no issuer', [{ name: 'corp', ...credentials }], /needs an issuer/],
    ['an issuer with a query', [{ ...corp, issuer: 'https://id.example.com?x' }], /needs an issuer/],
    ['scopes in one text', [{ ...corp, scopes: 'openid email' }], /scopes that are a list/],
    ['scopes without openid', [{ ...corp, scopes: ['email'] }], /needs openid/],
  ])('is refused with %s, and no secret is repeated', (_, content, message) => {
    expect(() => read(content)).toThrow(message);
    try {
      read(content);
    } catch (error) {
      expect((error as Error).message).toMatch(/OAUTH_PROVIDERS_FILE/);
      expect((error as Error).message).not.toContain('hunter2');
    }
  });

  it('must be there', () => {
    expect(() => readOAuthProviders(join(folder, 'none.json'), false)).toThrow(/OAUTH_PROVIDERS_FILE/);
  });
});

describe('In production, with providers,', () => {
  const production = {
    NODE_ENV: 'production',
    DATABASE_URL: 'postgresql://atrium@db.internal/atrium',
    TOKEN_SECRET: 'a-secret-that-nobody-else-has-0123456789',
    OAUTH_PROVIDERS_FILE: 'providers.json',
    PUBLIC_URL: 'https://atrium.example.com',
    OAUTH_RETURN_URLS: 'https://app.example.com/in, com.example.app:/in, http://localhost:5173/in',
  };
  const problemsOf = (change: Record<string, string>): readonly string[] => {
    try {
      readEnvironment({ ...production, ...change });
      return [];
    } catch (error) {
      if (error instanceof ConfigurationError) return error.problems;
      throw error;
    }
  };

  it('the start is fine over https and on this machine', () => {
    expect(problemsOf({})).toEqual([]);
  });

  it.each([
    ['PUBLIC_URL', 'http://atrium.example.com'],
    ['OAUTH_RETURN_URLS', 'http://app.example.com/in'],
    ['OAUTH_RETURN_URLS', 'http://localhost.example.com/in'],
    ['OAUTH_RETURN_URLS', 'https://app.example.com@evil.example/in'],
    ['OAUTH_RETURN_URLS', 'https://app.example.com/in#here'],
    ['OAUTH_RETURN_URLS', 'javascript:alert(1)'],
    ['OAUTH_RETURN_URLS', '//app.example.com/in'],
  ])('it is refused with %s=%s', (name, value) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} must `));
  });
});
