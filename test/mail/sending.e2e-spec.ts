import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ConsoleLogger } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { simpleParser } from 'mailparser';
import { v7 } from 'uuid';
import { Clock } from '../../src/common/clock.js';
import { CommonModule } from '../../src/common/common.module.js';
import { ConfigModule } from '../../src/config/config.module.js';
import { loadConfig } from '../../src/config/config.js';
import { NotOneRecipient } from '../../src/mail/mail.js';
import { MailModule } from '../../src/mail/mail.module.js';
import { Mailer } from '../../src/mail/mailer.js';
import { OutboxRetention } from '../../src/mail/outbox-retention.js';
import { type MailServer, startMailServer } from '../support/smtp.js';
import { until } from '../support/until.js';

let server: MailServer;
beforeAll(async () => void (server = await startMailServer()));
afterAll(() => server.stop());

/** The module on its own, as `app.module.ts` would have it. */
async function startMailer(variables: Record<string, string>, log: string[] = []) {
  const config = loadConfig({
    NODE_ENV: 'test',
    MAIL_FROM: 'Atrium <no-reply@atrium.example>',
    ...variables,
  });
  const module = await Test.createTestingModule({
    imports: [ConfigModule.register(config), CommonModule, MailModule],
  })
    .setLogger(keptIn(log))
    .compile();
  await module.init();
  return { module, mailer: module.get(Mailer), stop: () => module.close() };
}

/** Keeps what is said of mails that are lost. */
function keptIn(log: string[]): ConsoleLogger {
  const logger = new ConsoleLogger({ logLevels: [] });
  logger.error = (message: unknown) => void log.push(String(message));
  return logger;
}

async function withMailer(work: (mailer: Mailer) => Promise<void>): Promise<void> {
  const { mailer, stop } = await startMailer({ SMTP_URL: server.url });
  try {
    await work(mailer);
  } finally {
    await stop();
  }
}

describe('By SMTP', () => {
  it('a mail arrives as it was written, from the configured sender, for one recipient', () =>
    withMailer(async (mailer) => {
      const text = 'Grüße!\n.\n..a line of its own\r\nEnd\n';
      await mailer.send({ to: 'ada@example.com', subject: 'Hallo Ädá', text });
      const { envelope, mail } = await server.mailTo('ada@example.com', /Hallo Ädá/);
      expect(envelope).toEqual({ from: 'no-reply@atrium.example', to: ['ada@example.com'] });
      expect(mail.from?.value).toEqual([{ name: 'Atrium', address: 'no-reply@atrium.example' }]);
      expect(mail.text?.trimEnd()).toBe(text.replaceAll('\r\n', '\n').trimEnd());
      expect(mail.headers.get('auto-submitted')).toBe('auto-generated');
    }));

  it('a long link is whole in the source', () =>
    withMailer(async (mailer) => {
      const link = `https://app.example.com/reset-password#token=${'x'.repeat(120)}`;
      await mailer.send({ to: 'link@example.com', subject: 'Link', text: `Follow\n\n${link}\n` });
      expect((await server.mailTo('link@example.com', /Link/)).source).toContain(`\r\n${link}\r\n`);
    }));

  it.each([
    'Hello\r\nBcc: eve@example.com',
    'Hello\nBcc: eve@example.com\n\nA body',
    'Hello\rBcc: eve@example.com',
    'Hello\u2028Bcc: eve@example.com',
    'Hello\u0000\u000b\u0085Bcc: eve@example.com',
  ])('a subject makes no header: %j', (subject) =>
    withMailer(async (mailer) => {
      const before = server.received.length;
      await mailer.send({ to: 'header@example.com', subject, text: 'A text' });
      const { envelope, mail } = await until('the mail', () => server.received[before]);
      expect(envelope.to).toEqual(['header@example.com']);
      expect(mail.bcc).toBeUndefined();
      expect(mail.text?.trim()).toBe('A text');
      expect(mail.subject).toMatch(/^Hello\s+Bcc: eve@example\.com/);
    }),
  );

  it.each<unknown>([
    'a@example.com, eve@example.com',
    'a@example.com,eve@example.com',
    'a@example.com;eve@example.com',
    'a@example.com\r\nBcc: eve@example.com',
    'a@example.com\nRCPT TO:<eve@example.com>',
    'Ada <a@example.com>',
    'friends: a@example.com, eve@example.com;',
    'a@example.com eve@example.com',
    'ada',
    '',
    ['a@example.com', 'eve@example.com'],
    [['a@example.com']],
    { address: 'a@example.com' },
    { toString: () => 'a@example.com' },
    null,
  ])('nothing goes to what is not one address: %j', (to) =>
    withMailer(async (mailer) => {
      const before = server.received.length;
      await expect(mailer.send({ to: to as string, subject: 'S', text: 'T' })).rejects.toThrow(
        NotOneRecipient,
      );
      expect(server.received).toHaveLength(before);
    }),
  );

  it('a sender does not wait for a server that does not answer', () =>
    withMailer(async (mailer) => {
      const release = server.hold();
      await mailer.send({ to: 'slow@example.com', subject: 'Slow', text: 'T' });
      expect(server.sentTo('slow@example.com')).toEqual([]);
      release();
      await server.mailTo('slow@example.com', /Slow/);
    }));

  it('a mail that the server puts off is sent again, once', () =>
    withMailer(async (mailer) => {
      server.failNext(451);
      await mailer.send({ to: 'retry@example.com', subject: 'Retry', text: 'T' });
      await server.mailTo('retry@example.com', /Retry/);
      expect(server.sentTo('retry@example.com')).toHaveLength(1);
    }));

  it('a mail that the server refuses for good is not sent again', async () => {
    const { mailer, stop } = await startMailer({ SMTP_URL: server.url });
    server.failNext(550);
    await mailer.send({ to: 'refused@example.com', subject: 'Refused', text: 'T' });
    await stop();
    await withMailer(async (next) => {
      await next.send({ to: 'after@example.com', subject: 'After', text: 'T' });
      await server.mailTo('after@example.com', /After/);
    });
    expect(server.sentTo('refused@example.com')).toEqual([]);
  });

  it('an orderly stop sends what is waiting, also what is between two tries', async () => {
    const { mailer, stop } = await startMailer({ SMTP_URL: server.url });
    server.failNext(451, 451);
    for (let count = 0; count < 20; count++)
      await mailer.send({ to: 'stop@example.com', subject: `Stop ${count}`, text: 'T' });
    await stop();
    expect(server.sentTo('stop@example.com').length).toBe(20);
  });

  it('without the pauses between its tries, which are longer than a stop waits', async () => {
    const { mailer, stop } = await startMailer({ SMTP_URL: server.url });
    server.failNext(451, 451, 451);
    await mailer.send({ to: 'hurry@example.com', subject: 'Hurry', text: 'T' });
    await stop();
    expect(server.sentTo('hurry@example.com')).toHaveLength(1);
  });

  it('and ends at the limit while the server holds a mail that it neither takes nor refuses', async () => {
    const log: string[] = [];
    const { mailer, stop } = await startMailer({ SMTP_URL: server.url, DRAIN_TIMEOUT_MS: '200' }, log);
    const release = server.hold();
    await mailer.send({ to: 'never@example.com', subject: 'Never', text: 'T' });
    await stop();
    expect(server.sentTo('never@example.com')).toEqual([]);
    // It was left, not tried until it failed.
    expect(log).toEqual(['1 mails could not be sent any more']);
    release();
  });

  it('no more than 1,000 mails wait; the sender of one more is not told and does not fail', async () => {
    const { mailer, stop } = await startMailer({ SMTP_URL: server.url, DRAIN_TIMEOUT_MS: '60000' });
    const release = server.hold();
    for (let count = 0; count < 1_010; count++)
      await mailer.send({ to: 'flood@example.com', subject: `Flood ${count}`, text: 'T' });
    release();
    await stop();
    expect(server.sentTo('flood@example.com').length).toBe(1_000);
  });
});

