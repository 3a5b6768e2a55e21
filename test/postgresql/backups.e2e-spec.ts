import { existsSync, readdirSync } from 'node:fs';
import { basename } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { runCommand } from '../../src/cli/run.js';
import { type Instance, startInstance, testVariables } from '../support/app.js';
import { ask } from '../support/database-embedded.js';
import { http } from '../support/http.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';
import { OwnServer } from './own-server.js';

let server: OwnServer;
let instance: Instance;
let ada: Person;
let room: string;
const others: Instance[] = [];

beforeAll(async () => {
  server = await OwnServer.prepare();
  await server.create('main');
  await server.makeFolder('archive');
  await server.start('main', {
    wal_level: 'replica',
    archive_mode: 'on',
    archive_command: `${server.script('archive-wal.sh')} ${server.at('archive')} "%p" "%f"`,
  });
  await ask(server.url('main', 'postgres'), 'CREATE DATABASE atrium');
  instance = await startInstance(server.url('main'));
  ada = await registerUser(instance);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterAll(async () => {
  for (const each of [...others, instance]) await each.stop();
  await server.remove();
});

/** Runs a command of `npm run atrium`. */
async function atrium(databaseUrl: string, ...args: string[]): Promise<{ code: number; said: string }> {
  let said = '';
  const code = await runCommand(args, {
    variables: { ...testVariables(databaseUrl) },
    out: (text) => (said += text),
    err: (text) => (said += text),
  });
  return { code, said };
}

/** As the runbook says: first the command, then an instance. @returns Ada's client of it */
async function serveRestored(databaseUrl: string): Promise<{ restored: Instance; client: Person['http'] }> {
  expect(await atrium(databaseUrl, 'restored')).toMatchObject({ code: 0 });
  const restored = await startInstance(databaseUrl);
  others.push(restored);
  return { restored, client: http(restored, ada.token) };
}

/** Says something, and where the stream is then. */
async function write(title: string): Promise<{ item: ItemAnswer; cursor: string }> {
  const item = await createItem(ada, { title });
  const { headers } = await ada.http.get(`/v1/items/${item.id}`);
  return { item, cursor: headers.get('stream-cursor')! };
}

/**
 * That somebody who has seen everything up to a cursor of before is told to fetch anew, by socket and by request, although
 * the stream has come to that number again; and goes on from there without missing anything.
 */
async function expectResync(restored: Instance, client: Person['http'], cursor: string): Promise<void> {
  const number = Number(cursor.split('-')[1]);
  for (let seq = 0; seq < number;) {
    const { status, headers } = await client.post('/v1/items', { title: 'Anew', type: 'task', data: {} });
    expect(status).toBe(201);
    seq = Number(headers.get('stream-cursor')?.split('-')[1] ?? number);
  }
  const socket = await connect(restored, { token: ada.token });
  const joined = await socket.join(room, cursor);
  expect(joined).toMatchObject({ recovered: false, reason: 'epoch_changed' });
  const missed = await client.get(`/v1/events?room=${room}&after=${cursor}`);
  expect([missed.status, missed.body.code]).toEqual([410, 'epoch_changed']);
  const { body } = await client.post<ItemAnswer>('/v1/items', { title: 'Next', type: 'task', data: {} });
  const [event] = await socket.received(room, 1);
  expect(event?.event.subject).toBe(`items/${body.id}`);
}

it('A PostgreSQL as a distribution packages it serves, and the doctor takes it', async () => {
  const { said } = await atrium(server.url('main'), '--json', 'doctor');
  const { data } = JSON.parse(said) as { data: { check: string; state: string }[] };
  expect(data).toContainEqual(expect.objectContaining({ check: 'version', state: 'ok' }));
});

describe('A dump', () => {
  it('that is restored has everything of its moment, and clients who have seen more fetch anew instead of missing it', async () => {
    const kept = await write('kept');
    const file = server.at('atrium.dump');
    await server.run('dump.sh', [file], { DATABASE_URL: server.url('main') });
    const lost = await write('lost');
    const socket = await connectAndJoin(instance, ada.token, room);
    expect(socket.events(room)).toEqual([]);

    await ask(server.url('main', 'postgres'), 'CREATE DATABASE restored');
    const url = server.url('main', 'restored');
    await server.run('restore-dump.sh', [file], { DATABASE_URL: url });
    const { restored, client } = await serveRestored(url);
    expect((await client.get<ItemAnswer>(`/v1/items/${kept.item.id}`)).body.title).toBe('kept');
    expect((await client.get(`/v1/items/${lost.item.id}`)).status).toBe(404);
    await expectResync(restored, client, lost.cursor);
    // Into what is not empty it is not restored.
    await expect(server.run('restore-dump.sh', [file], { DATABASE_URL: url })).rejects.toThrow(
      'into an empty one',
    );
  });

  it('of every night stands beside those of before, and those that are too old go, but for what is no dump', async () => {
    await server.makeFolder('nights');
    for (const name of ['atrium-20200101T000000Z.dump', 'notes.txt', 'atrium-20200102T000000Z.dump.part'])
      await server.run('/usr/bin/touch', ['-d', '2020-01-03', server.at(`nights/${name}`)]);
    const yesterday = 'atrium-20990101T000000Z.dump';
    await server.run('/usr/bin/touch', [server.at(`nights/${yesterday}`)]);
    const variables = {
      DATABASE_URL: 'postgresql://pooler.invalid/x',
      DATABASE_DIRECT_URL: server.url('main'),
    };
    const made = (await server.run('nightly.sh', [server.at('nights'), '14'], variables)).trim();
    expect(readdirSync(server.at('nights')).toSorted()).toEqual([basename(made), yesterday, 'notes.txt']);
    expect(await server.run('pg_restore', ['--list', made])).toContain('TABLE DATA public items');
    // Without a new one, none goes.
    await server.run('/usr/bin/touch', ['-d', '2020-01-03', made]);
    const gone = { DATABASE_URL: server.url('main', 'nowhere') };
    await expect(server.run('nightly.sh', [server.at('nights'), '14'], gone)).rejects.toThrow(
      'does not exist',
    );
    expect(existsSync(made)).toBe(true);
  });

  it('that fails leaves no file that would be taken for one', async () => {
    const file = server.at('half.dump');
    await expect(
      server.run('dump.sh', [file], { DATABASE_URL: server.url('main', 'nowhere') }),
    ).rejects.toThrow('does not exist');
    expect([existsSync(file), existsSync(`${file}.part`)]).toEqual([false, false]);
  });
});

describe('A base backup with the archived log', () => {
  it('leads to a moment between, and clients who have seen more fetch anew instead of missing it', async () => {
    const backup = server.at('base');
    await server.run('base-backup.sh', [backup], { REPLICATION_URL: server.url('main', 'postgres') });
    // What is missed at the end is said at the beginning.
    const bare = { REPLICATION_URL: server.url('main', 'postgres'), PATH: '/usr/bin:/bin' };
    await expect(server.run('base-backup.sh', [server.at('other')], bare)).rejects.toThrow(
      'pg_verifybackup is not on the PATH',
    );
    const kept = await write('written after the copy');
    const [{ moment }] = (await ask<{ moment: string }>(
      server.url('main'),
      'SELECT clock_timestamp()::text AS moment',
    )) as [{ moment: string }];
    const lost = await write('a mistake');
    const [{ segment }] = (await ask<{ segment: string }>(
      server.url('main'),
      'SELECT pg_walfile_name(pg_switch_wal()) AS segment',
    )) as [{ segment: string }];
    await until('the log is archived', () => existsSync(server.at(`archive/${segment}`)));

    await server.run('recover.sh', [backup, server.at('archive'), server.at('recovered'), moment]);
    await server.start('recovered');
    const { restored, client } = await serveRestored(server.url('recovered'));
    expect((await client.get<ItemAnswer>(`/v1/items/${kept.item.id}`)).body.title).toBe(
      'written after the copy',
    );
    expect((await client.get(`/v1/items/${lost.item.id}`)).status).toBe(404);
    await expectResync(restored, client, lost.cursor);
  });

  it('keeps no segment of another server under the name of its own', async () => {
    const archive = server.at('archive');
    const [one = '', other = ''] = ['one', 'other'].map((name) => server.at(name));
    await server.run('/bin/sh', ['-c', `echo 1 >${one} && echo 2 >${other}`]);
    const keep = (segment: string) => server.run('archive-wal.sh', [archive, segment, 'segment']);
    await keep(one);
    await keep(one);
    await expect(keep(other)).rejects.toThrow('with other content');
  });
});
