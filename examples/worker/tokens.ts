import type { KyInstance } from 'ky';

/** Gives an access token of the agent, a good one whenever it is asked. */
export type TokenProvider = () => Promise<string> | string;

export interface Tokens {
  readonly token: TokenProvider;
  /** The server takes the last one no more: whoever asks next gets another. */
  readonly forget: () => void;
}

/** An agent's own credential. */
export interface ClientSecret {
  readonly clientId: string;
  readonly clientSecret: string;
}

interface Answer {
  readonly access_token: string;
  readonly expires_in: number;
}

/** A token is renewed when so much of its life is over: no request leaves with one that ends on its way. */
const RENEWED_AT = 0.8;

/** Access tokens by `client_credentials` (RFC 6749, section 4.4): one at a time for all who ask, renewed before it ends. */
export class ClientCredentials implements Tokens {
  readonly #http: KyInstance;
  readonly #client: ClientSecret;
  #token: Promise<string> | undefined;
  /** On the clock that nobody can set. */
  #renewAt = 0;

  constructor(http: KyInstance, client: ClientSecret) {
    this.#http = http;
    this.#client = client;
  }

  /** @throws {import('./problem.ts').Problem} `invalid_client` */
  readonly token = (): Promise<string> => {
    if (!this.#token || performance.now() >= this.#renewAt) {
      this.#renewAt = Infinity;
      this.#token = this.#ask();
      // Whoever asks next tries again.
      this.#token.catch(this.forget);
    }
    return this.#token;
  };

  readonly forget = (): void => {
    this.#token = undefined;
  };

  async #ask(): Promise<string> {
    const askedAt = performance.now();
    const { clientId, clientSecret } = this.#client;
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: clientSecret,
    });
    const answer = await this.#http.post('oauth/token', { body }).json<Answer>();
    this.#renewAt = askedAt + RENEWED_AT * 1_000 * answer.expires_in;
    return answer.access_token;
  }
}

/** Whose token it is: the `sub` that it carries. */
export function subjectOf(token: string): string {
  const [, claims = ''] = token.split('.');
  return (JSON.parse(Buffer.from(claims, 'base64url').toString()) as { sub: string }).sub;
}
