import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clientCredentials, createAgent, startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Ended, runAtrium } from '../support/cli.js';
import { http } from '../support/http.js';
import { compiledPath } from '../support/native/paths.mjs';
import { createItem, PASSWORD, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

const root = resolve(import.meta.dirname, '../..');

let app: TestApp;
beforeAll(async () => void (app = await startAtrium()));
afterAll(async () => {
  await closeSockets();
  await app.stop();
});

const run = (args: readonly string[]): Promise<Ended> => runAtrium(args, app.databaseUrl);

async function json<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await run(['--json', ...args]);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as T;
}

const mayRead = async (person: Person) => (await person.http.get('/v1/me')).status === 200;

describe('Users', () => {
  it('are listed, found by a part of their address, and shown by id or address', async () => {
    const ada = await registerUser(app);
    const { email, id } = ada.user;
    const found = await json<{ data: object[] }>('users', 'list', '--email', email.toUpperCase());
    expect(found.data).toEqual([expect.objectContaining({ id, email, disabledAt: null })]);
    for (const name of [id, email])
      expect(await json('users', 'show', name)).toMatchObject({ id, email, sessions: 1 });
    const { stdout } = await run(['users', 'show', id]);
    expect(stdout).toMatch(new RegExp(`^email +${email}$`, 'm'));
  });

  it('that are disabled are out within a moment and cannot come back, until they are enabled', async () => {
    const eve = await registerUser(app);
    expect(await run(['users', 'disable', eve.user.email])).toEqual({
      code: 0,
      stdout: `${eve.user.email} is disabled.\n`,
      stderr: '',
    });
    await until('the session is out', async () => !(await mayRead(eve)));
    const login = () => http(app).post('/v1/auth/login', { email: eve.user.email, password: PASSWORD });
    expect((await login()).status).toBe(401);
    await json('users', 'enable', eve.user.id);
    expect((await login()).status).toBe(200);
    const entries = await app.sql<{ action: string }>(
      `SELECT action FROM audit_entries WHERE user_id = $1 AND action LIKE 'account.%' AND address = 'local'
       ORDER BY id`,
      [eve.user.id],
    );
    expect(entries.map(({ action }) => action)).toEqual(['account.disabled', 'account.enabled']);
  });

  it('who are not there are not, and it is said how to find them', async () => {
    expect(await run(['users', 'show', 'nobody@example.org'])).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('There is no user nobody@example.org'),
    });
    const { code, stdout, stderr } = await run(['users', 'show', 'nobody@example.org', '--json']);
    expect([code, stdout, JSON.parse(stderr)]).toEqual([
      1,
      '',
      { error: expect.stringContaining('There is no user nobody@example.org') },
    ]);
  });

  it('with a name that would move the cursor are shown on a line of their own', async () => {
    const mallory = await registerUser(app);
    await app.sql('UPDATE users SET name = $2 WHERE id = $1', [mallory.user.id, 'a\n\u001b[31mb']);
    const { stdout } = await run(['users', 'list', '--email', mallory.user.email]);
    expect(stdout.split('\n')).toHaveLength(3);
    expect(stdout).not.toContain('\u001b');
  });
});

describe('Tokens', () => {
  it('of a person are listed, and end one by one or all at once', async () => {
    const ada = await registerUser(app);
    const login = await http(app).post<{ accessToken: string }>('/v1/auth/login', {
      email: ada.user.email,
      password: PASSWORD,
    });
    const second = http(app, login.body.accessToken);
    const { data } = await json<{ data: { id: string }[] }>('tokens', 'list', ada.user.email);
    expect(data).toHaveLength(2);
    const [newest] = data;
    await json('tokens', 'revoke', '--session', newest.id);
    await until('it is out', async () => (await second.get('/v1/me')).status === 401);
    expect(await mayRead(ada)).toBe(true);
    expect(await run(['tokens', 'revoke', '--session', newest.id])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('had ended before'),
    });
    await json('tokens', 'revoke', '--user', ada.user.id);
    await until('so is the other', async () => !(await mayRead(ada)));
  });

  it('of an agent end, and it gets others by its credentials', async () => {
    const ada = await registerUser(app);
    const { agent, http: asAgent } = await startAgent(app, ada, ['items:read']);
    expect((await asAgent.get('/v1/items')).status).toBe(200);
    expect(await json('agents', 'show', agent.id)).toMatchObject({ id: agent.id, credentials: 1 });
    const listed = await json<{ data: object[] }>('agents', 'list', '--workspace', ada.workspaceId);
    expect(listed.data).toEqual([expect.objectContaining({ id: agent.id, status: 'enabled' })]);
    await json('tokens', 'revoke', '--agent', agent.id);
    await until('it is out', async () => (await asAgent.get('/v1/items')).status === 401);
  });
});

