import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';
import { until } from './until.js';

/** Where Linux distributions put it; `undefined` if there is none. */
export const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(
  (path) => existsSync(path),
);

interface Reply {
  readonly id?: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string };
}

/** A real browser with a virtual authenticator, driven over the DevTools protocol. */
export class Chromium {
  private count = 0;
  private sessionId: string | undefined;
  private readonly waiting = new Map<number, (reply: Reply) => void>();

  private constructor(
    private readonly browser: ChildProcess,
    private readonly socket: WebSocket,
    private readonly profile: string,
  ) {
    socket.on('message', (data: Buffer) => {
      const reply = JSON.parse(data.toString()) as Reply;
      if (reply.id !== undefined) this.waiting.get(reply.id)?.(reply);
    });
  }

  /** Starts one that shows `url`. */
  static async open(path: string, url: string): Promise<Chromium> {
    const profile = await mkdtemp(join(tmpdir(), 'atrium-chromium-'));
    const browser = spawn(
      path,
      [
        '--headless',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--remote-debugging-port=0',
        `--user-data-dir=${profile}`,
        'about:blank',
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], detached: true },
    );
    const socket = new WebSocket(await addressOf(browser));
    await once(socket, 'open');
    const chromium = new Chromium(browser, socket, profile);
    const { targetId } = await chromium.send<{ targetId: string }>('Target.createTarget', { url });
    const attached = await chromium.send<{ sessionId: string }>('Target.attachToTarget', {
      targetId,
      flatten: true,
    });
    chromium.sessionId = attached.sessionId;
    await chromium.send('WebAuthn.enable');
    await chromium.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    });
    // The target is there before its page is.
    const loaded = `document.readyState === 'complete' && 'PublicKeyCredential' in globalThis`;
    await chromium.becomesTrue('the page is loaded', loaded);
    return chromium;
  }

  /** Waits for a condition of the page, also while it is being loaded and scripts have nowhere to run. */
  async becomesTrue(what: string, expression: string): Promise<void> {
    await until(what, () =>
      this.evaluate<boolean>(expression).catch((error: unknown) => {
        if (error instanceof Error && /execution context|navigated/i.test(error.message)) return false;
        throw error;
      }),
    );
  }

  /** Evaluates a script in the page. @returns what its promise gave, as JSON */
  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send<{
      result: { value: T };
      exceptionDetails?: { exception?: { description?: string } };
    }>('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? 'The page failed');
    return result.value;
  }

  async close(): Promise<void> {
    const gone = once(this.browser, 'exit');
    this.socket.terminate();
    if (this.browser.pid !== undefined) process.kill(-this.browser.pid, 'SIGKILL');
    await gone;
    await rm(this.profile, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  }

  private async send<T>(method: string, params: object = {}): Promise<T> {
    const id = ++this.count;
    const reply = new Promise<Reply>((resolve) => this.waiting.set(id, resolve));
    this.socket.send(JSON.stringify({ id, method, params, sessionId: this.sessionId }));
    const { result, error } = await reply;
    this.waiting.delete(id);
    if (error) throw new Error(`${method}: ${error.message}`);
    return result as T;
  }
}

/** Chromium says on stderr where it listens. */
async function addressOf({ stderr }: ChildProcess): Promise<string> {
  if (!stderr) throw new Error('Chromium has no stderr');
  for await (const line of createInterface({ input: stderr })) {
    const [, address] = /^DevTools listening on (ws:\/\/\S+)/.exec(line) ?? [];
    if (address !== undefined) {
      stderr.resume();
      return address;
    }
  }
  throw new Error('Chromium ended before it listened');
}
