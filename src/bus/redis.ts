import { createHash } from 'node:crypto';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { type Connection, Link, within } from './link.js';
import { redisClient, redisCluster, type RedisSettings } from './redis-client.js';

/** The longest that somebody waits for an answer, once: then Redis counts as gone until it takes a new connection. */
const PATIENCE_MS = 100;

/** A Lua script that works on one key, so that it runs in a cluster, too. */
export class RedisScript {
  readonly sha: string;

  constructor(readonly text: string) {
    this.sha = createHash('sha1').update(text).digest('hex');
  }
}

/** Redis is not there, or does not answer in time. What was asked may have happened. */
export class RedisUnavailable extends Error {
  constructor(options?: { readonly cause?: unknown }) {
    super('Redis does not answer', options);
    this.name = 'RedisUnavailable';
  }
}

/**
 * Redis, for those who can do without: it answers quickly or not at all. While it is gone nobody waits for it, and
 * it comes back by itself.
 */
export class Redis implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly link: Link<ScriptConnection> | undefined;
  private readonly prefix: string;

  /** @param settings `undefined`: there is none */
  constructor(settings: RedisSettings | undefined) {
    this.prefix = settings?.prefix ?? '';
    this.link =
      settings &&
      new Link({
        make: (lost) => new ScriptConnection(settings, lost),
        says: { lost: 'Redis is gone, so each instance counts requests by itself', back: 'Redis is back' },
      });
  }

  /** Whether it is there. */
  get isUp(): boolean {
    return this.link?.open !== undefined;
  }

  onApplicationBootstrap(): void {
    this.link?.start();
  }

  async onApplicationShutdown(): Promise<void> {
    await this.link?.stop();
  }

  /**
   * Runs a script.
   * @param key without the prefix
   * @throws {RedisUnavailable} at once while Redis is known to be gone
   */
  async run(script: RedisScript, key: string, ...args: readonly string[]): Promise<unknown> {
    const connection = this.link?.open;
    if (!connection) throw new RedisUnavailable();
    try {
      return await within(PATIENCE_MS, connection.run(script, `${this.prefix}:${key}`, args));
    } catch (error) {
      this.link?.lose(connection, error as Error);
      throw new RedisUnavailable({ cause: error });
    }
  }
}

class ScriptConnection implements Connection {
  private readonly client: ReturnType<typeof redisClient> | ReturnType<typeof redisCluster>;

  constructor({ urls }: RedisSettings, lost: (error: Error) => void) {
    if (urls.length > 1) {
      const cluster = redisCluster(urls, false);
      for (const event of ['error', 'node-error']) cluster.on(event, lost);
      this.client = cluster;
    } else {
      const client = redisClient(urls[0] ?? '', false);
      client.on('error', lost);
      client.on('end', () => lost(new Error('the connection to Redis ended')));
      this.client = client;
    }
  }

  async open(): Promise<void> {
    await this.client.connect();
  }

  async run({ sha, text }: RedisScript, key: string, args: readonly string[]): Promise<unknown> {
    const options = { keys: [key], arguments: [...args] };
    try {
      return await this.client.evalSha(sha, options);
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return this.client.eval(text, options);
    }
  }

  close(): Promise<void> {
    if (this.client.isOpen) this.client.destroy();
    return Promise.resolve();
  }
}