describe('Agents', () => {
  it('that never came are told from those that came and say nothing, are there, or have gone', async () => {
    const ada = await registerUser(app);
    const never = await createAgent(ada);
    const [silent, there, gone] = [
      await startAgent(app, ada),
      await startAgent(app, ada),
      await startAgent(app, ada),
    ];
    for (const { agent, http: itself } of [there, gone])
      await itself.post(`/v1/agents/${agent.id}/heartbeat`, {});
    await gone.http.post(`/v1/agents/${gone.agent.id}/heartbeat`, { leaving: true });
    const { data } = await json<{ data: { id: string; presence: string; lastSeenAt: string | null }[] }>(
      ...['agents', 'list', '--workspace', ada.workspaceId],
    );
    const found = new Map(data.map(({ id, presence, lastSeenAt }) => [id, [presence, lastSeenAt !== null]]));
    expect([never, silent.agent, there.agent, gone.agent].map(({ id }) => found.get(id))).toEqual([
      ['never seen', false],
      ['no heartbeats', true],
      ['online', true],
      ['offline', true],
    ]);
  });

  it('that are disabled are out within a moment with their sockets, and their workspace is told by whom', async () => {
    const ada = await registerUser(app);
    const { agent, token, http: asAgent } = await startAgent(app, ada, ['items:read']);
    const socket = await connect(app, { token });
    const watcher = await connectAndJoin(app, ada.token, `agents/${agent.id}`);
    expect(await run(['agents', 'disable', agent.id])).toEqual({
      code: 0,
      stdout: `${agent.id} is disabled.\n`,
      stderr: '',
    });
    expect((await socket.closed).code).toBe(4003);
    expect((await asAgent.get('/v1/items')).status).toBe(401);
    expect((await clientCredentials(app, agent)).status).toBe(401);
    expect(await json('agents', 'enable', agent.id)).toEqual({ id: agent.id, status: 'enabled' });
    expect((await clientCredentials(app, agent)).status).toBe(200);
    const told = (await watcher.received(`agents/${agent.id}`, 2)).map(({ event }) => event);
    const operator = '00000000-0000-0000-0000-000000000000';
    expect(told.map(({ type, principal, data }) => [type, principal, data['updatedBy']])).toEqual([
      ['agent.disabled', operator, operator],
      ['agent.enabled', operator, operator],
    ]);
    const entries = await app.sql<{ action: string }>(
      `SELECT action FROM audit_entries WHERE workspace_id = $1 AND address = 'local' ORDER BY id`,
      [ada.workspaceId],
    );
    expect(entries.map(({ action }) => action)).toEqual(['agent.disabled', 'agent.enabled']);
    expect(await run(['agents', 'disable', operator])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('There is no agent'),
    });
  });
});

describe('Streams and queues', () => {
  it('show how far a workspace has come', async () => {
    const ada = await registerUser(app);
    const before = await json<{ head: string }>('streams', 'show', ada.workspaceId);
    await createItem(ada);
    const after = await json<{ head: string; lastEventAt: string }>('streams', 'show', ada.workspaceId);
    expect(Number(after.head)).toBe(Number(before.head) + 1);
    expect(Date.parse(after.lastEventAt)).not.toBeNaN();
    const page = await json<{ data: { id: string }[] }>('streams', 'list', '--limit', '1');
    const next = await json<{ data: { id: string }[] }>('streams', 'list', '--after', page.data[0].id);
    expect(next.data.map(({ id }) => id)).not.toContain(page.data[0].id);
  });

  it('count the work that waits, and say why jobs have failed', async () => {
    await app.sql(
      `INSERT INTO jobs.job (name, state, output, completed_on)
       SELECT name, 'failed', '{"message": "out of paper"}', now() FROM jobs.queue
       WHERE name = 'audit.retention'`,
    );
    // The clock of the queue itself.
    await app.sql(`INSERT INTO jobs.job (name, state, completed_on)
      SELECT name, 'completed', now() FROM jobs.queue WHERE name = '__pgboss__send-it'`);
    expect(await app.sql(`SELECT FROM jobs.job WHERE name = '__pgboss__send-it'`)).not.toEqual([]);
    const { data } = await json<{ data: { queue: string; dead: number }[] }>('queues', 'list');
    expect(data.map(({ queue }) => queue)).toContain('audit.retention');
    expect(data.filter(({ queue }) => queue.includes('pgboss'))).toEqual([]);
    expect(data.reduce((sum, { dead }) => sum + dead, 0)).toBe(1);
    expect(await json('queues', 'failed')).toMatchObject({ data: [{ reason: 'out of paper' }] });
  });
});

