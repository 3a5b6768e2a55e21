import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { DatabaseModule } from '../database/database.module.js';
import { AccountCreation } from './account-creation.js';
import { AccountsService } from './accounts.service.js';
import { MeController } from './me.controller.js';
import { OneTimeTokens } from './one-time-tokens.js';
import { Passwords } from './passwords.js';
import { User } from './user.entity.js';

/** People and their accounts. */
@Module({
  imports: [DatabaseModule, TypeOrmModule.forFeature([User])],
  controllers: [MeController],
  providers: [AccountsService, AccountCreation, OneTimeTokens, Passwords],
  exports: [AccountsService, AccountCreation, OneTimeTokens, Passwords],
})
export class AccountsModule {}
