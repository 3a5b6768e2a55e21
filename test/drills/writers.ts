import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { connect, type SocketClient } from '../support/sockets.js';
import type { Instance } from './instance.js';
import type { Random } from './random.js';
import { deletionKey, NOTE, type WriteRecord } from './records.js';

/** What the writers of a drill work with. */
export interface WriterOptions {
  readonly instances: readonly Instance[];
  /** Writers at each instance. */
  readonly perInstance: number;
  /** Of all writers together, about. */
  readonly writesPerSecond: number;
  /** Text to make events heavy with. */
  readonly padding: string;
  readonly workspaces: readonly string[];
  /** Items that are never deleted, for all to patch. */
  readonly items: readonly { readonly id: string; readonly workspace: string }[];
  /** Rooms that people made, to publish in. */
  readonly rooms: readonly { readonly id: string; readonly workspace: string }[];
  /** An access token of a member, and one of a viewer, who may not write. */
  readonly token: string;
  readonly viewerToken: string;
  readonly random: Random;
  readonly record: (write: WriteRecord) => void;
}

/** A write's answer, or what is known without one. */
interface Outcome {
  readonly status: number;
  readonly seq?: number;
  readonly body?: { readonly id?: string; readonly version?: number; readonly detail?: string };
  readonly why?: string;
}

const ANSWER_MS = 8_000;
/** After a refused or broken connection. */
const BACK_OFF_MS = 100;

/** All writers of a drill. */
export class Writers {
  private readonly writers: Writer[];

  constructor(options: WriterOptions) {
    const { instances, perInstance, writesPerSecond, random } = options;
    const pauseMs = (1_000 * instances.length * perInstance) / writesPerSecond;
    this.writers = instances.flatMap((instance) =>
      Array.from({ length: perInstance }, (_, n) => {
        const name = `${instance.name}.${n}`;
        return new Writer(name, instance, pauseMs, random.fork(), options);
      }),
    );
  }

  /** Lets those write for which it holds; the others finish what they are at. */
  resume(which: (instance: Instance) => boolean = () => true): void {
    for (const writer of this.writers) if (which(writer.instance)) writer.resume();
  }

  /** Ends them and their connections. */
  async stop(): Promise<void> {
    await this.pause();
    for (const writer of this.writers) writer.disconnect();
  }

  /** Resolves when none of these has a write under way. */
  async pause(which: (instance: Instance) => boolean = () => true): Promise<void> {
    await Promise.all(this.writers.filter(({ instance }) => which(instance)).map((each) => each.pause()));
  }
}

/** Writes one thing after another, each once, and records what became of it. */
class Writer {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private readonly own: { id: string; workspace: string }[] = [];
  private socket: SocketClient | undefined;
  private count = 0;
  private isPaused = true;
  private working: Promise<void> = Promise.resolve();

  constructor(
    private readonly name: string,
    readonly instance: Instance,
    private readonly pauseMs: number,
    private readonly random: Random,
    private readonly options: WriterOptions,
  ) {}

  resume(): void {
    if (!this.isPaused) return;
    this.isPaused = false;
    this.working = this.working.then(() => this.work());
  }

  async pause(): Promise<void> {
    this.isPaused = true;
    await this.working;
  }

  disconnect(): void {
    this.agent.destroy();
    this.socket?.socket.terminate();
  }

  private async work(): Promise<void> {
    while (!this.isPaused) {
      if (!(await this.write())) await delay(BACK_OFF_MS);
      await delay(this.random.between(0, 2 * this.pauseMs));
    }
  }

  /** @returns whether the instance could be reached */
  private write(): Promise<boolean> {
    const dice = this.random.next();
    if (dice < 0.25) return this.create();
    if (dice < 0.45) return this.patchOwn();
    if (dice < 0.75) return this.patch(this.random.pick(this.options.items));
    if (dice < 0.8) return this.delete();
    if (dice < 0.95) return this.publish();
    return dice < 0.975 ? this.patchOutdated() : this.createAsViewer();
  }

  private nextKey(): string {
    return `${this.name}-${++this.count}`;
  }

  private data(key: string): object {
    return { write: key, padding: this.options.padding };
  }

  private async create(token = this.options.token): Promise<boolean> {
    const key = this.nextKey();
    const workspace = this.random.pick(this.options.workspaces);
    const body = { title: key, type: 'drill', workspaceId: workspace, data: this.data(key) };
    const outcome = await this.call('POST', '/v1/items', body, { token });
    const item = outcome.body?.id;
    if (outcome.status === 201 && item) this.own.push({ id: item, workspace });
    return this.note({ key, kind: 'create', stream: workspace, item }, outcome);
  }

  /** Fails. */
  private createAsViewer(): Promise<boolean> {
    return this.create(this.options.viewerToken);
  }

