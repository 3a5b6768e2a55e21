/**
 * A process of agents. Each claims items, works on them, and writes down what it was told. It trusts its clock, which
 * jumps, dawdles at times until its lease must be over, and then writes all the same. It judges nothing.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentOrders, AgentRecord, Deed } from './lease-records.ts';
import { Random } from './random.ts';
import { recorder } from './records.ts';

interface Lease {
  readonly id: string;
  readonly fence: number;
  readonly attempt: number;
  readonly expiresAt: string;
  readonly item: { readonly id: string };
}

interface Answer {
  /** 0: there was none. */
  readonly status: number;
  readonly body?: { readonly data?: readonly Lease[]; readonly code?: string; readonly expiresAt?: string };
}

const ANSWER_MS = 8_000;
const REST_MS = 150;

class Agent {
  private readonly me: AgentOrders['agents'][number];
  private readonly orders: AgentOrders;
  private readonly random: Random;
  private readonly record: (record: AgentRecord) => void;
  private writes = 0;

  // Written out: Node runs this file as it is, by leaving the types away.
  constructor(
    me: AgentOrders['agents'][number],
    orders: AgentOrders,
    random: Random,
    record: (record: AgentRecord) => void,
  ) {
    this.me = me;
    this.orders = orders;
    this.random = random;
    this.record = record;
  }

  async run(): Promise<never> {
    for (;;) {
      const { type, ttlSeconds } = this.orders;
      const limit = 1 + Math.floor(this.random.next() * 3);
      const { body } = await this.post('/v1/leases', { types: [type], limit, ttlSeconds, waitSeconds: 3 });
      const leases = body?.data ?? [];
      for (const lease of leases) this.note(lease, { saw: 'claimed', ...lease });
      for (const lease of leases) await this.work(lease);
      if (leases.length === 0) await delay(this.random.between(0, 2 * REST_MS));
    }
  }

  private async work(lease: Lease): Promise<void> {
    const dice = this.random.next();
    if (dice < 0.05) await delay(1_000 * (this.orders.ttlSeconds + this.random.between(0, 1)));
    else await delay(this.random.between(0, 30));
    if (Date.parse(lease.expiresAt) - Date.now() < 500 * this.orders.ttlSeconds)
      await this.do(lease, 'extend', { ttlSeconds: this.orders.ttlSeconds });
    if (this.random.next() < 0.5) await this.do(lease, 'write', {});
    if (dice < 0.07) await this.do(lease, 'fail', { reason: 'bad luck', retry: dice < 0.055 });
    else if (dice < 0.12) await this.do(lease, 'release', {});
    else await this.do(lease, 'complete', { patch: {} });
    // Somebody who has not noticed: it must be refused.
    if (dice > 0.95) await this.do(lease, 'write', {});
  }

  private async do(lease: Lease, deed: Deed, request: object): Promise<void> {
    const changes = deed === 'write' || 'patch' in request;
    const key = changes ? `${lease.id} ${++this.writes}` : undefined;
    const patch = { data: { write: key } };
    const { status, body } =
      deed === 'write'
        ? await this.call('PATCH', `/v1/items/${lease.item.id}`, patch, { Lease: lease.id })
        : await this.post(`/v1/leases/${lease.id}/${deed}`, changes ? { patch } : request);
    const outcome = status === 200 ? 'ok' : body?.code === 'lease_lost' ? 'lost' : 'unknown';
    this.note(lease, { saw: deed, outcome, key, expiresAt: body?.expiresAt });
  }

  private note({ id, item }: Lease, seen: Seen): void {
    this.record({ ...seen, agent: this.me.id, lease: id, item: item.id } as AgentRecord);
  }

  private post(path: string, body: object): Promise<Answer> {
    return this.call('POST', path, body);
  }

  private async call(method: string, path: string, body: object, more: object = {}): Promise<Answer> {
    const headers = { Authorization: `Bearer ${this.me.token}`, 'Content-Type': 'application/json', ...more };
    const url = new URL(path, this.random.pick(this.orders.urls));
    const signal = AbortSignal.timeout(ANSWER_MS);
    try {
      const response = await fetch(url, { method, headers, body: JSON.stringify(body), signal });
      return { status: response.status, body: (await response.json()) as Answer['body'] };
    } catch {
      await delay(this.random.between(0, 2 * REST_MS));
      return { status: 0 };
    }
  }
}

type Seen = { readonly saw: AgentRecord['saw'] } & Readonly<Record<string, unknown>>;

process.once('message', (orders: AgentOrders) => {
  const random = new Random(orders.seed);
  const record = recorder(orders.file);
  for (const me of orders.agents) void new Agent(me, orders, random.fork(), record).run();
});
// What starts it has gone.
process.once('disconnect', () => process.exit());
