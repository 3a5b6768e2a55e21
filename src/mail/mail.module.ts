import { Module } from '@nestjs/common';
import { join } from 'node:path';
import { AtriumConfig } from '../config/config.js';
import { Mailer } from './mailer.js';
import { MailTransport } from './mail-transport.js';
import { Outbox } from './outbox.js';
import { PublicLinks } from './public-links.js';
import { Smtp } from './smtp.js';

/** Mail to people: by SMTP, or into a folder when there is no server. */
@Module({
  providers: [
    Mailer,
    PublicLinks,
    {
      provide: MailTransport,
      inject: [AtriumConfig],
      useFactory: ({ mail, dataDir }: AtriumConfig): MailTransport =>
        mail.smtpUrl === undefined ? new Outbox(join(dataDir, 'outbox')) : new Smtp(mail.smtpUrl),
    },
  ],
  exports: [Mailer, PublicLinks],
})
export class MailModule {}
