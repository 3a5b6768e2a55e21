import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AccountsModule } from '../accounts/accounts.module.js';
import { AuditModule } from '../audit/audit.module.js';
import { DatabaseModule } from '../database/database.module.js';
import { KeptAnswersModule } from '../idempotency/kept-answers.module.js';
import { MailModule } from '../mail/mail.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { FactorProofs } from './factor-proofs.js';
import { FactorSecrets } from './factor-secrets.js';
import { MfaController } from './mfa.controller.js';
import { MfaService } from './mfa.service.js';
import { PasskeyAssertions } from './passkey-assertions.js';
import { PasskeySignInController, PasskeysController } from './passkeys.controller.js';
import { PasskeysService } from './passkeys.service.js';
import { RecoveryCodes } from './recovery-codes.js';
import { SecondFactors } from './second-factors.js';
import { StepUpGuard } from './step-up.guard.js';
import { StepUpService } from './step-up.service.js';
import { TotpService } from './totp.service.js';

/** Second factors, and the recent proof that sensitive changes ask for. To be named after the rate limits. */
@Module({
  imports: [DatabaseModule, AuditModule, KeptAnswersModule, MailModule, AccountsModule, SessionsModule],
  controllers: [MfaController, PasskeysController, PasskeySignInController],
  providers: [
    FactorProofs,
    FactorSecrets,
    MfaService,
    PasskeyAssertions,
    PasskeysService,
    RecoveryCodes,
    SecondFactors,
    StepUpService,
    TotpService,
    { provide: APP_GUARD, useClass: StepUpGuard },
  ],
})
export class MfaModule {}
