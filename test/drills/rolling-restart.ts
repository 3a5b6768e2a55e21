import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { join } from 'node:path';
import { registerUser, type Person } from '../support/people.js';
import { connect, seqOf, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';
import type { Ground } from './ground.js';
import { HaProxy } from './haproxy.js';
import { Instance } from './instance.js';

const CALLERS = 32;
/** One request in so many writes. */
const WRITES_EVERY = 5;
/** Between joining and the end of the drill. */
const PATIENCE_MS = 60_000;

/** What a rolling restart has done to those who called. */
export interface RollingReport {
  readonly requests: number;
  readonly writes: number;
  readonly failed: readonly string[];
  /** How often the follower was told to reconnect. */
  readonly reconnects: number;
  readonly lost: number;
  readonly duplicated: number;
  /** Exit codes, and how long each stop took. */
  readonly stops: readonly { readonly code: number | string; readonly ms: number }[];
}

/** Two instances behind HAProxy are replaced, one after the other, while requests go on and a socket follows. */
export async function rollingRestart(ground: Ground, main: string, requests: number): Promise<RollingReport> {
  const database = await ground.createDatabase();
  const instances: Instance[] = [];
  let proxy: HaProxy | undefined;
  try {
    for (const n of [0, 1]) {
      const variables = {
        NODE_ENV: 'test',
        HOST: '127.0.0.1',
        TOKEN_SECRET: 'the-secret-of-the-drills-0123456789abcdef',
        PASSWORD_HASH_MEMORY_KIB: '64',
        RATE_LIMIT: 'off',
        LOG_LEVEL: 'warn',
        DRAIN_GRACE_MS: '3000',
        DATA_DIR: join(ground.folder, `rolling-${n}`),
      };
      const instance = await Instance.prepare(`rolling ${n}`, ground, { database, main, variables });
      instances.push(instance);
      await instance.start();
    }
    proxy = await HaProxy.start(
      ground,
      instances.map(({ url }) => url),
    );
    await proxy.sendsToAll();
    const load = await Load.begin(proxy.url, requests);
    const stops = [];
    for (const [n, instance] of instances.entries()) {
      await load.until((requests * (2 * n + 1)) / 5);
      const started = performance.now();
      const code = await instance.terminate();
      stops.push({ code, ms: Math.round(performance.now() - started) });
      await instance.start();
      await proxy.sendsToAll();
    }
    return { ...(await load.end()), stops };
  } finally {
    await proxy?.close();
    for (const instance of instances) await instance.close();
    await ground.dropDatabase(database);
  }
}

const roomOf = (person: Person): string => `workspaces/${person.workspaceId}`;

/** Callers and a follower, by way of the balancer. */
class Load {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: CALLERS });
  private readonly failed: string[] = [];
  private readonly written = new Set<string>();
  private readonly heard: number[] = [];
  private sent = 0;
  private readonly subjects = new Set<string>();
  private reconnects = 0;
  private over = false;
  private readonly calling: Promise<unknown>;
  private readonly following: Promise<void>;

  private constructor(
    private readonly url: string,
    private readonly requests: number,
    private readonly person: Person,
    private readonly itemId: string,
    first: SocketClient,
    /** Of the last event that was heard; at first where the room was before anything was written. */
    private cursor: string | undefined,
  ) {
    this.following = this.follow(first);
    this.calling = Promise.all(Array.from({ length: CALLERS }, () => this.call()));
  }

  static async begin(url: string, requests: number): Promise<Load> {
    const person = await registerUser({ url });
    const created = await person.http.post<{ id: string }>('/v1/items', {
      title: 'read',
      type: 'x',
      data: {},
    });
    const socket = await connect({ url }, { token: person.token });
    const { cursor } = await socket.join(roomOf(person));
    return new Load(url, requests, person, created.body.id, socket, cursor);
  }

  /** Resolves when so many requests were sent. */
  async until(count: number): Promise<void> {
    while (this.sent < count) await delay(20);
  }

  async end(): Promise<Omit<RollingReport, 'stops'>> {
    await this.calling;
    const missing = () => [...this.written].filter((id) => !this.subjects.has(`items/${id}`));
    const isAllHeard = () => missing().length === 0;
    await until('every write is heard', isAllHeard, PATIENCE_MS).catch(() => undefined);
    this.over = true;
    await this.following;
    this.agent.destroy();
    return {
      requests: this.sent,
      writes: this.written.size,
      failed: this.failed,
      reconnects: this.reconnects,
      lost: missing().length,
      duplicated: this.heard.length - new Set(this.heard).size,
    };
  }

  private async call(): Promise<void> {
    while (this.sent < this.requests) {
      const n = ++this.sent;
      try {
        if (n % WRITES_EVERY === 0) {
          const { status, body } = await this.send('POST', '/v1/items', {
            title: `n${n}`,
            type: 'x',
            data: {},
          });
          if (status === 201) this.written.add((JSON.parse(body) as { id: string }).id);
          else this.failed.push(`POST answered ${status}: ${body}`);
        } else {
          const { status, body } = await this.send('GET', `/v1/items/${this.itemId}`);
          if (status !== 200) this.failed.push(`GET answered ${status}: ${body}`);
        }
      } catch (error) {
        this.failed.push(`request ${n}: ${(error as Error).message}`);
      }
    }
  }

  private send(method: string, path: string, json?: unknown): Promise<{ status: number; body: string }> {
    const { promise, resolve, reject } = Promise.withResolvers<{ status: number; body: string }>();
    const headers = {
      Authorization: `Bearer ${this.person.token}`,
      ...(json !== undefined && { 'Content-Type': 'application/json' }),
    };
    const sent = request(new URL(path, this.url), { method, headers, agent: this.agent }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    sent.once('error', reject);
    sent.end(json === undefined ? undefined : JSON.stringify(json));
    return promise;
  }

  /** Follows the workspace, from where it was when it is told to reconnect; the first socket is in the room. */
  private async follow(first: SocketClient): Promise<void> {
    const room = roomOf(this.person);
    for (let socket: SocketClient = first; ; socket = await this.again()) {
      if (socket !== first) await socket.join(room, this.cursor);
      const closed = socket.closed.then(() => true);
      for (let taken = 0, isOver = false; !isOver;) {
        isOver = (await Promise.race([closed, delay(50)])) ?? this.over;
        const events = socket.events(room);
        for (const { cursor: at, event } of events.slice(taken)) {
          this.cursor = at;
          this.heard.push(seqOf(at));
          this.subjects.add(event.subject);
        }
        taken = events.length;
      }
      if (!this.over) continue;
      await socket.vanish();
      return;
    }
  }

  private async again(): Promise<SocketClient> {
    this.reconnects++;
    for (;;) {
      const socket = await connect({ url: this.url }, { token: this.person.token }).catch(() => undefined);
      if (socket) return socket;
      await delay(100);
    }
  }
}
