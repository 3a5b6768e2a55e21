import { Injectable } from '@nestjs/common';
import { AgentLogins, type ProvenAgent } from '../agents/agent-logins.js';
import type { FormParameters } from '../common/form-body.js';
import { covers } from '../common/scopes.js';
import { ClientAuthentication, type OAuthRequest } from './client-authentication.js';
import { OAuthError } from './oauth-error.js';
import type { TokenResponse } from './tokens.dto.js';

type Grant = (request: OAuthRequest) => Promise<TokenResponse>;

/** Gives agents access tokens, for whatever they can show. */
@Injectable()
export class TokensService {
  private readonly grants: Readonly<Record<string, Grant>> = {
    client_credentials: (request) => this.clientCredentials(request),
  };

  constructor(
    private readonly clients: ClientAuthentication,
    private readonly logins: AgentLogins,
  ) {}

  /** @throws {OAuthError} */
  async issue(request: OAuthRequest): Promise<TokenResponse> {
    const type = request.form.get('grant_type');
    if (type === undefined) throw new OAuthError('invalid_request', 'grant_type is missing');
    if (!Object.hasOwn(this.grants, type))
      throw new OAuthError(
        'unsupported_grant_type',
        `grant_type must be one of ${Object.keys(this.grants).join(', ')}`,
      );
    return this.grants[type](request);
  }

  /** RFC 6749, section 4.4. */
  private async clientCredentials(request: OAuthRequest): Promise<TokenResponse> {
    const agent = await this.clients.authenticate(request);
    const scopes = askedScopes(request.form, agent);
    const { accessToken, expiresIn } = await this.logins.issue(agent, scopes);
    return toTokenResponse(accessToken, expiresIn, scopes);
  }
}

export const toTokenResponse = (
  accessToken: string,
  expiresIn: number,
  scopes: readonly string[],
): TokenResponse => ({
  access_token: accessToken,
  token_type: 'Bearer',
  expires_in: expiresIn,
  ...(scopes.length > 0 && { scope: scopes.join(' ') }),
});

/**
 * What the agent asks for; all that it may have when it asks for nothing in particular.
 * @throws {OAuthError} `invalid_scope`
 */
export function askedScopes(form: FormParameters, { scopes }: Pick<ProvenAgent, 'scopes'>): string[] {
  const asked = form.get('scope');
  if (asked === undefined) return [...scopes];
  const wanted = [...new Set(asked.split(' '))];
  if (!wanted.every((scope) => covers(scopes, scope)))
    throw new OAuthError('invalid_scope', 'The agent may not have all of these scopes, or they do not exist');
  return wanted;
}
