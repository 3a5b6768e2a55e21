import { Injectable } from '@nestjs/common';
import { AgentDevices } from '../agents/agent-devices.js';
import { AgentGrants } from '../agents/agent-grants.js';
import type { ProvenAgent } from '../agents/agent-logins.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { Problem } from '../common/problem.js';
import { Authenticator } from '../sessions/authenticator.js';
import { ClientAuthentication, DEVICE_CLIENT, type OAuthRequest } from './client-authentication.js';
import { OAuthError } from './oauth-error.js';
import type { IntrospectionResponse } from './tokens.dto.js';

const INACTIVE: IntrospectionResponse = { active: false };

/** Says what a token is worth (RFC 7662), and ends it (RFC 7009). */
@Injectable()
export class TokenInspection {
  constructor(
    private readonly clients: ClientAuthentication,
    private readonly authenticator: Authenticator,
    private readonly devices: AgentDevices,
    private readonly grants: AgentGrants,
  ) {}

  /**
   * What a token of an agent of the caller's own workspace is worth; of all others, that it is not active.
   * @throws {OAuthError} `invalid_client`, `invalid_request`
   */
  async introspect(request: OAuthRequest): Promise<IntrospectionResponse> {
    const caller = await this.clients.authenticate(request);
    const token = tokenOf(request);
    const principal = this.principalOf(token);
    if (principal?.agent)
      return principal.agent.workspaceId === caller.workspaceId ? describe(token, principal) : INACTIVE;
    const device = await this.devices.peek(token);
    return device?.workspaceId === caller.workspaceId ? describeRefreshToken(device) : INACTIVE;
  }

  /**
   * Ends an access token with its sockets, or a refresh token with all that it gave. What is no token, or none any
   * more, is as it should be.
   * @throws {OAuthError} `invalid_client`, `invalid_request`, `unauthorized_client` if it is somebody else's
   */
  async revoke(request: OAuthRequest, client: ClientInfo): Promise<void> {
    const agent = this.clients.isDevice(request) ? undefined : await this.clients.authenticate(request);
    const token = tokenOf(request);
    const principal = this.principalOf(token);
    if (principal?.agent) {
      const isOwn = agent ? principal.id === agent.id : principal.agent.clientId === DEVICE_CLIENT;
      if (!isOwn) throw new OAuthError('unauthorized_client', 'The token was given to another client');
      await this.grants.endToken(principal.agent.tokenId);
    } else if (!agent) {
      await this.devices.revoke(token, client);
    }
  }

  private principalOf(token: string): Principal | undefined {
    try {
      return this.authenticator.authenticate(token);
    } catch (error) {
      if (error instanceof Problem) return undefined;
      throw error;
    }
  }
}

/** @throws {OAuthError} `invalid_request` */
function tokenOf({ form }: OAuthRequest): string {
  const token = form.get('token');
  if (token === undefined) throw new OAuthError('invalid_request', 'token is missing');
  return token;
}

/** @param token has been verified */
function describe(token: string, { id, agent }: Principal): IntrospectionResponse {
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as Claims;
  const { iss, aud, iat, exp, jti } = payload;
  const scope = agent?.scopes.join(' ');
  return {
    active: true,
    token_type: 'Bearer',
    client_id: agent?.clientId,
    sub: id,
    ...(scope !== '' && { scope }),
    iss,
    aud,
    iat,
    exp,
    jti,
  };
}

interface Claims {
  readonly iss: string;
  readonly aud: string;
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
}

const describeRefreshToken = ({ id, scopes }: ProvenAgent): IntrospectionResponse => ({
  active: true,
  token_type: 'refresh_token',
  client_id: DEVICE_CLIENT,
  sub: id,
  ...(scopes.length > 0 && { scope: scopes.join(' ') }),
});
