import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { type ParsedMail, simpleParser } from 'mailparser';
import { SMTPServer } from 'smtp-server';
import { until } from './until.js';

/** A mail as it came over the wire. */
export interface ReceivedMail {
  readonly envelope: { readonly from: string; readonly to: readonly string[] };
  readonly mail: ParsedMail;
  readonly source: string;
}

/** A real SMTP server that keeps what it is sent. */
export interface MailServer {
  readonly url: string;
  readonly received: readonly ReceivedMail[];
  /** Answers the next mails with these SMTP codes instead of taking them. */
  failNext(...codes: number[]): void;
  /** Takes connections, but no mail, until called off. */
  hold(): () => void;
  /** The mails for an address, oldest first. */
  sentTo(address: string): readonly ReceivedMail[];
  /** Waits for the mail number `count` to an address whose subject matches. */
  mailTo(address: string, subject: RegExp, count?: number): Promise<ReceivedMail>;
  stop(): Promise<void>;
}

export async function startMailServer(): Promise<MailServer> {
  const received: ReceivedMail[] = [];
  const failures: number[] = [];
  let gate: Promise<void> = Promise.resolve();
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const source = Buffer.concat(chunks).toString('utf8');
        const { mailFrom, rcptTo } = session.envelope;
        void gate.then(async () => {
          const responseCode = failures.shift();
          if (responseCode !== undefined)
            return callback(Object.assign(new Error('Not this one'), { responseCode }));
          const envelope = {
            from: mailFrom === false ? '' : mailFrom.address,
            to: rcptTo.map(({ address }) => address),
          };
          received.push({ envelope, mail: await simpleParser(source), source });
          callback();
        });
      });
    },
  });
  server.on('error', () => undefined); // clients that leave in the middle
  server.listen(0, '127.0.0.1');
  await once(server.server, 'listening');
  const { port } = server.server.address() as AddressInfo;
  const sentTo = (address: string) => received.filter(({ envelope }) => envelope.to.includes(address));
  return {
    url: `smtp://127.0.0.1:${port}`,
    received,
    failNext: (...codes) => void failures.push(...codes),
    hold: () => {
      let release = (): void => undefined;
      gate = new Promise((resolve) => (release = resolve));
      return release;
    },
    sentTo,
    mailTo: (address, subject, count = 1) =>
      until(
        `mail ${count} to ${address} about ${subject.source}`,
        () => sentTo(address).filter(({ mail }) => subject.test(mail.subject ?? ''))[count - 1],
      ),
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The token in the link of a mail. */
export function tokenIn({ mail }: ReceivedMail): string {
  const token = /#token=([\w-]{43})(?=\s|$)/.exec(mail.text ?? '')?.[1];
  if (token === undefined) throw new Error(`No token in: ${mail.text}`);
  return token;
}
