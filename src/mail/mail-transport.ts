import type { ComposedMail } from './mail.js';

/** Takes mail out of the process. */
export abstract class MailTransport {
  /**
   * Settles when the message is out of our hands.
   * @throws {UndeliverableMail} if trying again is pointless; anything else may pass
   */
  abstract deliver(mail: ComposedMail): Promise<void>;

  /** Gives up on what is under way. */
  abstract close(): void;
}

/** The server refused this message for good. */
export class UndeliverableMail extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
    this.name = 'UndeliverableMail';
  }
}
