import ky, { type KyInstance } from 'ky';
import { Problem } from './problem.ts';
import {
  ClientCredentials,
  type ClientSecret,
  subjectOf,
  type TokenProvider,
  type Tokens,
} from './tokens.ts';
import type { Item, ItemPatch, Lease } from './types.ts';

/** How to reach Atrium, and as whom: with the agent's secret, or with tokens that somebody else gets. */
export type Connection = { readonly baseUrl: string } & (ClientSecret | { readonly token: TokenProvider });

export interface ClaimRequest {
  readonly types: readonly string[];
  readonly filter?: { readonly labels: Readonly<Record<string, string>> };
  readonly limit: number;
  readonly ttlSeconds: number;
  readonly waitSeconds: number;
}

export interface Beat {
  /** Those that the agent holds, of those that it named. */
  readonly leases: readonly { readonly id: string }[];
  readonly lost: readonly string[];
  readonly intervalSeconds: number;
}

const ANSWER_MS = 10_000;
/** Repeating these changes nothing more than they did: a lease ends once. */
const RETRY = {
  limit: 8,
  methods: ['post', 'patch'] as ('post' | 'patch')[],
  statusCodes: [408, 429, 500, 502, 503, 504],
  afterStatusCodes: [429, 503],
  maxRetryAfter: 60_000,
  backoffLimit: 10_000,
  jitter: true,
  retryOnTimeout: true,
  // Not before tomorrow: it is asked again without a key.
  shouldRetry: ({ error }: { error: Error }) =>
    (Problem.from(error) as Partial<Problem>).code === 'too_many_idempotency_keys' ? false : undefined,
};

/** The requests of a worker. Each is tried again, after a pause that grows, where that can help. */
export class Api {
  readonly #http: KyInstance;
  readonly #tokens: Tokens;

  constructor(connection: Connection) {
    const open = ky.create({
      prefix: connection.baseUrl,
      timeout: ANSWER_MS,
      retry: RETRY,
      hooks: { beforeError: [({ error }) => Problem.from(error)] },
    });
    this.#tokens =
      'token' in connection
        ? { token: connection.token, forget: () => undefined }
        : new ClientCredentials(open, connection);
    const authorise = async ({ request }: { request: Request }): Promise<void> =>
      request.headers.set('Authorization', `Bearer ${await this.#tokens.token()}`);
    this.#http = open.extend({
      hooks: {
        beforeRequest: [authorise],
        beforeRetry: [authorise],
        afterResponse: [
          ({ response, retryCount }) => {
            // Ended before its time: once with another one.
            if (response.status !== 401 || retryCount > 0) return undefined;
            this.#tokens.forget();
            return ky.retry({ delay: 0 });
          },
        ],
      },
    });
  }

  /** Waits at the server for up to `waitSeconds` if there is nothing to claim. @param key names the request, to be repeated */
  async claim(body: ClaimRequest, key: string | undefined, signal: AbortSignal): Promise<readonly Lease[]> {
    const headers = key ? { 'Idempotency-Key': `"${key}"` } : {};
    const timeout = 1_000 * body.waitSeconds + ANSWER_MS;
    const options = { json: body, headers, timeout, signal };
    return (await this.#http.post('v1/leases', options).json<{ data: Lease[] }>()).data;
  }

  /** The agent is there, and keeps these leases for so many seconds from now. */
  async beat(
    leases: readonly string[],
    { ttlSeconds, leaving = false }: { readonly ttlSeconds: number; readonly leaving?: boolean },
    timeout: number,
  ): Promise<Beat> {
    const path = `v1/agents/${subjectOf(await this.#tokens.token())}/heartbeat`;
    const retry = { ...RETRY, limit: 1 }; // the next one comes soon
    return this.#http.post(path, { json: { leases, ttlSeconds, leaving }, timeout, retry }).json();
  }

  /** `complete`, `fail` or `release`. @throws {Problem} `lease_lost` */
  async end({ id }: Lease, how: string, body: object, signal?: AbortSignal): Promise<void> {
    await this.#http.post(`v1/leases/${id}/${how}`, { json: body, ...(signal && { signal }) });
  }

  /** Changes the item of a lease. @throws {Problem} `lease_lost` */
  async update({ id, item }: Lease, patch: ItemPatch, ifMatch?: number): Promise<Item> {
    const headers = { Lease: id, ...(ifMatch !== undefined && { 'If-Match': `"${ifMatch}"` }) };
    return this.#http.patch(`v1/items/${item.id}`, { json: patch, headers }).json();
  }
}
