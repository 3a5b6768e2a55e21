import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { ClientAuthentication } from './client-authentication.js';
import { TokensController } from './tokens.controller.js';
import { TokensService } from './tokens.service.js';

/** The token server of agents (OAuth 2.0). */
@Module({
  imports: [AgentsModule],
  controllers: [TokensController],
  providers: [ClientAuthentication, TokensService],
})
export class OAuthServerModule {}
