import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { PassportModule } from '@nestjs/passport';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { BusModule } from '../bus/bus.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { AccessTokens } from './access-tokens.js';
import { AccessGuard } from './access.guard.js';
import { Authenticator } from './authenticator.js';
import { AuthController } from './auth.controller.js';
import { BrowserOrigins } from './browser-origins.js';
import { JwksController } from './jwks.controller.js';
import { JwtStrategy } from './jwt.strategy.js';
import { MySessionsController } from './my-sessions.controller.js';
import { MySessionsService } from './my-sessions.service.js';
import { RefreshTokens } from './refresh-tokens.js';
import { SessionCookies } from './session-cookies.js';
import { SessionRevocations } from './session-revocations.js';
import { Session } from './session.entity.js';
import { SessionsService } from './sessions.service.js';
import { SignInService } from './sign-in.service.js';
import { SignInSteps } from './sign-in-steps.js';
import { TokenKeys } from './token-keys.js';
import { VerifiedTokens } from './verified-tokens.js';

/** Who is calling: tokens, their rotation, the guard of every route, and revocation. */
@Module({
  imports: [
    DatabaseModule,
    BusModule,
    PassportModule,
    TypeOrmModule.forFeature([Session]),
    AccountsModule,
    AuditModule,
  ],
  controllers: [AuthController, JwksController, MySessionsController],
  providers: [
    AccessTokens,
    Authenticator,
    BrowserOrigins,
    MySessionsService,
    RefreshTokens,
    JwtStrategy,
    TokenKeys,
    VerifiedTokens,
    SessionCookies,
    SessionRevocations,
    SessionsService,
    SignInService,
    SignInSteps,
    { provide: APP_GUARD, useClass: AccessGuard },
  ],
  exports: [
    AccessTokens,
    Authenticator,
    BrowserOrigins,
    RefreshTokens,
    SessionCookies,
    SessionRevocations,
    SessionsService,
    SignInService,
    SignInSteps,
  ],
})
export class SessionsModule {}
