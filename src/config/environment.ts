import { plainToInstance, Transform, Type } from 'class-transformer';
import {
  IsBoolean,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  MinLength,
  ValidateBy,
  validateSync,
} from 'class-validator';
import { readTrustedProxies } from './trusted-proxies.js';

/** The secret that `npm start` uses when nobody set one. Production refuses it. */
export const DEVELOPMENT_SECRET = 'development-only-secret-change-me-before-you-ship';

/** Where links lead when nobody said. Production refuses it as soon as mail is sent. */
const DEVELOPMENT_PUBLIC_URL = 'http://localhost:3000';
const DEVELOPMENT_SENDER = 'Atrium <atrium@localhost>';

/** Never repeated in a message. */
const SECRETS = new Set(['TOKEN_SECRET', 'DATABASE_URL', 'SMTP_URL']);

/** Those without a default. */
const OPTIONAL = [
  'HOST',
  'DATABASE_URL',
  'TOKEN_KEYS_FILE',
  'TRUST_PROXY',
  'REGISTRATION_CONFIRMATION',
  'SMTP_URL',
  'OAUTH_PROVIDERS_FILE',
];

const flag = ({ value }: { value: unknown }): unknown =>
  value === 'on' || value === 'true' ? true : value === 'off' || value === 'false' ? false : value;

/**
 * The environment variables that Atrium reads, one property each, with their defaults. `.env.example`
 * lists the same names; a test compares the two.
 */
export class Environment {
  @IsIn(['development', 'test', 'production'], { message: 'must be development, test or production' })
  NODE_ENV: 'development' | 'test' | 'production' = 'development';

  @Type(() => Number)
  @IsInt({ message: 'must be a port number from 0 to 65535' })
  @Min(0, { message: 'must be a port number from 0 to 65535' })
  @Max(65535, { message: 'must be a port number from 0 to 65535' })
  PORT = 3000;

  /** The address to listen on; all of them when empty. */
  @IsOptional()
  @IsString()
  HOST?: string;

  @IsString()
  @MinLength(1, { message: 'must name a folder' })
  DATA_DIR = '.data';

  @IsOptional()
  @Matches(/^postgres(ql)?:\/\/\S+$/, { message: 'must look like postgresql://user:password@host:5432/name' })
  DATABASE_URL?: string;

  @Type(() => Number)
  @IsInt({ message: 'must be a whole number of connections' })
  @Min(2, { message: 'must be at least 2' })
  @Max(500, { message: 'must be at most 500' })
  DATABASE_POOL_SIZE = 10;

  @Type(() => Number)
  @IsInt({ message: 'must be milliseconds' })
  @Min(100, { message: 'must be at least 100 ms' })
  @Max(600_000, { message: 'must be at most 600000 ms' })
  DATABASE_STATEMENT_TIMEOUT_MS = 15_000;

  @IsString()
  @MinLength(32, { message: 'must have at least 32 characters; make one with: openssl rand -base64 48' })
  TOKEN_SECRET = DEVELOPMENT_SECRET;

  /** A JWK Set of P-256 key pairs: access tokens are then signed with ES256 instead of the secret. */
  @IsOptional()
  @IsString()
  TOKEN_KEYS_FILE?: string;

  @IsString()
  @MinLength(1, { message: 'must not be empty' })
  TOKEN_ISSUER = 'atrium';

  @IsString()
  @MinLength(1, { message: 'must not be empty' })
  TOKEN_AUDIENCE = 'atrium';

  @Type(() => Number)
  @IsInt({ message: 'must be seconds' })
  @Min(5, { message: 'must be at least 5 s' })
  @Max(86_400, { message: 'must be at most 86400 s' })
  ACCESS_TOKEN_TTL_SECONDS = 900;

  @Type(() => Number)
  @IsInt({ message: 'must be seconds' })
  @Min(0, { message: 'must be at least 0 s' })
  @Max(300, { message: 'must be at most 300 s' })
  REFRESH_GRACE_SECONDS = 10;

  @Type(() => Number)
  @IsInt({ message: 'must be seconds' })
  @Min(60, { message: 'must be at least 60 s' })
  SESSION_INACTIVITY_SECONDS = 14 * 86_400;

  @Type(() => Number)
  @IsInt({ message: 'must be seconds' })
  @Min(60, { message: 'must be at least 60 s' })
  SESSION_LIFETIME_SECONDS = 90 * 86_400;

