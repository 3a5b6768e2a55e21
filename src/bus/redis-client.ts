import { createClient, createCluster } from '@redis/client';

/** Where Redis is. */
export interface RedisSettings {
  /** `redis://` or `rediss://`; more than one are nodes of a cluster. */
  readonly urls: readonly string[];
  /** What keys and channels begin with. */
  readonly prefix: string;
}

/** One that hangs is given up after this time; one that is idle says so more often. */
const TIMES = { connectTimeout: 2_000, socketTimeout: 6_000 };
const PING_MS = 2_000;

/**
 * What every connection has: nothing waits for one that is not there, and a server that takes connections without
 * answering is found out.
 * @param reconnectAfter milliseconds; `false` for a client that is used until it breaks
 */
function options(reconnectAfter: number | false) {
  return {
    disableOfflineQueue: true,
    commandsQueueMaxLength: 10_000,
    pingInterval: PING_MS,
    socket: { ...TIMES, reconnectStrategy: reconnectAfter },
  };
}

/** A client of one Redis; not connected yet. */
export function redisClient(url: string, reconnectAfter: number | false) {
  return createClient({ url, ...options(reconnectAfter) });
}

/** A client of a cluster; not connected yet. Its nodes share the first one's credentials. */
export function redisCluster(urls: readonly string[], reconnectAfter: number | false) {
  const { protocol, username, password } = new URL(urls[0] ?? '');
  const { socket, ...rest } = options(reconnectAfter);
  return createCluster({
    rootNodes: urls.map((url) => ({ url, socket })),
    defaults: {
      ...rest,
      ...(username && { username: decodeURIComponent(username) }),
      ...(password && { password: decodeURIComponent(password) }),
      socket: protocol === 'rediss:' ? { ...socket, tls: true } : socket,
    },
  });
}
