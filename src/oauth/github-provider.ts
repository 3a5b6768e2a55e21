import { allowInsecureRequests, Configuration, customFetch, fetchProtectedResource } from 'openid-client';
import type { OAuthProviderSettings } from '../config/oauth-providers.js';
import { ProviderAnswerInvalid, ProviderUnavailable } from './oauth.errors.js';
import {
  fittingName,
  isInsecure,
  PROVIDER_TIMEOUT_SECONDS,
  type ProviderProfile,
  type ProviderTokens,
  type SignInProvider,
} from './sign-in-provider.js';
import { tracedFetch } from './traced-fetch.js';

const GITHUB = 'https://github.com';

type Fields = Readonly<Record<string, unknown>>;

/**
 * GitHub, or a GitHub Enterprise Server: OAuth 2.0 without ID tokens, so its API says who it is. The number of
 * an account lasts; its name can pass to somebody else.
 */
export class GitHubProvider implements SignInProvider {
  readonly givesIdToken = false;
  private readonly known: Configuration;
  private readonly api: string;
  private readonly site: string;

  constructor({ issuer, clientId, clientSecret }: OAuthProviderSettings) {
    this.site = issuer.replace(/\/$/, '');
    this.api = this.site === GITHUB ? 'https://api.github.com' : `${this.site}/api/v3`;
    this.known = new Configuration(
      {
        issuer: `${this.site}/login/oauth`,
        authorization_endpoint: `${this.site}/login/oauth/authorize`,
        token_endpoint: `${this.site}/login/oauth/access_token`,
      },
      clientId,
      clientSecret,
    );
    this.known.timeout = PROVIDER_TIMEOUT_SECONDS;
    this.known[customFetch] = tracedFetch;
    if (isInsecure(issuer)) allowInsecureRequests(this.known);
  }

  configuration(): Promise<Configuration> {
    return Promise.resolve(this.known);
  }

  async profile(configuration: Configuration, { access_token }: ProviderTokens): Promise<ProviderProfile> {
    const [user, emails] = await Promise.all([
      this.ask(configuration, access_token, '/user'),
      this.ask(configuration, access_token, '/user/emails'),
    ]);
    if (!isFields(user) || !Number.isSafeInteger(user.id) || !Array.isArray(emails))
      throw new ProviderAnswerInvalid();
    const primary = emails.find((entry): entry is Fields => isFields(entry) && entry.primary === true);
    const email = typeof primary?.email === 'string' ? primary.email : null;
    return {
      issuer: this.site,
      subject: String(user.id),
      email,
      verifiedEmail: primary?.verified === true ? email : null,
      name: fittingName(user.name),
    };
  }

  private async ask(configuration: Configuration, token: string, path: string): Promise<unknown> {
    const headers = new Headers({ Accept: 'application/vnd.github+json' });
    const url = new URL(this.api + path);
    const answer = await fetchProtectedResource(configuration, token, url, 'GET', undefined, headers);
    if (answer.status >= 500) throw new ProviderUnavailable(`${path} answered ${answer.status}`);
    if (answer.status !== 200) throw new ProviderAnswerInvalid(`${path} answered ${answer.status}`);
    return answer.json();
  }
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;
