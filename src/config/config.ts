import { resolve } from 'node:path';
import { type Environment, readEnvironment } from './environment.js';

/** Everything that can be set, validated and typed; injectable by its class. Sizes in bytes, spans as named. */
export class AtriumConfig {
  readonly environment: 'development' | 'test' | 'production';
  readonly host: string | undefined;
  readonly port: number;
  /** Absolute path of the folder for the embedded database and what else development keeps. */
  readonly dataDir: string;
  readonly logLevel: 'debug' | 'log' | 'warn' | 'error' | 'fatal';
  readonly apiDocs: boolean;
  readonly database: {
    /** `undefined`: start the embedded server. */
    readonly url: string | undefined;
    readonly poolSize: number;
    readonly statementTimeoutMs: number;
  };
  readonly tokens: {
    readonly secret: string;
    readonly issuer: string;
    readonly audience: string;
    readonly accessTtlSeconds: number;
  };
  readonly sessions: {
    readonly refreshGraceSeconds: number;
    readonly inactivitySeconds: number;
    readonly lifetimeSeconds: number;
  };
  readonly http: {
    readonly corsOrigins: readonly string[];
    readonly bodyLimitBytes: number;
    readonly drainTimeoutMs: number;
  };
  readonly streams: { readonly sweepMs: number };
  readonly sockets: {
    readonly heartbeatMs: number;
    readonly frameLimitBytes: number;
    readonly bufferLimitBytes: number;
    readonly roomLimit: number;
    readonly framesPerSecond: number;
  };

  constructor(env: Environment) {
    this.environment = env.NODE_ENV;
    this.host = env.HOST;
    this.port = env.PORT;
    this.dataDir = resolve(env.DATA_DIR);
    this.logLevel = env.LOG_LEVEL;
    this.apiDocs = env.API_DOCS;
    this.database = {
      url: env.DATABASE_URL,
      poolSize: env.DATABASE_POOL_SIZE,
      statementTimeoutMs: env.DATABASE_STATEMENT_TIMEOUT_MS,
    };
    this.tokens = {
      secret: env.TOKEN_SECRET,
      issuer: env.TOKEN_ISSUER,
      audience: env.TOKEN_AUDIENCE,
      accessTtlSeconds: env.ACCESS_TOKEN_TTL_SECONDS,
    };
    this.sessions = {
      refreshGraceSeconds: env.REFRESH_GRACE_SECONDS,
      inactivitySeconds: env.SESSION_INACTIVITY_SECONDS,
      lifetimeSeconds: env.SESSION_LIFETIME_SECONDS,
    };
    this.http = {
      corsOrigins: env.CORS_ORIGINS,
      bodyLimitBytes: env.BODY_LIMIT_BYTES,
      drainTimeoutMs: env.DRAIN_TIMEOUT_MS,
    };
    this.streams = { sweepMs: env.STREAM_SWEEP_MS };
    this.sockets = {
      heartbeatMs: env.SOCKET_HEARTBEAT_MS,
      frameLimitBytes: env.SOCKET_FRAME_LIMIT_BYTES,
      bufferLimitBytes: env.SOCKET_BUFFER_LIMIT_BYTES,
      roomLimit: env.SOCKET_ROOM_LIMIT,
      framesPerSecond: env.SOCKET_FRAME_RATE,
    };
  }
}

/**
 * Builds the configuration from environment variables, whole or not at all.
 * @throws {import('./environment.js').ConfigurationError}
 */
export function loadConfig(source: Readonly<Record<string, string | undefined>>): AtriumConfig {
  return new AtriumConfig(readEnvironment(source));
}
