import { Module } from '@nestjs/common';
import { TypeOrmModule } from '@nestjs/typeorm';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { KeptAnswersModule } from '../idempotency/kept-answers.module.js';
import { AccountCreation } from './account-creation.js';
import { AccountDeletion } from './account-deletion.js';
import { AccountReclaim } from './account-reclaim.js';
import { AccountsService } from './accounts.service.js';
import { MailModule } from '../mail/mail.module.js';
import { EmailChange } from './email-change.js';
import { EmailVerification } from './email-verification.js';
import { MailedProofsController } from './mailed-proofs.controller.js';
import { MeController } from './me.controller.js';
import { MeService } from './me.service.js';
import { OneTimeTokens } from './one-time-tokens.js';
import { OwnPassword } from './own-password.js';
import { PasswordReset } from './password-reset.js';
import { Passwords } from './passwords.js';
import { Registrations } from './registrations.js';
import { SignInMethods } from './sign-in-methods.js';
import { SignOuts } from './sign-outs.js';
import { User } from './user.entity.js';

/** People and their accounts. */
@Module({
  imports: [DatabaseModule, AuditModule, KeptAnswersModule, MailModule, TypeOrmModule.forFeature([User])],
  controllers: [MeController, MailedProofsController],
  providers: [
    AccountsService,
    AccountCreation,
    AccountDeletion,
    AccountReclaim,
    EmailChange,
    EmailVerification,
    MeService,
    OneTimeTokens,
    OwnPassword,
    PasswordReset,
    Passwords,
    Registrations,
    SignInMethods,
    SignOuts,
  ],
  exports: [
    AccountsService,
    AccountCreation,
    AccountDeletion,
    AccountReclaim,
    OneTimeTokens,
    OwnPassword,
    Passwords,
    Registrations,
    SignInMethods,
    SignOuts,
  ],
})
export class AccountsModule {}
