import {
  allowInsecureRequests,
  type ClientAuth,
  ClientSecretBasic,
  ClientSecretPost,
  type Configuration,
  customFetch,
  discovery,
  enableNonRepudiationChecks,
  fetchUserInfo,
} from 'openid-client';
import type { Clock } from '../common/clock.js';
import type { OAuthProviderSettings } from '../config/oauth-providers.js';
import { ProviderAnswerInvalid } from './oauth.errors.js';
import {
  fittingName,
  isInsecure,
  PROVIDER_TIMEOUT_SECONDS,
  type ProviderProfile,
  type ProviderTokens,
  type SignInProvider,
} from './sign-in-provider.js';
import { tracedFetch } from './traced-fetch.js';

/** How long what discovery found is taken for true. */
const DISCOVERY_MS = 3_600_000;

type Claims = Readonly<Record<string, unknown>>;

/** A provider of OpenID Connect. */
export class OpenIdProvider implements SignInProvider {
  readonly givesIdToken = true;
  private found: { readonly configuration: Promise<Configuration>; readonly until: number } | undefined;

  constructor(
    private readonly settings: OAuthProviderSettings,
    private readonly clock: Clock,
  ) {}

  configuration(): Promise<Configuration> {
    const now = this.clock.now();
    if (this.found && this.found.until > now) return this.found.configuration;
    const found = { configuration: this.discover(), until: now + DISCOVERY_MS };
    this.found = found;
    // A failure is nobody's answer but its own: the next one asks again.
    found.configuration.catch(() => {
      if (this.found === found) this.found = undefined;
    });
    return found.configuration;
  }

  async profile(configuration: Configuration, tokens: ProviderTokens): Promise<ProviderProfile> {
    const idToken = tokens.claims();
    if (!idToken) throw new ProviderAnswerInvalid();
    const claims = await this.claimsOf(configuration, tokens, idToken);
    const email = typeof claims.email === 'string' ? claims.email : null;
    return {
      issuer: idToken.iss,
      subject: idToken.sub,
      email,
      verifiedEmail: this.vouches(claims) ? email : null,
      name: fittingName(claims.name),
    };
  }

  /** Many providers tell the address at their userinfo endpoint only. */
  private async claimsOf(
    configuration: Configuration,
    tokens: ProviderTokens,
    idToken: Claims & { readonly sub: string },
  ): Promise<Claims> {
    if (idToken.email !== undefined || !configuration.serverMetadata().userinfo_endpoint) return idToken;
    return fetchUserInfo(configuration, tokens.access_token, idToken.sub);
  }

  /**
   * Whether the provider says that the address is the person's. At Microsoft an organisation writes any address
   * into its directory; `xms_edov` tells whether it owns the domain.
   */
  private vouches(claims: Claims): boolean {
    const claim = this.settings.kind === 'microsoft' ? claims.xms_edov : claims.email_verified;
    return claim === true || claim === 'true' || (this.settings.kind === 'microsoft' && isOne(claim));
  }

  private discover(): Promise<Configuration> {
    const { issuer, clientId, clientSecret } = this.settings;
    return discovery(new URL(issuer), clientId, undefined, bySecret(clientSecret), {
      timeout: PROVIDER_TIMEOUT_SECONDS,
      [customFetch]: tracedFetch,
      // The signature of ID tokens is verified although they come straight from the provider.
      execute: [enableNonRepudiationChecks, ...(isInsecure(issuer) ? [allowInsecureRequests] : [])],
    });
  }
}

const isOne = (value: unknown): boolean => value === 1 || value === '1';

/** In the body where the provider says so, else in the header (OpenID Connect Discovery, section 3). */
function bySecret(clientSecret: string): ClientAuth {
  const [post, basic] = [ClientSecretPost(clientSecret), ClientSecretBasic(clientSecret)];
  return (server, client, body, headers) => {
    const methods = server.token_endpoint_auth_methods_supported ?? [];
    (methods.includes('client_secret_post') ? post : basic)(server, client, body, headers);
  };
}
