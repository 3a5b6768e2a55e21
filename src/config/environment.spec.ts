import 'reflect-metadata';
import { describe, expect, it } from '@jest/globals';
import { AtriumConfig } from './config.js';
import { ConfigurationError } from './configuration-error.js';
import { DEVELOPMENT_SECRET } from './environment.js';
import { readEnvironment } from './read-environment.js';

type Variables = Record<string, string | undefined>;

/** The lines with which the start is refused; none when the variables are fine. */
function problemsOf(variables: Variables): readonly string[] {
  try {
    readEnvironment(variables);
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.problems;
    throw error;
  }
}

const secret = 'a-secret-that-nobody-else-has-0123456789';
const production = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgresql://atrium:hunter2@db.internal:5432/atrium',
  TOKEN_SECRET: secret,
  CORS_ORIGINS: 'https://app.example.com, https://admin.example.com:8443',
};

describe('The address of the web app', () => {
  it.each([
    [{}, 'http://localhost:3000'],
    [{ PORT: '8080' }, 'http://localhost:8080'],
    [{ PORT: '0' }, 'http://localhost:3000'],
    [{ PORT: '8080', PUBLIC_URL: 'http://localhost:3000' }, 'http://localhost:3000'],
  ])('of %j is %s', (variables, address) => {
    expect(readEnvironment(variables).PUBLIC_URL).toBe(address);
  });

  it('is asked for in production where mail is sent, whatever the port', () => {
    const mail = { ...production, SMTP_URL: 'smtps://mail.internal', MAIL_FROM: 'App <app@example.com>' };
    expect(problemsOf({ ...mail, PORT: '8080' }).join()).toMatch(/PUBLIC_URL must be set in production/);
  });
});

