import { spawn } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { type EmbeddedServer, removeEmbedded, startEmbedded } from '../../src/database/embedded.js';
import { ask, holdEmbedded, serverPid, until } from '../support/database-embedded.js';

describe('the embedded PostgreSQL', () => {
  let dataDir: string;

  beforeAll(async () => {
    // A name by which the next run finds it if this one is killed.
    dataDir = await mkdtemp(join(tmpdir(), 'atrium-test-'));
    await chmod(dataDir, 0o755);
  });

  afterEach(async () => {
    // Whatever a failed test left behind is not the next one's.
    const left = await serverPid(dataDir);
    if (left !== undefined) await removeEmbedded(dataDir);
    expect(left).toBeUndefined();
  });

  afterAll(async () => {
    expect(await removeEmbedded(dataDir)).toBe(true);
    await rm(dataDir, { recursive: true });
  });

  const start = (): Promise<EmbeddedServer> => startEmbedded({ dataDir, log: () => undefined });

  const remember = async (url: string) => {
    await ask(url, 'DROP TABLE IF EXISTS kept');
    await ask(url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  };
  const recall = (url: string) => ask<{ answer: number }>(url, 'SELECT answer FROM kept');

  it('keeps its data over a stop and a second start', async () => {
    const first = await start();
    await remember(first.url);
    await first.stop();
    expect(await serverPid(dataDir)).toBeUndefined();

    const second = await start();
    expect(await recall(second.url)).toEqual([{ answer: 42 }]);
    await second.stop();
  });

  it('is durable, in UTF-8 and UTC, on this machine only, behind a password', async () => {
    const server = await start();
    const settings = await ask<{ name: string; setting: string }>(
      server.url,
      `SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes',
         'listen_addresses', 'server_encoding', 'max_connections', 'log_timezone') ORDER BY name`,
    );
    expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toEqual({
      fsync: 'on',
      synchronous_commit: 'on',
      full_page_writes: 'on',
      listen_addresses: '127.0.0.1',
      server_encoding: 'UTF8',
      max_connections: '200',
      log_timezone: 'UTC',
    });
    const stranger = new URL(server.url);
    stranger.password = 'guessed';
    await expect(ask(stranger.href, 'SELECT 1')).rejects.toMatchObject({ code: '28P01' });
    const passwordFile = join(dataDir, 'postgres/data/atrium.password');
    expect((await stat(passwordFile)).mode & 0o777).toBe(0o600);
    expect(new URL(server.url).password).toBe(await readFile(passwordFile, 'utf8'));
    await server.stop();
  });

  it('is found again after a kill -9 of the application, and stopped by who found it', async () => {
    const killed = await holdEmbedded(dataDir);
    await remember(killed.url);
    const pid = await serverPid(dataDir);
    await killed.kill();
    expect(await serverPid(dataDir)).toBe(pid);

    const server = await start();
    expect(server.url).toBe(killed.url);
    expect(await serverPid(dataDir)).toBe(pid);
    expect(await recall(server.url)).toEqual([{ answer: 42 }]);
    await server.stop();
    expect(await serverPid(dataDir)).toBeUndefined();
  });

  it('starts again after a kill -9 of the application and of itself', async () => {
    const killed = await holdEmbedded(dataDir);
    await remember(killed.url);
    const pid = await serverPid(dataDir);
    await killed.kill();
    process.kill(pid!, 'SIGKILL');

    const server = await start();
    expect(await serverPid(dataDir)).not.toBe(pid);
    expect(await recall(server.url)).toEqual([{ answer: 42 }]);
    await server.stop();
  });

  it('comes back at the same address when it is killed under a running application', async () => {
    const server = await start();
    await remember(server.url);
    const pid = await serverPid(dataDir);
    process.kill(pid!, 'SIGKILL');

    expect(await until(() => recall(server.url))).toEqual([{ answer: 42 }]);
    expect(await serverPid(dataDir)).not.toBe(pid);
    await server.stop();
    expect(await serverPid(dataDir)).toBeUndefined();
  });

  it('is shared by two processes that start at the same moment, and stopped by the one that leaves last', async () => {
    expect(await removeEmbedded(dataDir)).toBe(true);
    const [first, second] = await Promise.all([holdEmbedded(dataDir), holdEmbedded(dataDir)]);
    expect(second.url).toBe(first.url);

    await first.leave();
    expect(await ask(second.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await second.leave();
    expect(await serverPid(dataDir)).toBeUndefined();
  });

  it('is stopped when its last two users leave at the same moment', async () => {
    const users = await Promise.all([start(), start()]);
    expect(users[1].url).toBe(users[0].url);
    await Promise.all(users.map((user) => user.stop()));
    expect(await serverPid(dataDir)).toBeUndefined();
  });

  it('is not deleted while a process uses it', async () => {
    const server = await start();
    expect(await removeEmbedded(dataDir)).toBe(false);
    expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await server.stop();
  });

  it('starts although the process id in its lock file is another program’s by now', async () => {
    await (await start()).stop();
    const data = join(dataDir, 'postgres/data');
    // The same user's, or PostgreSQL would know by itself that it cannot be a server.
    const { uid } = await stat(data);
    const other = spawn('sleep', ['60'], process.getuid?.() === 0 ? { uid, cwd: '/' } : { cwd: '/' });
    try {
      await writeFile(
        join(data, 'postmaster.pid'),
        `${other.pid!}\n${data}\n1\n1\n\n127.0.0.1\n\nready   \n`,
      );
      const server = await start();
      expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
      await server.stop();
    } finally {
      other.kill();
    }
  });

  it('is not disturbed by PG* variables meant for another server', async () => {
    const holder = await holdEmbedded(dataDir, {
      PGHOST: 'elsewhere.invalid',
      PGPORT: '1',
      PGUSER: 'somebody',
      PGDATABASE: 'something',
      PGSSLMODE: 'require',
      PGOPTIONS: '-c search_path=nowhere',
      PGDATA: '/nonexistent',
    });
    expect(holder.searchPath).toBe('"$user", public');
    await holder.leave();
  });

  it('starts below a folder that is private to this user', async () => {
    const folder = join(dataDir, 'private');
    await mkdir(folder, { mode: 0o700 });
    const below = join(folder, '.data');
    const lines: string[] = [];
    const server = await startEmbedded({ dataDir: below, log: (line) => lines.push(line) });
    await remember(server.url);
    await server.stop();
    // Root's server runs as another user, who cannot enter: its data is elsewhere, and the log says where.
    const elsewhere = (await lstat(join(below, 'postgres'))).isSymbolicLink();
    expect(elsewhere).toBe(process.getuid?.() === 0);
    expect(lines.some((line) => line.includes('/var/lib/atrium-postgres/'))).toBe(elsewhere);

    const again = await startEmbedded({ dataDir: below, log: () => undefined });
    expect(await recall(again.url)).toEqual([{ answer: 42 }]);
    await again.stop();
    expect(await removeEmbedded(below)).toBe(true);
  });
});
