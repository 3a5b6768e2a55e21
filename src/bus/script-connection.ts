import type { RedisScript, ScriptRunner } from './redis.js';
import { redisClient, redisCluster, type RedisSettings } from './redis-client.js';

/** Runs scripts by one Redis, or by whichever node of a cluster has the key. */
export class ScriptConnection implements ScriptRunner {
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
