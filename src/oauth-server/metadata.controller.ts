import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { ASSERTION_ALGORITHMS } from '../agents/public-keys.js';
import { Public } from '../common/access.js';
import { AGENT_SCOPES } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { ServerMetadata } from './metadata.dto.js';
import { AskedHost } from './oauth-request.js';
import { GRANT_TYPES } from './tokens.service.js';

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

@ApiTags('oauth server')
@Controller('.well-known')
export class MetadataController {
  constructor(private readonly config: AtriumConfig) {}

  /** Where the token server is, and what it can do. */
  @Get('oauth-authorization-server')
  @Public()
  @Header('Cache-Control', 'public, max-age=300')
  @ApiOkResponse({ type: ServerMetadata })
  read(@AskedHost() host: string | undefined): ServerMetadata {
    return metadataOf(this.config.issuerFor(host));
  }
}

/** The metadata of the token server (RFC 8414, section 2), as it is called by one of its names. */
const metadataOf = (issuer: string): ServerMetadata => ({
  issuer,
  token_endpoint: `${issuer}/oauth/token`,
  device_authorization_endpoint: `${issuer}/oauth/device_authorization`,
  introspection_endpoint: `${issuer}/oauth/introspect`,
  revocation_endpoint: `${issuer}/oauth/revoke`,
  jwks_uri: `${issuer}/.well-known/jwks.json`,
  scopes_supported: [...AGENT_SCOPES],
  response_types_supported: [],
  grant_types_supported: [...GRANT_TYPES],
  token_endpoint_auth_methods_supported: [...METHODS, 'none'],
  token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
  introspection_endpoint_auth_methods_supported: METHODS,
  introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
  revocation_endpoint_auth_methods_supported: [...METHODS, 'none'],
  revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
});
