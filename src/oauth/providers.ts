import { Injectable } from '@nestjs/common';
import {
  authorizationCodeGrant,
  AuthorizationResponseError,
  buildAuthorizationUrl,
  calculatePKCECodeChallenge,
} from 'openid-client';
import { Clock } from '../common/clock.js';
import { Problem } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import type { OAuthProviderSettings } from '../config/oauth-providers.js';
import { GitHubProvider } from './github-provider.js';
import {
  ProviderAnswerInvalid,
  ProviderNotFound,
  ProviderRefused,
  ProviderUnavailable,
} from './oauth.errors.js';
import { OpenIdProvider } from './openid-provider.js';
import type { ProviderProfile, SignInProvider } from './sign-in-provider.js';

/** What makes one sign-in different from every other. */
export interface FlowSecrets {
  readonly state: string;
  /** Comes back in the ID token. */
  readonly nonce: string;
  /** RFC 7636. */
  readonly codeVerifier: string;
}

interface Known {
  readonly settings: OAuthProviderSettings;
  readonly provider: SignInProvider;
}

/**
 * The configured providers: where to send people, and who they are when they come back (authorization code with
 * PKCE, RFC 9700, section 2.1.1). Every wait is bounded.
 */
@Injectable()
export class Providers {
  private readonly known: ReadonlyMap<string, Known>;

  constructor(
    private readonly config: AtriumConfig,
    clock: Clock,
  ) {
    this.known = new Map(
      config.oauth.providers.map((settings) => [
        settings.name,
        {
          settings,
          provider:
            settings.kind === 'github' ? new GitHubProvider(settings) : new OpenIdProvider(settings, clock),
        },
      ]),
    );
  }

  /**
   * Asks the provider for its endpoints, unless they are known.
   * @throws {ProviderNotFound}
   * @throws {ProviderUnavailable}
   * @throws {ProviderAnswerInvalid} if it calls itself by another issuer
   */
  async prepare(name: string): Promise<void> {
    const { provider } = this.find(name);
    await told(() => provider.configuration());
  }

  /**
   * Where the browser goes to sign in.
   * @throws as {@link prepare}
   */
  async authorizationUrl(name: string, { state, nonce, codeVerifier }: FlowSecrets): Promise<string> {
    const { settings, provider } = this.find(name);
    return told(async () => {
      const url = buildAuthorizationUrl(await provider.configuration(), {
        redirect_uri: this.redirectUri(name),
        scope: settings.scopes.join(' '),
        state,
        code_challenge: await calculatePKCECodeChallenge(codeVerifier),
        code_challenge_method: 'S256',
        ...(provider.givesIdToken ? { nonce } : {}),
      });
      return url.href;
    });
  }

  /**
   * Who came back. Checks `state` and `iss` (RFC 9207) of the answer; issuer, audience, times, signature and
   * nonce of the ID token.
   * @param answer the query with which the browser came back
   * @throws {ProviderRefused}
   * @throws {ProviderUnavailable}
   * @throws {ProviderAnswerInvalid}
   */
  async profile(name: string, answer: URLSearchParams, secrets: FlowSecrets): Promise<ProviderProfile> {
    const { provider } = this.find(name);
    return told(async () => {
      const configuration = await provider.configuration();
      const tokens = await authorizationCodeGrant(
        configuration,
        new URL(`${this.redirectUri(name)}?${answer.toString()}`),
        {
          expectedState: secrets.state,
          pkceCodeVerifier: secrets.codeVerifier,
          ...(provider.givesIdToken ? { expectedNonce: secrets.nonce, idTokenExpected: true } : {}),
        },
      );
      return provider.profile(configuration, tokens);
    });
  }

  /** One address per provider, so that none can pass its answers off as another's (RFC 9700, section 4.4.2). */
  private redirectUri(name: string): string {
    return `${this.config.publicUrl}/v1/auth/oauth/${name}/callback`;
  }

  private find(name: string): Known {
    const found = this.known.get(name);
    if (!found) throw new ProviderNotFound();
    return found;
  }
}

/** Says what went wrong in our words; the library's go to the log. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Problem) throw error;
    if (error instanceof AuthorizationResponseError)
      throw OUT_OF_ORDER.has(error.error) ? new ProviderUnavailable(error) : new ProviderRefused(error);
    throw isUnreachable(error) ? new ProviderUnavailable(error) : new ProviderAnswerInvalid(error);
  }
}

/** RFC 6749, section 4.1.2.1. */
const OUT_OF_ORDER = new Set(['server_error', 'temporarily_unavailable']);
const MAX_CAUSES = 5;

/** Whether no answer came, or one that says that there will be none now. */
function isUnreachable(error: unknown): boolean {
  let cause = error;
  for (let depth = 0; depth < MAX_CAUSES && typeof cause === 'object' && cause !== null; depth++) {
    const { name, code, status } = cause as { name?: unknown; code?: unknown; status?: unknown };
    // What fetch throws: a TypeError without a code, with the socket's error as its cause.
    if (name === 'TypeError' && code === undefined) return true;
    if (name === 'TimeoutError' || name === 'AbortError' || code === 'OAUTH_TIMEOUT') return true;
    if (typeof status === 'number' && status >= 500) return true;
    cause = (cause as { cause?: unknown }).cause;
  }
  return false;
}
