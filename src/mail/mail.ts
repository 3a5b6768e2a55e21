import { isEmail } from 'class-validator';
import addressParser from 'nodemailer/lib/addressparser';
import MimeNode from 'nodemailer/lib/mime-node';

/** A mail to one person, in plain text. */
export interface Mail {
  /** One bare address, `ada@example.com`. */
  readonly to: string;
  /** One line; control characters in it become spaces, and more than 200 characters are cut. */
  readonly subject: string;
  readonly text: string;
}

/** A mail, ready to travel. */
export interface ComposedMail {
  readonly id: string;
  readonly subject: string;
  readonly envelope: { readonly from: string; readonly to: readonly [string] };
  /** The whole message (RFC 5322). */
  readonly raw: Buffer;
}

/** The address is not exactly one mailbox: nothing was sent. */
export class NotOneRecipient extends Error {
  constructor() {
    super('A mail goes to exactly one address, such as ada@example.com');
    this.name = 'NotOneRecipient';
  }
}

const MAX_SUBJECT = 200;
/** RFC 5322, section 2.1.1. */
const MAX_LINE = 998;

/**
 * Text that mail can carry as it is stays as it is: a link in it is whole for whoever reads the file or the source.
 * Everything else is encoded as usual.
 */
class PlainText extends MimeNode {
  constructor(private readonly text: string) {
    super('text/plain; charset=utf-8', { disableFileAccess: true, disableUrlAccess: true });
    this.setContent(text);
  }

  override getTransferEncoding(): string | false {
    const isPlain = /^[\t\r\n\x20-\x7e]*$/.test(this.text);
    const fits = this.text.split('\r\n').every((line) => line.length <= MAX_LINE);
    return isPlain && fits ? '7bit' : super.getTransferEncoding();
  }
}

/**
 * Composes a message that has exactly one recipient and no header but ours, whatever is in the texts.
 * @param from `Name <address>` or an address
 * @throws {NotOneRecipient}
 */
export async function compose({ to, subject, text }: Mail, from: string): Promise<ComposedMail> {
  if (!isOneRecipient(to)) throw new NotOneRecipient();
  const [sender] = addressParser(from, { flatten: true });
  const line = oneLine(subject);
  const node = new PlainText(text.replace(/\r\n?|\n/g, '\r\n'));
  node.setHeader({
    From: { name: sender?.name ?? '', address: sender?.address ?? '' },
    To: { name: '', address: to },
    Subject: line,
    // RFC 3834: no out-of-office replies.
    'Auto-Submitted': 'auto-generated',
  });
  const id = node.messageId();
  return {
    id,
    subject: line,
    envelope: { from: sender?.address ?? '', to: [to] },
    raw: await node.build(),
  };
}

/** Whether it is exactly one bare address. Values of requests end up here: a type says nothing at run time. */
export const isOneRecipient = (to: unknown): boolean =>
  typeof to === 'string' && isEmail(to, { require_tld: false });

function oneLine(subject: string): string {
  const line = subject
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .toWellFormed();
  const characters = Array.from(line);
  return characters.length > MAX_SUBJECT ? `${characters.slice(0, MAX_SUBJECT - 1).join('')}…` : line;
}
