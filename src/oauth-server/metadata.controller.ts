import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiTags } from '@nestjs/swagger';
import { ASSERTION_ALGORITHMS } from '../agents/public-keys.js';
import { Public } from '../common/access.js';
import { AGENT_SCOPES } from '../common/scopes.js';
import { AtriumConfig } from '../config/config.js';
import { ServerMetadata } from './metadata.dto.js';
import { GRANT_TYPES } from './tokens.service.js';

const METHODS = ['client_secret_basic', 'client_secret_post', 'private_key_jwt'];

@ApiTags('oauth server')
@Controller('.well-known')
export class MetadataController {
  private readonly metadata: ServerMetadata;

  constructor({ publicUrl }: AtriumConfig) {
    this.metadata = {
      issuer: publicUrl,
      token_endpoint: `${publicUrl}/oauth/token`,
      device_authorization_endpoint: `${publicUrl}/oauth/device_authorization`,
      introspection_endpoint: `${publicUrl}/oauth/introspect`,
      revocation_endpoint: `${publicUrl}/oauth/revoke`,
      jwks_uri: `${publicUrl}/.well-known/jwks.json`,
      scopes_supported: [...AGENT_SCOPES],
      response_types_supported: [],
      grant_types_supported: [...GRANT_TYPES],
      token_endpoint_auth_methods_supported: [...METHODS, 'none'],
      token_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
      introspection_endpoint_auth_methods_supported: METHODS,
      introspection_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
      revocation_endpoint_auth_methods_supported: [...METHODS, 'none'],
      revocation_endpoint_auth_signing_alg_values_supported: ASSERTION_ALGORITHMS,
    };
  }

  /** Where the token server is, and what it can do. */
  @Get('oauth-authorization-server')
  @Public()
  @Header('Cache-Control', 'public, max-age=300')
  @ApiOkResponse({ type: ServerMetadata })
  read(): ServerMetadata {
    return this.metadata;
  }
}
