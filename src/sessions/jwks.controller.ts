import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiProperty, ApiTags } from '@nestjs/swagger';
import { Public } from '../common/access.js';
import { PublicJwk, TokenKeys } from './token-keys.js';

/** A JWK Set (RFC 7517, section 5). */
export class JwkSet {
  @ApiProperty({ type: 'array', items: { type: 'object', additionalProperties: true } })
  keys: readonly PublicJwk[];
}

@ApiTags('oauth server')
@Controller('.well-known')
export class JwksController {
  constructor(private readonly keys: TokenKeys) {}

  /** The public keys of access tokens: of all of them, or while people's are signed with a secret, of agents'. */
  @Get('jwks.json')
  @Public()
  @Header('Cache-Control', 'public, max-age=300')
  @ApiOkResponse({ type: JwkSet })
  read(): JwkSet {
    return { keys: this.keys.publicKeys };
  }
}
