import { Module } from '@nestjs/common';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { IdentitiesController } from './identities.controller.js';
import { IdentitiesService } from './identities.service.js';
import { IdentityAccounts } from './identity-accounts.js';
import { OAuthController } from './oauth.controller.js';
import { OAuthService } from './oauth.service.js';
import { Providers } from './providers.js';

/** Signing in with providers: OpenID Connect and GitHub. */
@Module({
  imports: [DatabaseModule, AuditModule, AccountsModule, SessionsModule],
  controllers: [OAuthController, IdentitiesController],
  providers: [IdentitiesService, IdentityAccounts, OAuthService, Providers],
})
export class OAuthModule {}
