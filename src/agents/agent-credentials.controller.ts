import { Body, Controller, Delete, Get, Header, HttpCode, Param, Patch, Post } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiConflictResponse,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiTags,
} from '@nestjs/swagger';
import { Client, type ClientInfo } from '../common/client-info.js';
import { IdPipe } from '../common/identifiers.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { AgentCredentials } from './agent-credentials.service.js';
import {
  AddCredentialRequest,
  AddedCredentialResponse,
  CredentialList,
  CredentialResponse,
  UpdateCredentialRequest,
} from './credentials.dto.js';

@ApiTags('agents')
@ApiBearerAuth()
@Controller('v1/agents/:id/secrets')
export class AgentCredentialsController {
  constructor(private readonly credentials: AgentCredentials) {}

  /**
   * Adds a secret, shown this once, or a public key; what it replaces stays good for an overlap. An agent with the
   * scope `credentials` may replace its own.
   */
  @Post()
  @KeepsAnswer()
  @Requires('agents:manage', { orSelf: true })
  @OpenToAgents({ scope: 'credentials', own: true })
  @Header('Cache-Control', 'no-store')
  @ApiCreatedResponse({ type: AddedCredentialResponse })
  @ApiConflictResponse({ description: 'The agent has too many credentials.' })
  add(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @Body() body: AddCredentialRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<AddedCredentialResponse>> {
    return this.credentials.add(caller, id, body, client);
  }

  /** All credentials of an agent, oldest first, without what is secret of them. */
  @Get()
  @Requires('agents:manage', { orSelf: true })
  @OpenToAgents({ scope: 'credentials', own: true })
  @ApiOkResponse({ type: CredentialList })
  list(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
  ): Promise<CredentialList> {
    return this.credentials.list(caller, id);
  }

  /** Sets when a credential ends; the agent is told in time, on its heartbeat. */
  @Patch(':credentialId')
  @Requires('agents:manage')
  @ApiOkResponse({ type: CredentialResponse })
  update(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @Param('credentialId', IdPipe) credentialId: string,
    @Body() body: UpdateCredentialRequest,
    @Client() client: ClientInfo,
  ): Promise<CredentialResponse> {
    return this.credentials.update(caller, id, credentialId, body, client);
  }

  /** Ends a credential with its tokens and sockets, on every instance within a second. */
  @Delete(':credentialId')
  @Requires('agents:manage', { orSelf: true })
  @OpenToAgents({ scope: 'credentials', own: true })
  @HttpCode(204)
  @ApiNoContentResponse()
  remove(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @Param('credentialId', IdPipe) credentialId: string,
    @Client() client: ClientInfo,
  ): Promise<void> {
    return this.credentials.remove(caller, id, credentialId, client);
  }
}
