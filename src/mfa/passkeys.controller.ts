import { Body, Controller, Delete, Get, Header, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
  refs,
} from '@nestjs/swagger';
import { Authenticated, CurrentPrincipal, type Principal, Public } from '../common/access.js';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import { PageQuery } from '../common/pagination.js';
import { RateLimit } from '../common/rate-limit.js';
import { RecentProof } from '../common/recent-proof.js';
import { SessionTransport } from '../sessions/session-transport.interceptor.js';
import { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import {
  AddedPasskey,
  AddPasskeyRequest,
  PasskeyList,
  PasskeyOptions,
  PasskeyResponse,
  PasskeySignInRequest,
  RenamePasskeyRequest,
} from './passkeys.dto.js';
import { PasskeysService } from './passkeys.service.js';

@ApiTags('second factors')
@ApiBearerAuth()
@Controller('v1/me/passkeys')
@Authenticated()
export class PasskeysController {
  constructor(private readonly passkeys: PasskeysService) {}

  /** The caller's passkeys, oldest first. */
  @Get()
  @ApiOkResponse({ type: PasskeyList })
  list(@CurrentPrincipal() principal: Principal, @Query() query: PageQuery): Promise<PasskeyList> {
    return this.passkeys.list(principal, query);
  }

  /** What a browser asks an authenticator for, to make a passkey. */
  @Post('options')
  @RecentProof()
  @RateLimit('sign-in')
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOkResponse({ type: PasskeyOptions })
  options(@CurrentPrincipal() principal: Principal): Promise<PasskeyOptions> {
    return this.passkeys.creationOptions(principal);
  }

  /** Adds the passkey that was made. With the first factor come recovery codes, and the other sessions end. */
  @Post()
  @RecentProof()
  @RateLimit('sign-in')
  @Header('Cache-Control', 'no-store')
  @ApiCreatedResponse({ type: AddedPasskey })
  add(
    @CurrentPrincipal() principal: Principal,
    @Body() body: AddPasskeyRequest,
    @Client() client: ClientInfo,
  ): Promise<AddedPasskey> {
    return this.passkeys.add(principal, body, client);
  }

  /** Gives a passkey another name. */
  @Patch(':id')
  @ApiOkResponse({ type: PasskeyResponse })
  rename(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @Body() { name }: RenamePasskeyRequest,
  ): Promise<PasskeyResponse> {
    return this.passkeys.rename(principal, id, name);
  }

  /** Removes a passkey, never the last way to sign in, and ends the other sessions. */
  @Delete(':id')
  @RecentProof()
  @HttpCode(204)
  @ApiNoContentResponse()
  remove(
    @CurrentPrincipal() principal: Principal,
    @Param('id', IdPipe) id: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.passkeys.remove(principal, id, client);
  }
}

@ApiTags('auth')
@ApiExtraModels(SessionResponse, SignInChallenge)
@Controller('v1/auth/passkeys')
@RateLimit('sign-in')
export class PasskeySignInController {
  constructor(
    private readonly passkeys: PasskeysService,
    private readonly assertions: PasskeyAssertions,
  ) {}

  /** What a browser asks its passkeys for, to sign in. */
  @Post('options')
  @Public()
  @HttpCode(200)
  @Header('Cache-Control', 'no-store')
  @ApiOkResponse({ type: PasskeyOptions })
  options(): Promise<PasskeyOptions> {
    return this.assertions.signInOptions();
  }

  /** Signs in by a passkey alone; no second factor is asked for. */
  @Post('sign-in')
  @Public()
  @SessionTransport()
  @HttpCode(200)
  @ApiOkResponse({ schema: { oneOf: refs(SessionResponse, SignInChallenge) } })
  signIn(
    @Body() { credential }: PasskeySignInRequest,
    @Client() client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    return this.passkeys.signIn(credential, client);
  }
}
