import { Body, Controller, Delete, Get, Header, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import {
  ApiBearerAuth,
  ApiBody,
  ApiConflictResponse,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiPreconditionFailedResponse,
  ApiTags,
  ApiUnprocessableEntityResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import { Client, type ClientInfo } from '../common/client-info.js';
import { AnswersIfChanged, IfMatch, type VersionCondition } from '../common/conditional.js';
import { IdPipe } from '../common/identifiers.js';
import { JsonPatchStep } from '../common/json-patch-step.dto.js';
import { MAX_OPERATIONS } from '../common/json-patch.js';
import type { Representation } from '../common/representation.js';
import { OpenToAgents } from '../common/scopes.js';
import { KeepsAnswer } from '../idempotency/keeps-answer.js';
import { type Caller, CurrentCaller, Requires } from '../workspaces/requires.js';
import { AgentChanges } from './agent-changes.js';
import { type AgentPatch, AgentPatchPipe, type MetadataPatch, MetadataPatchPipe } from './agent-patches.js';
import {
  AgentList,
  AgentResponse,
  CreateAgentRequest,
  CreatedAgentResponse,
  ListAgentsQuery,
  UpdateAgentRequest,
} from './agents.dto.js';
import { AgentsService } from './agents.service.js';

const MERGE_OR_JSON_PATCH = [
  'application/merge-patch+json',
  'application/json',
  'application/json-patch+json',
];
const PATCH_STEPS = {
  type: 'array',
  maxItems: MAX_OPERATIONS,
  items: { $ref: getSchemaPath(JsonPatchStep) },
};
const IF_MATCH = { name: 'If-Match', required: false, description: 'The ETag that the change starts from.' };
const MOVED_ON = { description: 'The agent has moved on; nothing was written.' };

@ApiTags('agents')
@ApiBearerAuth()
@ApiExtraModels(JsonPatchStep, UpdateAgentRequest)
@Controller('v1/agents')
export class AgentsController {
  constructor(
    private readonly agents: AgentsService,
    private readonly changes: AgentChanges,
  ) {}

  /** Makes an agent. Its secret is shown this once. */
  @Post()
  @KeepsAnswer()
  @Requires('agents:manage')
  @Header('Cache-Control', 'no-store')
  @ApiCreatedResponse({ type: CreatedAgentResponse })
  @ApiConflictResponse({ description: 'The workspace has too many agents.' })
  create(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Body() body: CreateAgentRequest,
    @Client() client: ClientInfo,
  ): Promise<Representation<CreatedAgentResponse>> {
    return this.agents.create(caller, body, client);
  }

  /** The agents of a workspace, newest first. */
  @Get()
  @Requires('agents:read')
  @OpenToAgents({ scope: 'agents:read' })
  @ApiOkResponse({ type: AgentList })
  list(
    @CurrentCaller() caller: Caller<'agents:read'>,
    @Query() query: ListAgentsQuery,
  ): Promise<Representation<AgentList>> {
    return this.agents.list(caller, query);
  }

  /** One agent; an agent may read itself. */
  @Get(':id')
  @Requires('agents:read')
  @OpenToAgents({ scope: 'agents:read', self: true })
  @ApiOkResponse({ type: AgentResponse })
  @AnswersIfChanged()
  read(
    @CurrentCaller() caller: Caller<'agents:read'>,
    @Param('id', IdPipe) id: string,
  ): Promise<Representation<AgentResponse>> {
    return this.agents.read(caller, id);
  }

  /**
   * Changes an agent by a merge patch (RFC 7396) or a JSON Patch (RFC 6902) of `{name, kind, labels, metadata,
   * capabilities, scopes, status}`. What it may do no more, it may not do a second later.
   */
  @Patch(':id')
  @Requires('agents:manage')
  @ApiConsumes(...MERGE_OR_JSON_PATCH)
  @ApiBody({ schema: { oneOf: [{ $ref: getSchemaPath(UpdateAgentRequest) }, PATCH_STEPS] } })
  @ApiOkResponse({ type: AgentResponse })
  @ApiHeader(IF_MATCH)
  @ApiPreconditionFailedResponse(MOVED_ON)
  @ApiConflictResponse({ description: 'A test of the JSON Patch failed; nothing was written.' })
  @ApiUnprocessableEntityResponse({ description: 'The patch does not fit the agent; nothing was written.' })
  update(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @Body(AgentPatchPipe) patch: AgentPatch,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.changes.update(caller, id, patch, ifMatch, client);
  }

  /** Changes an agent's metadata by a merge patch or a JSON Patch of that document; an agent may change its own. */
  @Patch(':id/metadata')
  @Requires('agents:manage', { orSelf: true })
  @OpenToAgents({ self: true })
  @ApiConsumes(...MERGE_OR_JSON_PATCH)
  @ApiBody({ schema: { oneOf: [{ type: 'object', additionalProperties: true }, PATCH_STEPS] } })
  @ApiOkResponse({ type: AgentResponse })
  @ApiHeader(IF_MATCH)
  @ApiPreconditionFailedResponse(MOVED_ON)
  @ApiConflictResponse({ description: 'A test of the JSON Patch failed; nothing was written.' })
  @ApiUnprocessableEntityResponse({
    description: 'The patch does not fit the metadata; nothing was written.',
  })
  updateMetadata(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @Body(MetadataPatchPipe) patch: MetadataPatch,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.changes.updateMetadata(caller, id, patch, ifMatch, client);
  }

  /** Disables an agent: it gets no tokens, and those that it has end with its sockets, within a second. */
  @Post(':id/disable')
  @KeepsAnswer()
  @Requires('agents:manage')
  @HttpCode(200)
  @ApiOkResponse({ type: AgentResponse })
  @ApiHeader(IF_MATCH)
  @ApiPreconditionFailedResponse(MOVED_ON)
  disable(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.changes.setStatus(caller, id, 'disabled', ifMatch, client);
  }

  /** Enables an agent again; its credentials are as good as before. */
  @Post(':id/enable')
  @KeepsAnswer()
  @Requires('agents:manage')
  @HttpCode(200)
  @ApiOkResponse({ type: AgentResponse })
  @ApiHeader(IF_MATCH)
  @ApiPreconditionFailedResponse(MOVED_ON)
  enable(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<AgentResponse>> {
    return this.changes.setStatus(caller, id, 'enabled', ifMatch, client);
  }

  /** Deletes an agent with its credentials. What it did stays attributed to its id. */
  @Delete(':id')
  @Requires('agents:manage')
  @HttpCode(204)
  @ApiNoContentResponse()
  @ApiHeader(IF_MATCH)
  @ApiPreconditionFailedResponse(MOVED_ON)
  delete(
    @CurrentCaller() caller: Caller<'agents:manage'>,
    @Param('id', IdPipe) id: string,
    @IfMatch() ifMatch: VersionCondition | undefined,
    @Client() client: ClientInfo,
  ): Promise<Representation<never>> {
    return this.changes.delete(caller, id, ifMatch, client);
  }
}