  private patchOwn(): Promise<boolean> {
    return this.own.length > 0 ? this.patch(this.random.pick(this.own)) : this.create();
  }

  private async patch(
    item: { readonly id: string; readonly workspace: string },
    ifMatch?: string,
  ): Promise<boolean> {
    const key = this.nextKey();
    const outcome = await this.call('PATCH', `/v1/items/${item.id}`, { data: this.data(key) }, { ifMatch });
    return this.note({ key, kind: 'patch', stream: item.workspace, item: item.id }, outcome);
  }

  /** Fails. */
  private patchOutdated(): Promise<boolean> {
    return this.patch(this.random.pick(this.options.items), '"2000000000"');
  }

  private async delete(): Promise<boolean> {
    const [item] = this.own.splice(Math.floor(this.random.next() * this.own.length), 1);
    if (!item) return this.create();
    const outcome = await this.call('DELETE', `/v1/items/${item.id}`, undefined, {});
    const write = {
      key: deletionKey(item.id),
      kind: 'delete' as const,
      stream: item.workspace,
      item: item.id,
    };
    return this.note(write, outcome);
  }

  private async publish(): Promise<boolean> {
    const key = this.nextKey();
    const { items, rooms } = this.options;
    const kind = this.random.pick(['items', 'workspaces', 'rooms'] as const);
    const { id, workspace } = this.random.pick(kind === 'rooms' ? rooms : items);
    const room = `${kind}/${kind === 'workspaces' ? workspace : id}`;
    return this.note({ key, kind: 'publish', stream: workspace }, await this.say(room, key));
  }

  private async say(room: string, key: string): Promise<Outcome> {
    if (this.socket?.socket.readyState !== this.socket?.socket.OPEN) this.socket = undefined;
    try {
      this.socket ??= await connect(this.instance, { token: this.options.token });
    } catch (error) {
      return { status: -1, why: String(error) };
    }
    const { socket } = this;
    try {
      const frame = { room, type: NOTE, data: this.data(key) };
      const { event, data } = await socket.send('publish', frame);
      // Each answer is looked at once.
      socket.frames.length = 0;
      if (event === 'published') return { status: 200, seq: seqOf(data.cursor) };
      const { code, detail } = data as { code: string; detail: string };
      return {
        status: code === 'unavailable' || code === 'internal' ? 503 : 400,
        body: { detail },
        why: code,
      };
    } catch (error) {
      socket.socket.terminate();
      return { status: 0, why: String(error) };
    }
  }

  /** Records it. Only what cannot have been done counts as failed. */
  private note(
    write: Omit<WriteRecord, 'outcome' | 'version' | 'seq' | 'why'>,
    { status, seq, body, why }: Outcome,
  ): boolean {
    const said = body?.detail ?? why;
    const isOk = status >= 200 && status < 300;
    const isNothing = status === -1 || (status >= 400 && status < 500) || /nothing was done/.test(said ?? '');
    this.options.record({
      ...write,
      outcome: isOk ? 'ok' : isNothing ? 'failed' : 'unknown',
      version: isOk ? body?.version : undefined,
      seq: isOk ? seq : undefined,
      why: isOk ? undefined : `${status} ${said ?? ''}`,
    });
    return status > 0;
  }

  /** Never sends anything twice. */
  private call(
    method: string,
    path: string,
    json: object | undefined,
    { token = this.options.token, ifMatch }: { readonly token?: string; readonly ifMatch?: string },
  ): Promise<Outcome> {
    return new Promise((resolve) => {
      const text = json && JSON.stringify(json);
      const headers = {
        Authorization: `Bearer ${token}`,
        ...(text && { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }),
        ...(ifMatch && { 'If-Match': ifMatch }),
      };
      const sent = request(new URL(path, this.instance.url), {
        method,
        headers,
        agent: this.agent,
        timeout: ANSWER_MS,
      });
      const broken = (error: NodeJS.ErrnoException) =>
        resolve({ status: error.code === 'ECONNREFUSED' ? -1 : 0, why: error.message });
      sent.on('timeout', () => sent.destroy(new Error(`no answer within ${ANSWER_MS} ms`)));
      sent.on('error', broken);
      sent.on('response', (response) => {
        let answer = '';
        response.setEncoding('utf8').on('data', (part: string) => (answer += part));
        response.on('error', broken);
        response.on('end', () => {
          const body = (answer === '' ? undefined : JSON.parse(answer)) as Outcome['body'];
          resolve({ status: response.statusCode ?? 0, seq: seqOf(response.headers['stream-cursor']), body });
        });
      });
      sent.end(text);
    });
  }
}

function seqOf(cursor: unknown): number | undefined {
  return typeof cursor === 'string' ? Number(cursor.split('-')[1]) : undefined;
}
