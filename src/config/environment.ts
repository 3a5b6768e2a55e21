import { Type } from 'class-transformer';
import {
  ArrayMaxSize,
  IsIn,
  IsInt,
  IsOptional,
  IsString,
  Matches,
  Max,
  Min,
  MinLength,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { LOG_LEVELS, type LogLevel, MODULE_LEVEL } from './log-levels.js';
import { TracingVariables } from './tracing-variables.js';
import { readTrustedProxies } from './trusted-proxies.js';
import { CommaSeparated, Switch, WholeNumber } from './variables.js';

/** The secret that `npm start` uses when nobody set one. Production refuses it. */
export const DEVELOPMENT_SECRET = 'development-only-secret-change-me-before-you-ship';

/** Where links lead when nobody said. Production refuses it as soon as mail is sent. */
export const DEVELOPMENT_PUBLIC_URL = 'http://localhost:3000';

/** Whom mails are from when nobody said. Production refuses it as soon as mail is sent. */
export const DEVELOPMENT_SENDER = 'Atrium <atrium@localhost>';

/** What OWASP asks of argon2id with two passes. Production refuses less. */
export const LEAST_HASH_MEMORY_KIB = 19_456;

/**
 * The environment variables that Atrium reads, one property each, with their defaults. `.env.example`
 * lists the same names; a test compares the two.
 */
export class Environment extends TracingVariables {
  @IsIn(['development', 'test', 'production'], { message: 'must be development, test or production' })
  NODE_ENV: 'development' | 'test' | 'production' = 'development';

  // Where it listens, and what it says.

  @Type(() => Number)
  @IsInt({ message: 'must be a port number from 0 to 65535' })
  @Min(0, { message: 'must be a port number from 0 to 65535' })
  @Max(65535, { message: 'must be a port number from 0 to 65535' })
  PORT = 3000;

  /** The address to listen on; all of them when empty. */
  @IsOptional()
  @IsString()
  HOST?: string;

  @IsIn(LOG_LEVELS, { message: 'must be debug, log, warn, error or fatal' })
  LOG_LEVEL: LogLevel = 'log';

  /** Of single modules, as `Jobs=debug`. */
  @CommaSeparated()
  @Matches(MODULE_LEVEL, {
    each: true,
    message: 'must list levels of modules, such as Jobs=debug,Request=warn',
  })
  LOG_LEVELS: string[] = [];

  @Switch()
  API_DOCS = true;

  /** Metrics and the levels of the log, for operators. */
  @IsOptional()
  @Type(() => Number)
  @IsInt({ message: 'must be a port number from 0 to 65535' })
  @Min(0, { message: 'must be a port number from 0 to 65535' })
  @Max(65535, { message: 'must be a port number from 0 to 65535' })
  MANAGEMENT_PORT?: number;

  @IsString()
  @MinLength(1, { message: 'must be an address' })
  MANAGEMENT_HOST = '127.0.0.1';

  // The database.

  @IsString()
  @MinLength(1, { message: 'must name a folder' })
  DATA_DIR = '.data';

  @IsOptional()
  @Matches(/^postgres(ql)?:\/\/\S+$/, { message: 'must look like postgresql://user:password@host:5432/name' })
  DATABASE_URL?: string;

  /** PostgreSQL itself, when DATABASE_URL is a pooler: to listen, and to migrate. */
  @IsOptional()
  @Matches(/^postgres(ql)?:\/\/\S+$/, { message: 'must look like postgresql://user:password@host:5432/name' })
  DATABASE_DIRECT_URL?: string;

  /** A streaming replica, for lists and exports: as fresh as ever, or done by the primary. */
  @IsOptional()
  @Matches(/^postgres(ql)?:\/\/\S+$/, { message: 'must look like postgresql://user:password@host:5432/name' })
  READ_DATABASE_URL?: string;

  /** What stands before PostgreSQL at DATABASE_URL: `transaction` is PgBouncer, or another pooler, in that mode. */
  @IsIn(['off', 'transaction'], { message: 'must be off or transaction' })
  DATABASE_POOLER: 'off' | 'transaction' = 'off';

  /** Whether statements are prepared once under a name; by default without a pooler, since some forget them. */
  @IsOptional()
  @Switch()
  DATABASE_NAMED_STATEMENTS?: boolean;

  /** Redis or Valkey; several, separated by commas, are nodes of one cluster. */
  @IsOptional()
  @Matches(/^rediss?:\/\/[^\s,]+(,rediss?:\/\/[^\s,]+)*$/, {
    message:
      'must look like redis://user:password@host:6379, or list nodes of a cluster, separated by commas',
  })
  REDIS_URL?: string;

  /** What keys and channels in Redis begin with. */
  @Matches(/^[\w.:-]{1,64}$/, { message: 'must be 1 to 64 letters, digits or any of . : _ -' })
  REDIS_PREFIX = 'atrium';

  @WholeNumber({ of: 'a whole number of connections', min: 2, max: 500 })
  DATABASE_POOL_SIZE = 10;

  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 100, max: 600_000 })
  DATABASE_STATEMENT_TIMEOUT_MS = 15_000;

  /** Whether a start applies migrations, or waits until somebody else has. */
  @Switch()
  MIGRATE_AT_START = true;

  /** What a filtered, sorted or searched list may take; then it is refused. */
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 50, max: 60_000 })
  LIST_TIMEOUT_MS = 2_000;

  /** 0: for ever. */
  @WholeNumber({ of: 'a whole number of days', unit: 'days', min: 0, max: 36_500 })
  TRASH_DAYS = 30;

  /** Of entries of the audit trail; 0: for ever. The database itself keeps those of the last 90 days. */
  @ValidateIf(({ AUDIT_RETENTION_DAYS }: Environment) => AUDIT_RETENTION_DAYS !== 0)
  @WholeNumber({ of: '0, for ever, or a whole number of days', unit: 'days', min: 90, max: 36_500 })
  AUDIT_RETENTION_DAYS = 0;

  // Tokens and sessions.

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

  @WholeNumber({ of: 'seconds', unit: 's', min: 5, max: 86_400 })
  ACCESS_TOKEN_TTL_SECONDS = 900;

  @WholeNumber({ of: 'seconds', unit: 's', min: 0, max: 300 })
  REFRESH_GRACE_SECONDS = 10;

  @WholeNumber({ of: 'seconds', unit: 's', min: 60 })
  SESSION_INACTIVITY_SECONDS = 14 * 86_400;

  @WholeNumber({ of: 'seconds', unit: 's', min: 60 })
  SESSION_LIFETIME_SECONDS = 90 * 86_400;

  /** How long ago a session may have proven who it is when it changes what opens the account. */
  @WholeNumber({ of: 'seconds', unit: 's', min: 60, max: 86_400 })
  STEP_UP_SECONDS = 600;

  /** Comma-separated: the first encrypts the secrets of authenticator apps, all decrypt; `TOKEN_SECRET` when empty. */
  @CommaSeparated()
  @ArrayMaxSize(10, { message: 'must list at most 10 secrets' })
  @MinLength(32, {
    each: true,
    message: 'must have at least 32 characters each; make one with: openssl rand -base64 48',
  })
  FACTOR_SECRET: string[] = [];

  /** What authenticator apps and passkeys call this service. */
  @Matches(/^[^:\p{Cc}]{1,64}$/u, { message: 'must be a name of 1 to 64 characters without a colon' })
  SERVICE_NAME = 'Atrium';

  /** The domain that passkeys are for; that of PUBLIC_URL when empty. */
  @IsOptional()
  @Matches(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, { message: 'must be a domain, such as example.com' })
  PASSKEY_RP_ID?: string;

  /** Comma-separated origins that may use passkeys beside those of PUBLIC_URL and CORS_ORIGINS: of mobile apps. */
  @CommaSeparated()
  @Matches(/^(https?:\/\/[^/\s]+|android:apk-key-hash:[\w-]{43})$/, {
    each: true,
    message: 'must list origins such as https://app.example.com, separated by commas',
  })
  PASSKEY_ORIGINS: string[] = [];

  /** Of argon2id. */
  @WholeNumber({ of: 'KiB', unit: 'KiB', min: 64, max: 1_048_576 })
  PASSWORD_HASH_MEMORY_KIB = LEAST_HASH_MEMORY_KIB;

  // HTTP.

  /** Comma-separated origins of web apps, each `scheme://host[:port]`. */
  @CommaSeparated()
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

  @Switch()
  RATE_LIMIT = true;

  @WholeNumber({ of: 'a whole number of requests', min: 1 })
  RATE_LIMIT_PER_MINUTE = 30_000;

  @WholeNumber({ of: 'a whole number of requests', min: 1 })
  RATE_LIMIT_AGENTS_PER_MINUTE = 30_000;

  @WholeNumber({ of: 'a whole number of requests', min: 1 })
  RATE_LIMIT_REFRESHES_PER_MINUTE = 600;

  @WholeNumber({ of: 'a whole number of requests', min: 1 })
  RATE_LIMIT_SIGN_INS_PER_MINUTE = 100;

  @WholeNumber({ of: 'bytes', unit: 'bytes', min: 1_024, max: 64 * 1_048_576 })
  BODY_LIMIT_BYTES = 1_048_576;

  /** What one import may have, as it is uploaded. */
  @WholeNumber({ of: 'bytes', unit: 'bytes', min: 1_024, max: 10 * 1_073_741_824 })
  IMPORT_LIMIT_BYTES = 268_435_456;

  /** What the headers of a request may take to arrive. */
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 100, max: 120_000 })
  HEADERS_TIMEOUT_MS = 10_000;

  /** What its body may take then, unless it is an upload. */
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 100, max: 300_000 })
  BODY_TIMEOUT_MS = 30_000;

  /** How late the event loop may be on average, and a request be begun, before they are answered 503 early; 0: never. */
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 0, max: 60_000 })
  OVERLOAD_DELAY_MS = 1_000;

  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 0, max: 60_000 })
  DRAIN_TIMEOUT_MS = 10_000;

  /** How long a stopping process goes on as before, but for being ready; 3 s in production, else 0. */
  @IsOptional()
  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 0, max: 60_000 })
  DRAIN_GRACE_MS?: number;

  // Mail.

  /** Without a slash at the end. When it is not set, its port is PORT. */
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

  /** Of mails in the folder `outbox`; 0: for ever. */
  @WholeNumber({ of: 'a whole number of days', unit: 'days', min: 0, max: 36_500 })
  MAIL_RETENTION_DAYS = 30;

  /** Whether an account exists only after its address was proven; by default in production when mail is sent. */
  @IsOptional()
  @IsIn(['off', 'email'], { message: 'must be off or email' })
  REGISTRATION_CONFIRMATION?: 'off' | 'email';

  // Sign-in with providers.

  /** A JSON list of the providers that people can sign in with. */
  @IsOptional()
  @IsString()
  OAUTH_PROVIDERS_FILE?: string;

  /** Comma-separated addresses of web apps to which a sign-in with a provider may return, each exactly so. */
  @CommaSeparated()
  @Matches(/^(https?:\/\/[^/\s?#@\\]+|[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:)(\/[^\s#\\]*)?$/, {
    each: true,
    message: 'must list addresses such as https://app.example.com/signed-in, separated by commas',
  })
  OAUTH_RETURN_URLS: string[] = [];

  // Live rooms.

  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 50, max: 1_000 })
  STREAM_SWEEP_MS = 1_000;

  /** 0: for ever. */
  @WholeNumber({ of: 'a whole number of days', unit: 'days', min: 0, max: 36_500 })
  EVENT_RETENTION_DAYS = 30;

  @WholeNumber({ of: 'milliseconds', unit: 'ms', min: 1_000, max: 300_000 })
  SOCKET_HEARTBEAT_MS = 25_000;

  @WholeNumber({ of: 'bytes', unit: 'bytes', min: 1_024, max: 1_048_576 })
  SOCKET_FRAME_LIMIT_BYTES = 65_536;

  @WholeNumber({ of: 'bytes', unit: 'bytes', min: 65_536, max: 16 * 1_048_576 })
  SOCKET_BUFFER_LIMIT_BYTES = 1_048_576;

  @WholeNumber({ of: 'a whole number of rooms', min: 1, max: 10_000 })
  SOCKET_ROOM_LIMIT = 100;

  @WholeNumber({ of: 'a whole number of sockets', min: 1, max: 1_000_000 })
  SOCKETS_PER_PRINCIPAL = 2_000;

  @WholeNumber({ of: 'a whole number of sockets', min: 1, max: 1_000_000 })
  SOCKETS_PER_ADDRESS = 20_000;

  @WholeNumber({ of: 'frames per second', min: 1, max: 100_000 })
  SOCKET_FRAME_RATE = 100;

  @WholeNumber({ of: 'a whole number of event streams', min: 1, max: 10_000 })
  EVENT_STREAM_LIMIT = 100;

  @WholeNumber({ of: 'a whole number of leases', min: 1, max: 10_000 })
  LEASE_LIMIT = 100;
}
