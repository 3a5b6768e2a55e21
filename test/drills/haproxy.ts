import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../support/free-port.js';
import { until } from '../support/until.js';
import type { Ground } from './ground.js';

/**
 * A request goes to the other instance only if nothing of it was sent yet: so a failure of an instance shows, and no
 * write is done twice.
 */
const settings = (port: number, statsPort: number, backends: readonly string[]): string => `
global
  maxconn 4000
defaults
  mode http
  maxconn 4000
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout tunnel 1h
  timeout check 5s
  retries 3
  option redispatch
  retry-on conn-failure
frontend stats
  bind 127.0.0.1:${statsPort}
  stats enable
  stats uri /stats
frontend clients
  bind 127.0.0.1:${port}
  default_backend atrium
backend atrium
  balance roundrobin
  option httpchk GET /health/ready
  default-server check inter 200ms fall 2 rise 2
${backends.map((backend, n) => `  server i${n} ${backend}`).join('\n')}
`;

/** Which column of its statistics says whether a server is up. */
const STATUS = 17;

/** HAProxy before some instances, which it sends requests to as long as they are ready. */
export class HaProxy {
  private constructor(
    private readonly child: ChildProcess,
    readonly url: string,
    private readonly statsUrl: string,
  ) {}

  static get isInstalled(): boolean {
    return spawnSync('haproxy', ['-v']).status === 0;
  }

  /** @param urls of the instances */
  static async start(ground: Ground, urls: readonly string[]): Promise<HaProxy> {
    const port = await freePort();
    const statsPort = await freePort();
    const file = join(ground.folder, 'haproxy.cfg');
    writeFileSync(
      file,
      settings(
        port,
        statsPort,
        urls.map((url) => new URL(url).host),
      ),
    );
    const child = spawn('haproxy', ['-db', '-q', '-f', file], { stdio: 'ignore' });
    ground.guard(child);
    const proxy = new HaProxy(child, `http://127.0.0.1:${port}`, `http://127.0.0.1:${statsPort}/stats;csv`);
    await until('HAProxy lets through', () =>
      fetch(`${proxy.url}/health/live`).then(
        ({ ok }) => ok,
        () => false,
      ),
    );
    return proxy;
  }

  /** Waits until requests are sent to all instances. */
  async sendsToAll(): Promise<void> {
    await until('all instances are up', async () => {
      const csv = await (await fetch(this.statsUrl)).text();
      const rows = csv.split('\n').filter((line) => /^atrium,i\d/.test(line));
      return rows.length > 0 && rows.every((line) => line.split(',')[STATUS] === 'UP');
    });
  }

  async close(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const ended = once(this.child, 'exit');
    this.child.kill('SIGKILL');
    await ended;
  }
}