  /** Comma-separated origins of web apps, each `scheme://host[:port]`. */
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((origin) => origin.trim())
          .filter(Boolean)
      : value,
  )
  @Matches(/^(\*|https?:\/\/[^/\s]+)$/, {
    each: true,
    message: 'must list origins such as https://app.example.com, separated by commas',
  })
  CORS_ORIGINS: string[] = [];

  /** The proxies in front: how many, or their addresses. Everybody else's `X-Forwarded-For` is ignored. */
  @IsOptional()
  @ValidateBy({
    name: 'trustedProxies',
    validator: {
      validate: (value) => typeof value === 'string' && readTrustedProxies(value) !== undefined,
      defaultMessage: () =>
        'must be 1 to 9 proxies in a row, or list their addresses, such as 10.0.0.0/8,::1',
    },
  })
  TRUST_PROXY?: string;

  @Transform(flag)
  @IsBoolean({ message: 'must be on or off' })
  RATE_LIMIT = true;

  @Type(() => Number)
  @IsInt({ message: 'must be a whole number of requests' })
  @Min(1, { message: 'must be at least 1' })
  RATE_LIMIT_PER_MINUTE = 30_000;

  @Type(() => Number)
  @IsInt({ message: 'must be a whole number of requests' })
  @Min(1, { message: 'must be at least 1' })
  RATE_LIMIT_REFRESHES_PER_MINUTE = 600;

  @Type(() => Number)
  @IsInt({ message: 'must be a whole number of requests' })
  @Min(1, { message: 'must be at least 1' })
  RATE_LIMIT_SIGN_INS_PER_MINUTE = 100;

  @Type(() => Number)
  @IsInt({ message: 'must be bytes' })
  @Min(1_024, { message: 'must be at least 1024 bytes' })
  @Max(64 * 1_048_576, { message: 'must be at most 67108864 bytes' })
  BODY_LIMIT_BYTES = 1_048_576;

  /** Whether an account exists only after its address was proven; by default in production when mail is sent. */
  @IsOptional()
  @IsIn(['off', 'email'], { message: 'must be off or email' })
  REGISTRATION_CONFIRMATION?: 'off' | 'email';

  /** Without a slash at the end. */
  @Matches(/^https?:\/\/[^/\s?#@]+(\/[^\s?#]*[^\s?#/])?$/, {
    message: 'must look like https://app.example.com, without a slash at the end',
  })
  PUBLIC_URL = DEVELOPMENT_PUBLIC_URL;

  /** The server that sends mail; the folder `outbox` of DATA_DIR when empty. */
  @IsOptional()
  @Matches(/^smtps?:\/\/\S+$/, { message: 'must look like smtps://user:password@host:465' })
  SMTP_URL?: string;

  @Matches(/^([^<>@,;"\p{Cc}]+ <[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/u, {
    message: 'must look like Atrium <no-reply@example.com>',
  })
  MAIL_FROM = DEVELOPMENT_SENDER;

  /** A JSON list of the providers that people can sign in with. */
  @IsOptional()
  @IsString()
  OAUTH_PROVIDERS_FILE?: string;

  /** Comma-separated addresses of web apps to which a sign-in with a provider may return, each exactly so. */
  @Transform(({ value }: { value: unknown }) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((address) => address.trim())
          .filter(Boolean)
      : value,
  )
  @Matches(/^(https?:\/\/[^/\s?#@\\]+|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:)(\/[^\s#\\]*)?$/, {
    each: true,
    message: 'must list addresses such as https://app.example.com/signed-in, separated by commas',
  })
  OAUTH_RETURN_URLS: string[] = [];

  @IsIn(['debug', 'log', 'warn', 'error', 'fatal'], { message: 'must be debug, log, warn, error or fatal' })
  LOG_LEVEL: 'debug' | 'log' | 'warn' | 'error' | 'fatal' = 'log';

  @Transform(flag)
  @IsBoolean({ message: 'must be on or off' })
  API_DOCS = true;

  @Type(() => Number)
  @IsInt({ message: 'must be milliseconds' })
  @Min(50, { message: 'must be at least 50 ms' })
  @Max(1_000, { message: 'must be at most 1000 ms' })
  STREAM_SWEEP_MS = 1_000;

  @Type(() => Number)
  @IsInt({ message: 'must be milliseconds' })
  @Min(1_000, { message: 'must be at least 1000 ms' })
  @Max(300_000, { message: 'must be at most 300000 ms' })
  SOCKET_HEARTBEAT_MS = 25_000;

  @Type(() => Number)
  @IsInt({ message: 'must be bytes' })
  @Min(1_024, { message: 'must be at least 1024 bytes' })
  @Max(1_048_576, { message: 'must be at most 1048576 bytes' })
  SOCKET_FRAME_LIMIT_BYTES = 65_536;

  @Type(() => Number)
  @IsInt({ message: 'must be bytes' })
  @Min(65_536, { message: 'must be at least 65536 bytes' })
  @Max(16 * 1_048_576, { message: 'must be at most 16777216 bytes' })
  SOCKET_BUFFER_LIMIT_BYTES = 1_048_576;

  @Type(() => Number)
  @IsInt({ message: 'must be a whole number of rooms' })
  @Min(1, { message: 'must be at least 1' })
  @Max(10_000, { message: 'must be at most 10000' })
  SOCKET_ROOM_LIMIT = 100;

  @Type(() => Number)
  @IsInt({ message: 'must be frames per second' })
  @Min(1, { message: 'must be at least 1' })
  @Max(100_000, { message: 'must be at most 100000' })
  SOCKET_FRAME_RATE = 100;

  @Type(() => Number)
  @IsInt({ message: 'must be milliseconds' })
  @Min(0, { message: 'must be at least 0 ms' })
  @Max(60_000, { message: 'must be at most 60000 ms' })
  DRAIN_TIMEOUT_MS = 10_000;
}

/** A variable is wrong or missing: `problems` holds one line per variable, each with the mend. */
export class ConfigurationError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`Atrium cannot start with this configuration:\n${problems.map((line) => `  ${line}`).join('\n')}`);
    this.name = 'ConfigurationError';
  }
}

