import { Logger } from '@nestjs/common';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '../common/identifiers.js';
import type { ComposedMail } from './mail.js';
import { MailTransport } from './mail-transport.js';

/** The folder in `DATA_DIR` that mails are written to. */
export const outboxOf = (dataDir: string): string => join(dataDir, 'outbox');

/**
 * Where mail goes without `SMTP_URL`: a folder of `.eml` files, oldest first by name, that any mail program
 * opens. They hold links that work, so only this process's user may read them.
 */
export class Outbox extends MailTransport {
  private readonly logger = new Logger(Outbox.name);

  constructor(private readonly folder: string) {
    super();
  }

  async deliver({ subject, envelope, raw }: ComposedMail): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    const file = join(this.folder, `${newId()}.eml`);
    // Whoever watches the folder sees whole messages only.
    await writeFile(`${file}.part`, raw, { mode: 0o600, flag: 'wx' });
    await rename(`${file}.part`, file);
    this.logger.log(`Mail for ${envelope.to[0]}, "${subject}", is in ${file}`);
  }

  close(): void {
    // Nothing is held open.
  }
}
