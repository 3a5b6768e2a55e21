import { write as writeFile, writeSync } from 'node:fs';

/** What is waiting is written at the latest after this time, in ms. */
const FLUSH_MS = 100;
/** As soon as so many characters wait, they are written. */
const WRITE_CHARACTERS = 65_536;
/** When so many characters wait, since nobody reads fast enough, further lines are dropped and counted. */
const MOST_CHARACTERS = 8 * 1_048_576;
/** Whoever reads cannot take more just now: how long until it is tried again, in ms. */
const RETRY_MS = 20;
const ENDING_ROUNDS = 50;

/**
 * Where log lines go: collected and written together, one write under way at a time, so that a line costs its caller
 * neither a system call nor a wait, and a reader that is slow costs lines, never requests. What waits is lost when
 * the process is killed, and with nothing else: {@link end} and {@link flushSync} stand at all other ends.
 */
export class LogOutput {
  private waiting = '';
  private dropped = 0;
  private underWay: Buffer | undefined;
  private timer: NodeJS.Timeout | undefined;
  private broken = false;

  /** @param fd 1: standard output */
  constructor(private readonly fd: number) {}

  /** Called by pino. @param line ends with a line break */
  write(line: string): void {
    if (this.waiting.length > MOST_CHARACTERS) {
      this.dropped++;
      return;
    }
    this.waiting += line;
    if (this.waiting.length >= WRITE_CHARACTERS) this.flush();
    else this.timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
  }

  /** Begins to write what waits. */
  flush(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    if (this.underWay || this.broken || this.waiting === '') return;
    this.next(Buffer.from(this.take()));
  }

  /** Resolves when all that waits is written, or after a moment if nobody takes it. */
  async end(): Promise<void> {
    for (let n = 0; n < ENDING_ROUNDS && (this.underWay || this.waiting !== '') && !this.broken; n++) {
      this.flush();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }

  /** Writes all that waits, now: for the end of a process that crashes. What is being written may appear twice. */
  flushSync(): void {
    clearTimeout(this.timer);
    this.timer = undefined;
    const bytes = Buffer.concat([this.underWay ?? Buffer.alloc(0), Buffer.from(this.take())]);
    this.underWay = undefined;
    let at = 0;
    for (let attempt = 0; at < bytes.length && attempt < 100 && !this.broken;) {
      try {
        at += writeSync(this.fd, bytes, at);
      } catch (error) {
        if (!isBusy(error)) return;
        attempt++;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      }
    }
  }

  private take(): string {
    const { waiting, dropped } = this;
    this.waiting = '';
    this.dropped = 0;
    if (dropped === 0) return waiting;
    const time = new Date().toISOString();
    return `${waiting}{"level":"warn","time":"${time}","module":"Log","msg":"${dropped} lines were dropped: the log is read too slowly"}\n`;
  }

  private next(bytes: Buffer): void {
    this.underWay = bytes;
    writeFile(this.fd, bytes, 0, bytes.length, null, (error, written) => {
      // It was taken over by the end of the process.
      if (this.underWay !== bytes) return;
      if (error && !isBusy(error)) {
        // Nobody reads any more: there is nobody left to tell.
        this.broken = true;
        this.underWay = undefined;
        return;
      }
      const rest = bytes.subarray(written);
      this.underWay = rest.length > 0 ? rest : undefined;
      if (error) setTimeout(() => this.next(rest), RETRY_MS).unref();
      else if (rest.length > 0) this.next(rest);
      else if (this.waiting.length >= WRITE_CHARACTERS) this.flush();
      else if (this.waiting !== '') this.timer ??= setTimeout(() => this.flush(), FLUSH_MS).unref();
    });
  }
}

const isBusy = (error: unknown): boolean => {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EAGAIN' || code === 'EBUSY';
};