describe('After a restore', () => {
  it('clients whose cursors are of before are told to fetch anew, and do not miss what has the same number now', async () => {
    const ada = await registerUser(app);
    const [backup] = await app.sql<{ head: string }>('SELECT head FROM streams WHERE id = $1', [
      ada.workspaceId,
    ]);
    const room = `workspaces/${ada.workspaceId}`;
    const { cursor } = await (await connect(app, { token: ada.token })).join(room);
    const lost = await ada.http.post('/v1/items', { title: 'Lost', type: 'task', data: {} });
    const last = String(lost.headers.get('stream-cursor'));
    // What the backup does not have.
    await app.sql('DELETE FROM items WHERE workspace_id = $1', [ada.workspaceId]);
    await app.sql('DELETE FROM events WHERE stream_id = $1 AND seq > $2', [ada.workspaceId, backup.head]);
    await app.sql('UPDATE streams SET head = $2 WHERE id = $1', [ada.workspaceId, backup.head]);

    expect(await run(['restored'])).toMatchObject({ code: 0, stderr: '' });
    const restored = await app.startSecondInstance();
    await http(restored, ada.token).post('/v1/items', { title: 'Another', type: 'task', data: {} });
    const socket = await connect(restored, { token: ada.token });
    for (const after of [cursor, last]) {
      expect(await socket.join(room, after)).toMatchObject({ recovered: false, reason: 'epoch_changed' });
    }
    const entries = await app.sql(`SELECT 1 FROM audit_entries WHERE action = 'database.restored'`);
    expect(entries).toHaveLength(1);
  });
});

describe('The program', () => {
  it('reads the environment and ends with the code of its command', async () => {
    const child = spawn(
      process.execPath,
      ['--no-warnings', compiledPath(join(root, 'src/cli/cli.ts')), 'users', 'show', 'x'],
      {
        cwd: root,
        env: { ...process.env, DATABASE_URL: app.databaseUrl },
      },
    );
    let said = '';
    child.stderr.on('data', (data) => (said += String(data)));
    const [code] = (await once(child, 'close')) as [number];
    expect([code, said]).toEqual([1, expect.stringContaining('There is no user x.')]);
  });
});

describe('A call that is not known', () => {
  it.each([
    [['bogus'], 'unknown command'],
    [['users', 'list', '--limit', '0'], 'Give a whole number from 1 to 1000.'],
    [['users', 'list', '--after', 'x'], 'Give a UUID.'],
    [['users', 'show'], "missing required argument 'user'"],
    [['tokens', 'revoke'], 'name one of --user, --session and --agent'],
    [['tokens', 'revoke', '--user', 'a', '--agent', 'b'], 'name one of --user, --session and --agent'],
  ])('%j ends with 2 and says why', async (args, reason) => {
    const { code, stderr } = await run(args);
    expect(code).toBe(2);
    expect(stderr).toContain(reason);
  });

  it.each([
    [['bogus', '--json'], "unknown command 'bogus'"],
    [['--json', 'user', 'list'], "unknown command 'user' (Did you mean users?)"],
    [['users', 'list', '--limit', '0', '--json'], 'Give a whole number from 1 to 1000.'],
    [['--json', 'users', 'show'], "missing required argument 'user'"],
    [['users', 'list', '--bogus', '--json'], "unknown option '--bogus'"],
    [['tokens', 'revoke', '--json'], 'name one of --user, --session and --agent'],
    [['--json'], 'The call names no command: --help lists them.'],
    [['users', '--json'], 'The call names no command: --help lists them.'],
  ])('%j says so to machines, in one document, and nothing else', async (args, reason) => {
    const { code, stdout, stderr } = await run(args);
    expect([code, stdout]).toEqual([2, '']);
    expect(JSON.parse(stderr)).toEqual({ error: expect.stringContaining(reason) });
    expect(stderr).not.toContain('Usage');
  });
});
