import { resolve } from 'node:path';
import type { Environment } from './environment.js';
import { type LogLevel, readLogLevels } from './log-levels.js';
import { type OAuthProviderSettings, readOAuthProviders } from './oauth-providers.js';
import { readEnvironment } from './read-environment.js';
import { readTokenKeys, type TokenKey } from './token-keys.js';
import { readTracing, type TracingSettings } from './tracing-variables.js';
import { readTrustedProxies, type TrustedProxies } from './trusted-proxies.js';

/** Everything that can be set, validated and typed; injectable by its class. Sizes in bytes, spans as named. */
export class AtriumConfig {
  readonly environment: 'development' | 'test' | 'production';
  readonly host: string | undefined;
  readonly port: number;
  /** Absolute path of the folder for the embedded database and what else development keeps. */
  readonly dataDir: string;
  /** How much is logged: of all, and of some modules apart. */
  readonly logLevels: { readonly default: LogLevel; readonly modules: Readonly<Record<string, LogLevel>> };
  readonly apiDocs: boolean;
  /** `undefined`: there is none. */
  readonly management: { readonly port: number; readonly host: string } | undefined;
  /** `undefined`: nothing is recorded. */
  readonly tracing: TracingSettings | undefined;
  readonly database: {
    /** `undefined`: start the embedded server. */
    readonly url: string | undefined;
    /** Past a pooler, for the connection that listens, and for migrations; `undefined`: the same as `url`. */
    readonly directUrl: string | undefined;
    /** A streaming replica that may read lists and exports; `undefined`: there is none. */
    readonly readUrl: string | undefined;
    /** Whether `url` is a pooler that lends connections for a transaction at a time. */
    readonly pooled: boolean;
    /** Whether statements are prepared under names. */
    readonly named: boolean;
    readonly poolSize: number;
    readonly statementTimeoutMs: number;
    /** Whether a start applies migrations, or waits until somebody else has. */
    readonly migrateAtStart: boolean;
  };
  /** What a filtered, sorted or searched list may take. */
  readonly lists: { readonly timeoutMs: number };
  /** How long deleted items can be brought back; 0: for ever. */
  readonly trash: { readonly days: number };
  /** 0: for ever. */
  readonly audit: { readonly retentionDays: number };
  /** `undefined`: instances tell each other by PostgreSQL, and count by themselves. */
  readonly redis: { readonly urls: readonly string[]; readonly prefix: string } | undefined;
  readonly tokens: {
    readonly secret: string;
    /** Key pairs instead of the secret; none by default. */
    readonly keys: readonly TokenKey[];
    readonly issuer: string;
    readonly audience: string;
    readonly accessTtlSeconds: number;
  };
  readonly sessions: {
    readonly refreshGraceSeconds: number;
    readonly inactivitySeconds: number;
    readonly lifetimeSeconds: number;
  };
  /** Second factors, passkeys and the proofs that sensitive changes ask for. */
  readonly mfa: {
    readonly stepUpSeconds: number;
    /** From which the keys of authenticator secrets are derived: the first seals, all open. */
    readonly secrets: readonly [string, ...string[]];
    readonly serviceName: string;
    /** The relying party's id (WebAuthn, section 5.1.2). */
    readonly rpId: string;
    /** From which passkeys are taken. */
    readonly origins: readonly string[];
  };
  readonly passwords: { readonly hashMemoryKib: number };
  readonly http: {
    readonly corsOrigins: readonly string[];
    readonly bodyLimitBytes: number;
    /** How long everything goes on after the signal, so that balancers take notice. */
    readonly drainGraceMs: number;
    readonly drainTimeoutMs: number;
    /** What the headers of a request may take to arrive. */
    readonly headersTimeoutMs: number;
    /** What its body may take, unless it is an upload. */
    readonly bodyTimeoutMs: number;
    /** How late the event loop may be on average; 0: as late as it is. */
    readonly overloadDelayMs: number;
    readonly trustedProxies: TrustedProxies;
  };
  readonly imports: { readonly limitBytes: number };
  readonly rateLimits: {
    readonly enabled: boolean;
    /** Requests per minute: of one principal or, where nobody is known, from one address. */
    readonly general: number;
    /** Requests per minute of one agent, in the place of `general`. */
    readonly agents: number;
    readonly refreshes: number;
    readonly signIns: number;
  };
  /** What links in mails begin with, and the address under which browsers know this server; no slash at the end. */
  readonly publicUrl: string;
  /** What the token server is called: `publicUrl`, and in development this machine's other names for it. */
  readonly issuers: readonly string[];
  readonly mail: {
    /** `undefined`: mail is written to the folder `outbox` of `dataDir`. */
    readonly smtpUrl: string | undefined;
    /** `Name <address>` or an address. */
    readonly from: string;
    /** How long mails stay in that folder; 0: for ever. */
    readonly retentionDays: number;
  };
  /** Whether accounts come into being by a link in a mail, so that nobody learns who has one. */
  readonly registrationByMail: boolean;
  /** Sign-in with providers. */
  readonly oauth: {
    readonly providers: readonly OAuthProviderSettings[];
    /** Where a sign-in may return to, compared letter by letter; the first when none is asked for. */
    readonly returnUrls: readonly string[];
  };
  readonly streams: {
    /** 0: events are kept for ever. */
    readonly retentionDays: number;
    readonly sweepMs: number;
  };
  readonly sockets: {
    readonly heartbeatMs: number;
    readonly frameLimitBytes: number;
    readonly bufferLimitBytes: number;
    readonly roomLimit: number;
    readonly framesPerSecond: number;
    /** Open at once at this instance; no bound with rate limits off. */
    readonly perPrincipal: number;
    /** Of one IPv4 address, or one /64 of IPv6. */
    readonly perAddress: number;
    /** Open event streams of one principal, at this instance. */
    readonly streamsPerPrincipal: number;
  };

