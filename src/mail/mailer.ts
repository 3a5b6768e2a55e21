import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';
import pLimit from 'p-limit';
import { setImmediate as nextTurn, setTimeout as delay } from 'node:timers/promises';
import { reasonOf } from '../common/reason.js';
import { traces } from '../common/traces.js';
import { AtriumConfig } from '../config/config.js';
import { compose, type ComposedMail, type Mail, isOneRecipient, NotOneRecipient } from './mail.js';
import { MailTransport, UndeliverableMail } from './mail-transport.js';

/** Mails that may be waiting or under way; more are dropped, and the log says so. */
const CAPACITY = 1_000;
const CONCURRENCY = 4;
/** How long until each next try, in ms. */
const PAUSES_MS = [500, 5_000, 30_000];

/** The mail server does not keep up. */
export class TooManyMailsWaiting extends Error {
  constructor() {
    super(`${CAPACITY} mails are waiting already; try again later`);
    this.name = 'TooManyMailsWaiting';
  }
}

/**
 * Sends mail in the background: a request neither waits for the mail server nor fails with it, so it takes the
 * same time whether there is somebody to write to or not. What is waiting lives in this process's memory: it is
 * sent before an orderly stop and lost in a crash.
 */
@Injectable()
export class Mailer implements OnApplicationShutdown {
  private readonly logger = new Logger(Mailer.name);
  private readonly limit = pLimit(CONCURRENCY);
  private readonly pending = new Set<Promise<void>>();
  /** From here on nobody pauses before the next try. */
  private readonly hurry = new AbortController();

  constructor(
    private readonly transport: MailTransport,
    private readonly config: AtriumConfig,
  ) {}

  /**
   * Takes a mail for sending; settles before it is sent. A failing server is tried four times within a minute.
   * @throws {import('./mail.js').NotOneRecipient} unless `to` is exactly one address
   */
  send(mail: Mail): Promise<void> {
    if (!isOneRecipient(mail.to)) return Promise.reject(new NotOneRecipient());
    if (this.pending.size >= CAPACITY) {
      this.logger.error(`${CAPACITY} mails are waiting already: one is dropped`);
      return Promise.resolve();
    }
    void this.begin(mail);
    return Promise.resolve();
  }

  /**
   * {@link send} for a job, which is done when the mail is out of our hands or given up.
   * @param signal aborted when Atrium stops: what waits is then sent before it ends
   * @throws {import('./mail.js').NotOneRecipient}
   * @throws {TooManyMailsWaiting} to be tried again later
   */
  async sendNow(mail: Mail, signal: AbortSignal): Promise<void> {
    if (!isOneRecipient(mail.to)) throw new NotOneRecipient();
    if (this.pending.size >= CAPACITY) throw new TooManyMailsWaiting();
    const stopping = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([this.begin(mail), stopping]);
  }

  private begin(mail: Mail): Promise<void> {
    const delivery = this.deliver(mail).finally(() => this.pending.delete(delivery));
    this.pending.add(delivery);
    return delivery;
  }

  /** Sends what is waiting, without pauses, for at most `DRAIN_TIMEOUT_MS`. */
  async onApplicationShutdown(): Promise<void> {
    this.hurry.abort();
    if (this.pending.size > 0) {
      const patience = new AbortController();
      await Promise.race([
        Promise.all(this.pending),
        delay(this.config.http.drainTimeoutMs, undefined, { signal: patience.signal }).catch(() => undefined),
      ]);
      patience.abort();
      if (this.pending.size > 0) this.logger.error(`${this.pending.size} mails could not be sent any more`);
    }
    this.transport.close();
  }

  private async deliver(written: Mail): Promise<void> {
    await nextTurn(); // composing takes its time, which is not to be the request's
    const mail = await compose(written, this.config.mail.from);
    for (const pause of [...PAUSES_MS, undefined]) {
      const failure = await this.attempt(mail);
      if (failure === undefined) return;
      const what = `Mail ${mail.id}, "${mail.subject}" failed: ${reasonOf(failure)}`;
      if (pause === undefined || failure instanceof UndeliverableMail) {
        this.logger.error(`${what}. It is given up`);
        return;
      }
      this.logger.warn(`${what}. It is tried again in ${pause} ms`);
      await delay(pause, undefined, { signal: this.hurry.signal, ref: false }).catch(() => undefined);
    }
  }

  private async attempt(mail: ComposedMail): Promise<Error | undefined> {
    const deliver = (): Promise<void> => this.transport.deliver(mail);
    try {
      await this.limit(() => (traces === undefined ? deliver() : traces.run({ kind: 'mail' }, deliver)));
      return undefined;
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