describe('Without a server', () => {
  it('a mail is a file that a mail program reads, for this user only, and no half file is ever seen', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'atrium-outbox-'));
    const { mailer, stop } = await startMailer({ DATA_DIR: dataDir });
    for (const subject of ['First', 'Second', 'Third'])
      await mailer.send({ to: 'ada@example.com', subject, text: `The text of ${subject}` });
    await stop();
    const outbox = join(dataDir, 'outbox');
    const files = (await readdir(outbox)).sort();
    expect(files).toHaveLength(3);
    expect(files.every((name) => name.endsWith('.eml'))).toBe(true);
    const mails = await Promise.all(
      files.map(async (name) => simpleParser(await readFile(join(outbox, name)))),
    );
    expect(mails.map(({ subject }) => subject).sort()).toEqual(['First', 'Second', 'Third']);
    expect(mails[0].text).toContain(`The text of ${mails[0].subject}`);
    expect((await stat(outbox)).mode & 0o077).toBe(0);
    expect((await stat(join(outbox, files[0]))).mode & 0o077).toBe(0);
    await rm(dataDir, { recursive: true });
  });

  const DAY_MS = 86_400_000;
  /** The name of a mail that is so many days old. */
  const named = (days: number, ending = 'eml') => `${v7({ msecs: Date.now() - days * DAY_MS })}.${ending}`;
  const folderWith = async (names: readonly string[]) => {
    const dataDir = await mkdtemp(join(tmpdir(), 'atrium-outbox-'));
    const outbox = join(dataDir, 'outbox');
    await mkdir(outbox);
    for (const name of names) await writeFile(join(outbox, name), 'a link that works');
    return { dataDir, outbox };
  };

  it('mails that are older than MAIL_RETENTION_DAYS are removed, at the start and later, and nothing else is', async () => {
    const [old, cutOff, young] = [named(31), named(31, 'eml.part'), named(29)];
    const foreign = ['notes.eml', `${named(31).slice(0, 36)}.txt`];
    const { dataDir, outbox } = await folderWith([old, cutOff, young, ...foreign]);
    const { module, mailer, stop } = await startMailer({ DATA_DIR: dataDir });
    await until('the old ones are gone', async () => (await readdir(outbox)).length === 3);
    expect((await readdir(outbox)).sort()).toEqual([young, ...foreign].sort());
    await mailer.send({ to: 'ada@example.com', subject: 'New', text: 'T' });
    await until('there is a new one', async () => (await readdir(outbox)).length === 4);
    module.get(Clock).now = () => Date.now() + 2 * DAY_MS;
    await module.get(OutboxRetention).sweep();
    expect(await readdir(outbox)).toHaveLength(3);
    expect(await readdir(outbox)).not.toContain(young);
    await stop();
    await rm(dataDir, { recursive: true });
  });

  it('also when there is a server by now; and none with MAIL_RETENTION_DAYS=0', async () => {
    const { dataDir, outbox } = await folderWith([named(300), named(31)]);
    const keeping = await startMailer({ DATA_DIR: dataDir, MAIL_RETENTION_DAYS: '0' });
    await keeping.module.get(OutboxRetention).sweep();
    await keeping.stop();
    expect(await readdir(outbox)).toHaveLength(2);
    const sending = await startMailer({ DATA_DIR: dataDir, SMTP_URL: server.url });
    await until('they are gone', async () => (await readdir(outbox)).length === 0);
    await sending.stop();
    await rm(dataDir, { recursive: true });
  });
});
