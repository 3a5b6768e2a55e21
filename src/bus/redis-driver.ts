import type { BusConnection, BusDriver, BusHandlers } from './bus-connection.js';
import { redisClient, redisCluster, type RedisSettings } from './redis-client.js';

/** Publish and subscribe by Redis or Valkey; in a cluster by the shard that the channel belongs to. */
export const redisDriver =
  ({ urls, prefix }: RedisSettings): BusDriver =>
  (handlers) =>
    urls.length > 1
      ? new ClusterConnection(urls, `${prefix}:bus`, handlers)
      : new StandaloneConnection(urls[0] ?? '', `${prefix}:bus`, handlers);

class StandaloneConnection implements BusConnection {
  private readonly client: ReturnType<typeof redisClient>;

  constructor(
    url: string,
    private readonly channel: string,
    private readonly handlers: BusHandlers,
  ) {
    this.client = redisClient(url, false);
    this.client.on('error', (error: Error) => handlers.lost(error));
    this.client.on('end', () => handlers.lost(new Error('the connection to Redis ended')));
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.client.subscribe(this.channel, (text) => this.handlers.heard(text));
  }

  async send(text: string): Promise<void> {
    await this.client.publish(this.channel, text);
  }

  close(): Promise<void> {
    if (this.client.isOpen) this.client.destroy();
    return Promise.resolve();
  }
}

class ClusterConnection implements BusConnection {
  private readonly client: ReturnType<typeof redisCluster>;

  constructor(
    urls: readonly string[],
    private readonly channel: string,
    private readonly handlers: BusHandlers,
  ) {
    this.client = redisCluster(urls, false);
    for (const event of ['error', 'node-error', 'sharded-channel-moved-error'])
      this.client.on(event, (error: Error) => handlers.lost(error));
  }

  async open(): Promise<void> {
    await this.client.connect();
    await this.client.sSubscribe(this.channel, (text) => this.handlers.heard(text));
  }

  async send(text: string): Promise<void> {
    await this.client.sPublish(this.channel, text);
  }

  close(): Promise<void> {
    if (this.client.isOpen) this.client.destroy();
    return Promise.resolve();
  }
}
