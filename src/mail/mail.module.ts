import { Module } from '@nestjs/common';
import { AtriumConfig } from '../config/config.js';
import { Mailer } from './mailer.js';
import { MailTransport } from './mail-transport.js';
import { Outbox, outboxOf } from './outbox.js';
import { OutboxRetention } from './outbox-retention.js';
import { PublicLinks } from './public-links.js';

/** Mail to people: by SMTP, or into a folder when there is no server. */
@Module({
  providers: [
    Mailer,
    PublicLinks,
    OutboxRetention,
    {
      provide: MailTransport,
      inject: [AtriumConfig],
      useFactory: async ({ mail, dataDir }: AtriumConfig): Promise<MailTransport> => {
        if (mail.smtpUrl === undefined) return new Outbox(outboxOf(dataDir));
        const { Smtp } = await import('./smtp.js');
        return new Smtp(mail.smtpUrl);
      },
    },
  ],
  exports: [Mailer, PublicLinks],
})
export class MailModule {}
