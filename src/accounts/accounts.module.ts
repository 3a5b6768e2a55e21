import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { AccountCreation } from './account-creation.js';
import { AccountDeletion } from './account-deletion.js';
import { AccountsService } from './accounts.service.js';
import { MeController } from './me.controller.js';
import { MeService } from './me.service.js';
import { OneTimeTokens } from './one-time-tokens.js';
import { OwnPassword } from './own-password.js';
import { Passwords } from './passwords.js';
import { SignOuts } from './sign-outs.js';
import { User } from './user.entity.js';

/** People and their accounts. */
@Module({
  imports: [DatabaseModule, AuditModule, TypeOrmModule.forFeature([User])],
  controllers: [MeController],
  providers: [
    AccountsService,
    AccountCreation,
    AccountDeletion,
    MeService,
    OneTimeTokens,
    OwnPassword,
    Passwords,
    SignOuts,
  ],
  exports: [
    AccountsService,
    AccountCreation,
    AccountDeletion,
    OneTimeTokens,
    OwnPassword,
    Passwords,
    SignOuts,
  ],
})
export class AccountsModule {}