describe('A wrong variable stops the start and says its name and the mend', () => {
  it.each<[name: string, value: string, mend: string]>([
    ['NODE_ENV', 'staging', 'must be development, test or production'],
    ['PORT', 'http', 'must be a port number from 0 to 65535'],
    ['PORT', '65536', 'must be a port number from 0 to 65535'],
    ['PORT', '-1', 'must be a port number from 0 to 65535'],
    ['PORT', '80.5', 'must be a port number from 0 to 65535'],
    ['DATABASE_URL', 'mysql://localhost/atrium', 'must look like postgresql://user:password@host:5432/name'],
    ['DATABASE_DIRECT_URL', 'db:5432', 'must look like postgresql://user:password@host:5432/name'],
    ['REDIS_URL', 'localhost:6379', 'must look like redis://user:password@host:6379'],
    ['REDIS_URL', 'redis://a:6379, redis://b:6379', 'must look like redis://user:password@host:6379'],
    ['REDIS_PREFIX', 'a b', 'must be 1 to 64 letters, digits or any of'],
    ['DATABASE_POOL_SIZE', '1', 'must be at least 2'],
    ['DATABASE_POOL_SIZE', 'many', 'must be a whole number of connections'],
    ['DATABASE_STATEMENT_TIMEOUT_MS', '0', 'must be at least 100 ms'],
    ['TOKEN_SECRET', 'short', 'must have at least 32 characters; make one with: openssl rand -base64 48'],
    ['ACCESS_TOKEN_TTL_SECONDS', '15m', 'must be seconds'],
    ['ACCESS_TOKEN_TTL_SECONDS', '86401', 'must be at most 86400 s'],
    ['REFRESH_GRACE_SECONDS', '301', 'must be at most 300 s'],
    ['SESSION_INACTIVITY_SECONDS', '59', 'must be at least 60 s'],
    ['SESSION_LIFETIME_SECONDS', 'forever', 'must be seconds'],
    [
      'CORS_ORIGINS',
      'app.example.com',
      'must list origins such as https://app.example.com, separated by commas',
    ],
    ['PASSWORD_HASH_MEMORY_KIB', '63', 'must be at least 64 KiB'],
    ['CORS_ORIGINS', 'https://a.example,https://b.example/path', 'must list origins such as'],
    ...['true', '*', '0', '10', '0.0.0.0/0', '::/0', '10.0.0.0/7', '10.0.0.0/33', 'proxy.internal', ','].map(
      (value): [string, string, string] => ['TRUST_PROXY', value, 'must be 1 to 9 proxies in a row, or list'],
    ),
    ['RATE_LIMIT', 'some', 'must be on or off'],
    ['RATE_LIMIT_PER_MINUTE', '0', 'must be at least 1'],
    ['RATE_LIMIT_REFRESHES_PER_MINUTE', 'many', 'must be a whole number of requests'],
    ['RATE_LIMIT_SIGN_INS_PER_MINUTE', '1.5', 'must be a whole number of requests'],
    ['BODY_LIMIT_BYTES', '1MiB', 'must be bytes'],
    ['LOG_LEVEL', 'verbose', 'must be debug, log, warn, error or fatal'],
    ['API_DOCS', 'maybe', 'must be on or off'],
    ['STREAM_SWEEP_MS', '1001', 'must be at most 1000 ms'],
    ['SOCKET_HEARTBEAT_MS', '10', 'must be at least 1000 ms'],
    ['SOCKET_FRAME_LIMIT_BYTES', '1', 'must be at least 1024 bytes'],
    ['SOCKET_BUFFER_LIMIT_BYTES', 'big', 'must be bytes'],
    ['SOCKET_ROOM_LIMIT', '0', 'must be at least 1'],
    ['SOCKET_FRAME_RATE', '0', 'must be at least 1'],
    ['DRAIN_TIMEOUT_MS', '60001', 'must be at most 60000 ms'],
  ])('%s=%s', (name, value, mend) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(`${name} ${mend}`);
  });

  it('names every wrong variable at once, in the message too', () => {
    const wrong = { PORT: 'x', LOG_LEVEL: 'x', SOCKET_ROOM_LIMIT: 'x' };
    expect(
      problemsOf(wrong)
        .map((line) => line.split(' ')[0])
        .sort(),
    ).toEqual(Object.keys(wrong).sort());
    expect(() => readEnvironment(wrong)).toThrow(
      /^Atrium cannot start[^]*PORT[^]*LOG_LEVEL[^]*SOCKET_ROOM_LIMIT/,
    );
  });

  it.each(['grpc', 'http/json', 'HTTP/PROTOBUF'])(
    'refuses to send traces by %s, which it does not speak',
    (protocol) => {
      expect(problemsOf({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol })).toEqual([
        `OTEL_EXPORTER_OTLP_PROTOCOL must be http/protobuf: nothing else is spoken here (it is "${protocol}")`,
      ]);
      expect(problemsOf({ OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })).toEqual([]);
    },
  );

  it('shows the value that is wrong, unless it is a secret', () => {
    expect(problemsOf({ PORT: 'http' })[0]).toContain('"http"');
    const told = [
      ...problemsOf({ TOKEN_SECRET: 'too-short-secret' }),
      ...problemsOf({ DATABASE_URL: 'atrium:hunter2@db.internal/atrium' }),
      ...problemsOf({ DATABASE_DIRECT_URL: 'hunter2@db', REDIS_URL: 'hunter2@redis' }),
      ...problemsOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://me:hunter2@collector:4318' }),
      ...problemsOf({ FACTOR_SECRET: `${secret},too-short-secret` }),
      ...problemsOf({ ...production, TOKEN_SECRET: 'too-short-secret', CORS_ORIGINS: '*', PORT: 'x' }),
    ].join('\n');
    expect(told).toContain('TOKEN_SECRET');
    expect(told).toContain('DATABASE_URL');
    expect(told).toContain('FACTOR_SECRET must have at least 32 characters each');
    expect(told).not.toMatch(/too-short-secret|hunter2/);
  });
});

describe('A variable that is not set', () => {
  it.each([undefined, ''])('takes its default when it is %p', (value) => {
    expect(readEnvironment({ PORT: value, DATABASE_URL: value, CORS_ORIGINS: value })).toEqual(
      readEnvironment({}),
    );
    expect(readEnvironment({})).toMatchObject({
      PORT: 3000,
      DATA_DIR: '.data',
      TOKEN_SECRET: DEVELOPMENT_SECRET,
    });
  });

  it('and a variable of another program are no trouble', () => {
    expect(readEnvironment({ PATH: '/bin', LANG: 'C' })).toEqual(readEnvironment({}));
  });
});

