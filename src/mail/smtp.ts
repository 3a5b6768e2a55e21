import { createTransport } from 'nodemailer';
import type { ComposedMail } from './mail.js';
import { MailTransport, UndeliverableMail } from './mail-transport.js';

const CONNECTIONS = 4;
/** A server that says nothing for this long is gone, in ms. */
const PATIENCE_MS = 15_000;

/** Sends by SMTP over a few connections that stay open, with STARTTLS where the server offers it. */
export class Smtp extends MailTransport {
  private readonly transport;

  /** @param url `smtp://` or `smtps://`, with credentials; options by query, such as `?requireTLS=true` */
  constructor(url: string) {
    super();
    this.transport = createTransport({
      url,
      pool: true,
      maxConnections: CONNECTIONS,
      connectionTimeout: PATIENCE_MS,
      greetingTimeout: PATIENCE_MS,
      socketTimeout: PATIENCE_MS,
      maxRequeues: 0, // the mailer decides what is tried again
    });
  }

  async deliver({ envelope, raw }: ComposedMail): Promise<void> {
    try {
      await this.transport.sendMail({ envelope: { from: envelope.from, to: [...envelope.to] }, raw });
    } catch (error) {
      throw isPermanent(error) ? new UndeliverableMail(error) : error;
    }
  }

  close(): void {
    this.transport.close({ force: true });
  }
}

/** RFC 5321, section 4.2.1: 5xx is final. Of those, what concerns our login or the server's state may be mended. */
function isPermanent(error: unknown): error is Error {
  if (!(error instanceof Error) || !('responseCode' in error)) return false;
  const { responseCode: code, command } = error as { responseCode: unknown; command?: unknown };
  return typeof code === 'number' && code >= 550 && code <= 554 && command !== 'CONN' && command !== 'AUTH';
}
