import { Injectable } from '@nestjs/common';
import { AgentDevices, type RefreshedDevice } from '../agents/agent-devices.js';
import { AgentLogins, type ProvenAgent } from '../agents/agent-logins.js';
import type { ClientInfo } from '../common/client-info.js';
import type { FormParameters } from '../common/form-body.js';
import { covers } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { ClientAuthentication, DEVICE_CLIENT, type OAuthRequest } from './client-authentication.js';
import { DeviceCodes } from './device-codes.service.js';
import { OAuthError } from './oauth-error.js';
import type { TokenResponse } from './tokens.dto.js';

/** What may be traded for an access token. */
export const GRANT_TYPES = [
  'client_credentials',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:device_code',
] as const;
type GrantType = (typeof GRANT_TYPES)[number];

/** Gives agents access tokens, for whatever they can show. */
@Injectable()
export class TokensService {
  constructor(
    private readonly clients: ClientAuthentication,
    private readonly logins: AgentLogins,
    private readonly codes: DeviceCodes,
    private readonly devices: AgentDevices,
    private readonly config: AtriumConfig,
  ) {}

  /** @throws {OAuthError} */
  async issue(request: OAuthRequest, client: ClientInfo): Promise<TokenResponse> {
    const type = request.form.get('grant_type');
    if (type === undefined) throw new OAuthError('invalid_request', 'grant_type is missing');
    switch (type as GrantType) {
      case 'client_credentials':
        return this.clientCredentials(request);
      case 'refresh_token':
        return this.refresh(request, client);
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return this.answer(await this.codes.poll(request), request);
      default:
        throw new OAuthError('unsupported_grant_type', `grant_type must be one of ${GRANT_TYPES.join(', ')}`);
    }
  }

  /** RFC 6749, section 4.4. */
  private async clientCredentials(request: OAuthRequest): Promise<TokenResponse> {
    if (this.clients.isDevice(request))
      throw new OAuthError('unauthorized_client', 'This client has no credentials: begin with a device code');
    const agent = await this.clients.authenticate(request);
    const scopes = askedScopes(request.form, agent);
    const issuer = this.config.issuerFor(request.host);
    const { accessToken, expiresIn } = await this.logins.issue(agent, scopes, issuer);
    return toTokenResponse(accessToken, expiresIn, scopes);
  }

  /** RFC 6749, section 6; of devices alone. */
  private async refresh(request: OAuthRequest, client: ClientInfo): Promise<TokenResponse> {
    await this.clients.requireDevice(request);
    const token = request.form.get('refresh_token');
    if (token === undefined) throw new OAuthError('invalid_request', 'refresh_token is missing');
    const device = await this.devices.peek(token);
    // Before it is used up: a scope that cannot be had costs nothing.
    if (device) askedScopes(request.form, device);
    const refreshed = await this.devices.refresh(token, client);
    if (!refreshed)
      throw new OAuthError(
        'invalid_grant',
        'The refresh token is unknown, was used or revoked, or has expired',
      );
    return this.answer(refreshed, request);
  }

  private async answer(
    { agent, refreshToken }: RefreshedDevice,
    { form, host }: OAuthRequest,
  ): Promise<TokenResponse> {
    const scopes = askedScopes(form, agent);
    const { accessToken, expiresIn } = await this.logins.issue(
      agent,
      scopes,
      this.config.issuerFor(host),
      DEVICE_CLIENT,
    );
    return { ...toTokenResponse(accessToken, expiresIn, scopes), refresh_token: refreshToken };
  }
}

const toTokenResponse = (accessToken: string, expiresIn: number, scopes: readonly string[]) => ({
  access_token: accessToken,
  token_type: 'Bearer' as const,
  expires_in: expiresIn,
  ...(scopes.length > 0 && { scope: scopes.join(' ') }),
});

/**
 * What the agent asks for; all that it may have when it asks for nothing in particular.
 * @throws {OAuthError} `invalid_scope`
 */
function askedScopes(form: FormParameters, { scopes }: Pick<ProvenAgent, 'scopes'>): string[] {
  const asked = form.get('scope');
  if (asked === undefined) return [...scopes];
  const wanted = [...new Set(asked.split(' '))];
  if (!wanted.every((scope) => covers(scopes, scope)))
    throw new OAuthError('invalid_scope', 'The agent may not have all of these scopes, or they do not exist');
  return wanted;
}