describe('Values are read as their types', () => {
  it('numbers, switches and lists', () => {
    const read = readEnvironment({
      PORT: '8080',
      API_DOCS: 'off',
      CORS_ORIGINS: ' https://a.example , http://localhost:5173,',
    });
    expect(read.PORT).toBe(8080);
    expect(read.API_DOCS).toBe(false);
    expect(read.CORS_ORIGINS).toEqual(['https://a.example', 'http://localhost:5173']);
  });
});

describe('Production', () => {
  it('starts on its own database, secret and origins', () => {
    expect(problemsOf(production)).toEqual([]);
  });

  it.each<[what: string, change: Variables, name: string]>([
    ['the embedded database', { DATABASE_URL: undefined }, 'DATABASE_URL'],
    ['the embedded database, set to nothing', { DATABASE_URL: '' }, 'DATABASE_URL'],
    ['no secret', { TOKEN_SECRET: undefined }, 'TOKEN_SECRET'],
    ['the default secret, set on purpose', { TOKEN_SECRET: DEVELOPMENT_SECRET }, 'TOKEN_SECRET'],
    ['cheap hashes', { PASSWORD_HASH_MEMORY_KIB: '19455' }, 'PASSWORD_HASH_MEMORY_KIB'],
    ['no rate limits', { RATE_LIMIT: 'off' }, 'RATE_LIMIT'],
    ['a wildcard origin', { CORS_ORIGINS: '*' }, 'CORS_ORIGINS'],
    ['a wildcard among origins', { CORS_ORIGINS: 'https://app.example.com,*' }, 'CORS_ORIGINS'],
  ])('refuses %s', (_, change, name) => {
    const problems = problemsOf({ ...production, ...change });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} must (not )?be .*in production`));
    expect(problemsOf({ ...production, ...change, NODE_ENV: 'development' })).toEqual([]);
  });

  it('refuses them all at once', () => {
    expect(problemsOf({ NODE_ENV: 'production', CORS_ORIGINS: '*' })).toHaveLength(3);
  });
});

describe('The token server', () => {
  it('has all names of this machine in development, and none but the configured one in production', () => {
    const issuers = (variables: Variables) => new AtriumConfig(readEnvironment(variables)).issuers;
    const names = ['http://localhost:8080', 'http://127.0.0.1:8080', 'http://[::1]:8080'];
    expect(issuers({ PORT: '8080' })).toEqual(names);
    expect(issuers({ PUBLIC_URL: 'http://192.168.0.7' })).toEqual(['http://192.168.0.7']);
    expect(issuers({ ...production, PUBLIC_URL: 'http://localhost:8080' })).toEqual(names.slice(0, 1));
  });
});

describe('Mail in production', () => {
  const mail = {
    ...production,
    SMTP_URL: 'smtps://user:hunter2@mail.internal',
    PUBLIC_URL: 'https://app.example.com',
    MAIL_FROM: 'Example <no-reply@example.com>',
  };

  it('is sent from the team’s own addresses', () => {
    expect(problemsOf(mail)).toEqual([]);
  });

  it.each<[what: string, change: Variables, name: string]>([
    ['links to nowhere', { PUBLIC_URL: undefined }, 'PUBLIC_URL'],
    ['links without TLS', { PUBLIC_URL: 'http://app.example.com' }, 'PUBLIC_URL'],
    ['the default sender', { MAIL_FROM: undefined }, 'MAIL_FROM'],
    [
      'registration by mail without a mail server',
      { SMTP_URL: undefined, REGISTRATION_CONFIRMATION: 'email' },
      'SMTP_URL',
    ],
  ])('is refused with %s', (_, change, name) => {
    const problems = problemsOf({ ...mail, ...change });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} must .*in production`));
    expect(problems[0]).not.toContain('hunter2');
  });

  it.each([
    ['PUBLIC_URL', 'https://app.example.com/'],
    ['PUBLIC_URL', 'https://app.example.com/#x'],
    ['PUBLIC_URL', 'https://user@app.example.com'],
    ['SMTP_URL', 'https://mail.internal'],
    ['MAIL_FROM', 'a@example.com, b@example.com'],
    ['MAIL_FROM', 'Example <a@example.com>\r\nBcc: b@example.com'],
    ['REGISTRATION_CONFIRMATION', 'maybe'],
  ])('%s=%j is refused', (name, value) => {
    expect(problemsOf({ [name]: value })[0]).toMatch(new RegExp(`^${name} must `));
  });
});