/**
 * Reads and validates the variables. An empty string counts as not set, as `.env` files leave it.
 * @throws {ConfigurationError} naming every wrong variable at once
 */
export function readEnvironment(source: Readonly<Record<string, string | undefined>>): Environment {
  const known = Object.keys(new Environment());
  const set = Object.fromEntries(
    [...known, ...OPTIONAL]
      .map((name) => [name, source[name]] as const)
      .filter(([, value]) => value !== undefined && value !== ''),
  );
  const environment = plainToInstance(Environment, set, { exposeDefaultValues: true });
  const problems = validateSync(environment).map((error) => {
    const shown = SECRETS.has(error.property) ? '' : ` (it is ${JSON.stringify(set[error.property])})`;
    // Decorators apply from the bottom up: the last message is that of the first, the most basic rule.
    return `${error.property} ${Object.values(error.constraints ?? {}).at(-1) ?? 'is wrong'}${shown}`;
  });
  if (environment.NODE_ENV === 'production') problems.push(...unsafeInProduction(environment));
  if (problems.length > 0) throw new ConfigurationError(problems);
  return environment;
}

/** What is convenient on a laptop and dangerous on the internet. */
function unsafeInProduction(environment: Environment): string[] {
  const problems: string[] = [];
  if (!environment.DATABASE_URL)
    problems.push('DATABASE_URL must be set in production: the embedded PostgreSQL is for development only');
  if (environment.TOKEN_SECRET === DEVELOPMENT_SECRET)
    problems.push(
      'TOKEN_SECRET must be set in production to a secret of your own: openssl rand -base64 48 makes one',
    );
  if (!environment.RATE_LIMIT)
    problems.push('RATE_LIMIT must be on in production: raise RATE_LIMIT_PER_MINUTE instead');
  if (environment.CORS_ORIGINS.includes('*'))
    problems.push('CORS_ORIGINS must not be * in production: list the origins of your web apps');
  if (environment.SMTP_URL) problems.push(...unfitForMail(environment));
  else if (environment.REGISTRATION_CONFIRMATION === 'email')
    problems.push(
      'SMTP_URL must be set in production when REGISTRATION_CONFIRMATION=email: nobody could register',
    );
  if (environment.OAUTH_PROVIDERS_FILE) problems.push(...unfitForProviders(environment));
  return problems;
}

/** Over which addresses a sign-in must not travel. */
function unfitForProviders({ PUBLIC_URL, OAUTH_RETURN_URLS }: Environment): string[] {
  const problems: string[] = [];
  if (!PUBLIC_URL.startsWith('https://'))
    problems.push('PUBLIC_URL must be https:// in production: providers send people back to it');
  if (OAUTH_RETURN_URLS.some((address) => /^http:\/\/(?!(localhost|127\.0\.0\.1|\[::1\])[:/])/.test(address)))
    problems.push('OAUTH_RETURN_URLS must be https:// in production, but for this machine');
  return problems;
}

/** What must not stand in a mail to real people. */
function unfitForMail({ PUBLIC_URL, MAIL_FROM }: Environment): string[] {
  const problems: string[] = [];
  if (!/^(https:\/\/|http:\/\/(localhost|127\.0\.0\.1|\[::1\])(:\d+)?(\/|$))/.test(PUBLIC_URL))
    problems.push('PUBLIC_URL must be https:// in production: links that reset passwords begin with it');
  else if (PUBLIC_URL === DEVELOPMENT_PUBLIC_URL)
    problems.push('PUBLIC_URL must be set in production when SMTP_URL is: links in mails begin with it');
  if (MAIL_FROM === DEVELOPMENT_SENDER)
    problems.push('MAIL_FROM must be set in production when SMTP_URL is: your own address sends the mails');
  return problems;
}
