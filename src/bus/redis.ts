import { createHash } from 'node:crypto';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { type Connection, Link, within } from './link.js';

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

/** A connection by which scripts run. */
export interface ScriptRunner extends Connection {
  run(script: RedisScript, key: string, args: readonly string[]): Promise<unknown>;
}

/**
 * Redis, for those who can do without: it answers quickly or not at all. While it is gone nobody waits for it, and
 * it comes back by itself.
 */
export class Redis implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly link: Link<ScriptRunner> | undefined;

  /**
   * @param connect makes a connection that says when it has broken; `undefined`: there is no Redis
   * @param prefix what keys begin with
   */
  constructor(
    connect: ((lost: (error: Error) => void) => ScriptRunner) | undefined,
    private readonly prefix = '',
  ) {
    this.link =
      connect &&
      new Link({
        make: connect,
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