  readonly leases: {
    /** How many an agent may hold at a time. */
    readonly perAgent: number;
  };

  constructor(env: Environment) {
    this.environment = env.NODE_ENV;
    this.host = env.HOST;
    this.port = env.PORT;
    this.dataDir = resolve(env.DATA_DIR);
    this.logLevels = { default: env.LOG_LEVEL, modules: readLogLevels(env.LOG_LEVELS) };
    this.apiDocs = env.API_DOCS;
    this.management =
      env.MANAGEMENT_PORT === undefined
        ? undefined
        : { port: env.MANAGEMENT_PORT, host: env.MANAGEMENT_HOST };
    this.tracing = readTracing(env);
    this.database = {
      url: env.DATABASE_URL,
      directUrl: env.DATABASE_DIRECT_URL,
      readUrl: env.READ_DATABASE_URL,
      pooled: env.DATABASE_POOLER === 'transaction',
      named: env.DATABASE_NAMED_STATEMENTS ?? env.DATABASE_POOLER === 'off',
      poolSize: env.DATABASE_POOL_SIZE,
      statementTimeoutMs: env.DATABASE_STATEMENT_TIMEOUT_MS,
      migrateAtStart: env.MIGRATE_AT_START,
    };
    this.lists = { timeoutMs: env.LIST_TIMEOUT_MS };
    this.trash = { days: env.TRASH_DAYS };
    this.audit = { retentionDays: env.AUDIT_RETENTION_DAYS };
    this.redis =
      env.REDIS_URL === undefined ? undefined : { urls: env.REDIS_URL.split(','), prefix: env.REDIS_PREFIX };
    this.tokens = {
      secret: env.TOKEN_SECRET,
      keys: env.TOKEN_KEYS_FILE ? readTokenKeys(env.TOKEN_KEYS_FILE) : [],
      issuer: env.TOKEN_ISSUER,
      audience: env.TOKEN_AUDIENCE,
      accessTtlSeconds: env.ACCESS_TOKEN_TTL_SECONDS,
    };
    this.sessions = {
      refreshGraceSeconds: env.REFRESH_GRACE_SECONDS,
      inactivitySeconds: env.SESSION_INACTIVITY_SECONDS,
      lifetimeSeconds: env.SESSION_LIFETIME_SECONDS,
    };
    const { hostname, origin } = new URL(env.PUBLIC_URL);
    this.mfa = {
      stepUpSeconds: env.STEP_UP_SECONDS,
      secrets: isNotEmpty(env.FACTOR_SECRET) ? env.FACTOR_SECRET : [env.TOKEN_SECRET],
      serviceName: env.SERVICE_NAME,
      rpId: env.PASSKEY_RP_ID ?? hostname,
      origins: [origin, ...env.CORS_ORIGINS.filter((each) => each !== '*'), ...env.PASSKEY_ORIGINS],
    };
    this.passwords = { hashMemoryKib: env.PASSWORD_HASH_MEMORY_KIB };
    this.http = {
      corsOrigins: env.CORS_ORIGINS,
      bodyLimitBytes: env.BODY_LIMIT_BYTES,
      drainGraceMs: env.DRAIN_GRACE_MS ?? (env.NODE_ENV === 'production' ? 3_000 : 0),
      drainTimeoutMs: env.DRAIN_TIMEOUT_MS,
      headersTimeoutMs: env.HEADERS_TIMEOUT_MS,
      bodyTimeoutMs: env.BODY_TIMEOUT_MS,
      overloadDelayMs: env.OVERLOAD_DELAY_MS,
      trustedProxies: (env.TRUST_PROXY ? readTrustedProxies(env.TRUST_PROXY) : undefined) ?? false,
    };
    this.imports = { limitBytes: env.IMPORT_LIMIT_BYTES };
    this.rateLimits = {
      enabled: env.RATE_LIMIT,
      general: env.RATE_LIMIT_PER_MINUTE,
      agents: env.RATE_LIMIT_AGENTS_PER_MINUTE,
      refreshes: env.RATE_LIMIT_REFRESHES_PER_MINUTE,
      signIns: env.RATE_LIMIT_SIGN_INS_PER_MINUTE,
    };
    this.publicUrl = env.PUBLIC_URL;
    this.issuers = issuersOf(env);
    this.mail = { smtpUrl: env.SMTP_URL, from: env.MAIL_FROM, retentionDays: env.MAIL_RETENTION_DAYS };
    this.registrationByMail =
      (env.REGISTRATION_CONFIRMATION ??
        (env.NODE_ENV === 'production' && env.SMTP_URL !== undefined ? 'email' : 'off')) === 'email';
    this.oauth = {
      providers: env.OAUTH_PROVIDERS_FILE
        ? readOAuthProviders(env.OAUTH_PROVIDERS_FILE, env.NODE_ENV !== 'production')
        : [],
      returnUrls: env.OAUTH_RETURN_URLS,
    };
    this.streams = { retentionDays: env.EVENT_RETENTION_DAYS, sweepMs: env.STREAM_SWEEP_MS };
    this.sockets = {
      heartbeatMs: env.SOCKET_HEARTBEAT_MS,
      frameLimitBytes: env.SOCKET_FRAME_LIMIT_BYTES,
      bufferLimitBytes: env.SOCKET_BUFFER_LIMIT_BYTES,
      roomLimit: env.SOCKET_ROOM_LIMIT,
      framesPerSecond: env.SOCKET_FRAME_RATE,
      perPrincipal: env.RATE_LIMIT ? env.SOCKETS_PER_PRINCIPAL : Infinity,
      streamsPerPrincipal: env.EVENT_STREAM_LIMIT,
      perAddress: env.RATE_LIMIT ? env.SOCKETS_PER_ADDRESS : Infinity,
    };
    this.leases = { perAgent: env.LEASE_LIMIT };
  }

  /** @returns that of `issuers` by which the token server was asked, by the `Host` of the request; else `publicUrl` */
  issuerFor(host: string | undefined): string {
    return this.issuers.find((issuer) => issuer === `http://${host}`) ?? this.publicUrl;
  }
}

const isNotEmpty = (list: readonly string[]): list is readonly [string, ...string[]] => list.length > 0;

/**
 * Builds the configuration from environment variables, whole or not at all.
 * @throws {import('./configuration-error.js').ConfigurationError}
 */
export function loadConfig(source: Readonly<Record<string, string | undefined>>): AtriumConfig {
  return new AtriumConfig(readEnvironment(source));
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];

/** Who asks a server of their own machine by another of its names wants to be answered by that name (RFC 8414, section 3.3). */
function issuersOf({ NODE_ENV, PUBLIC_URL }: Environment): string[] {
  const url = new URL(PUBLIC_URL);
  if (NODE_ENV === 'production' || url.pathname !== '/' || !LOOPBACK.includes(url.hostname))
    return [PUBLIC_URL];
  const names = LOOPBACK.map((name) => Object.assign(new URL(url), { hostname: name }).origin);
  return [PUBLIC_URL, ...names.filter((name) => name !== PUBLIC_URL)];
}
