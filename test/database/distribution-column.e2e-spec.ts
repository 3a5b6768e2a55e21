import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BoundedReads } from '../../src/database/bounded-reads.js';
import { PipelinedStatements, type Statement } from '../../src/database/pipelined-statements.js';
import { ItemHomes } from '../../src/items/item-homes.js';
import { COUNT_ONLINE, LOSE_AGENTS } from '../../src/leases/heartbeats.sql.js';
import { END_LEASES } from '../../src/leases/lease-changes.sql.js';
import { CLAIM_LEASES } from '../../src/leases/lease-claim.sql.js';
import { startAgent } from '../support/agents.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { claim, lease, type LeaseAnswer } from '../support/leases.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { undistributed } from './distribution.js';

/** Where a table of a workspace has the workspace's id. */
const COLUMNS = {
  agent_enrolment_tokens: 'workspace_id',
  agent_presences: 'workspace_id',
  agents: 'workspace_id',
  events: 'stream_id',
  invitations: 'workspace_id',
  item_imports: 'workspace_id',
  item_versions: 'workspace_id',
  items: 'workspace_id',
  lease_states: 'workspace_id',
  lease_types: 'workspace_id',
  memberships: 'workspace_id',
  purged_items: 'workspace_id',
  room_members: 'workspace_id',
  rooms: 'workspace_id',
  streams: 'id',
  trashed_items: 'workspace_id',
};
/** Tables that every node has, though some of their rows are about a workspace. */
const EVERYWHERE = ['audit_entries'];
/** Asked now and then, of everybody at once. */
const BACKGROUND = [COUNT_ONLINE, LOSE_AGENTS];

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterEach(() => void jest.restoreAllMocks());
afterAll(() => app.stop());

/** By name. */
type Statements = Map<string, Statement>;

/** Notes all that is asked from here on, while the test lasts. */
function noted(): Statements {
  const found: Statements = new Map();
  const statements = app.nest.get(PipelinedStatements);
  const run = statements.run.bind(statements);
  jest.spyOn(statements, 'run').mockImplementation((statement: Statement, values) => {
    found.set(statement.name, statement);
    return run(statement, values);
  });
  const reads = app.nest.get(BoundedReads);
  const read = reads.run.bind(reads);
  jest.spyOn(reads, 'run').mockImplementation((text: string, values) => {
    found.set('items.search', { name: 'items.search', text });
    return read(text, values);
  });
  return found;
}

async function workOn(id: string): Promise<void> {
  await ada.http.patch(`/v1/items/${id}`, { data: { done: false } });
  await ada.http.patch(`/v1/items/${id}`, [{ op: 'add', path: '/data/n', value: 1 }], {
    headers: { 'Content-Type': 'application/json-patch+json' },
  });
  await ada.http.get(`/v1/items/${id}`);
}

/** Does what is done all the time. @returns the statements that it took */
async function hotStatements(): Promise<Statements> {
  const agent = await startAgent(app, ada, ['items:read', 'items:write', 'leases']);
  await ada.http.call('PUT', '/v1/leases/types', { json: { type: 'job' } });
  const found = noted();
  // Of several at once; a lone one has its own.
  for (const { statement } of [CLAIM_LEASES, END_LEASES]) found.set(statement.name, statement);
  const room = `workspaces/${ada.workspaceId}`;
  const item = await createItem(ada, { type: 'job' });
  const socket = await connectAndJoin(app, ada.token, room);
  await socket.join(`items/${item.id}`);
  await workOn(item.id);
  await ada.http.get('/v1/items?limit=5');
  await ada.http.get('/v1/items?filter[type]=job&limit=5');
  await ada.http.get(`/v1/events?room=${room}`);
  await ada.http.get(`/v1/events?room=items/${item.id}`);
  await agent.http.post(`/v1/agents/${agent.agent.id}/heartbeat`, {});
  const [held] = (await claim(agent, 'job')) as [LeaseAnswer];
  await lease(agent, held, 'extend', { ttlSeconds: 60 });
  await lease(agent, held, 'complete', {});
  await ada.http.delete(`/v1/items/${item.id}`);
  return found;
}

/** The same with an item that nobody has met here. */
async function lookups(): Promise<Statements> {
  const item = await createItem(ada, { type: 'job' });
  const socket = await connectAndJoin(app, ada.token, `workspaces/${ada.workspaceId}`);
  jest.spyOn(app.nest.get(ItemHomes), 'of').mockReturnValue(undefined);
  const found = noted();
  await socket.join(`items/${item.id}`);
  await workOn(item.id);
  await ada.http.delete(`/v1/items/${item.id}`);
  jest.restoreAllMocks();
  return found;
}

/** Of docs/scaling.md: statement → tables of which it does not say the workspace. */
function admitted(): Record<string, string[]> {
  const text = readFileSync(resolve(import.meta.dirname, '../../docs/scaling.md'), 'utf8');
  const rows = [...text.matchAll(/^\| `([a-z]+\.[a-z_]+)` \| (.*?) \|/gm)];
  return Object.fromEntries(
    rows.map(([, name = '', tables = '']) => [
      name,
      [...tables.matchAll(/`(\w+)`/g)].map(([, table]) => table ?? ''),
    ]),
  );
}

/** Of statements: the tables of which they do not say the workspace, if there are any. */
async function unlocated(statements: Iterable<Statement>): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const { name, text } of statements) {
    const tables = await undistributed(text, COLUMNS);
    if (tables.length > 0) found[name] = tables;
  }
  return found;
}

describe('Every hot statement', () => {
  it('says of every table of a workspace which workspace it means', async () => {
    const statements = await hotStatements();
    expect([...statements.keys()]).toEqual(
      expect.arrayContaining([
        'items.create',
        'items.update_at_home',
        'items.delete_at_home',
        'items.read_at_home',
        'items.read_to_write_at_home',
        'items.list',
        'items.search',
        'items.room_role_at_home',
        'workspaces.role',
        'events.read_stream',
        'events.read_room',
        'leases.claim',
        'leases.claim_alone',
        'leases.extend',
        'leases.end',
        'leases.end_alone',
        'leases.heartbeats',
        'presences.names',
        'presences.read',
      ]),
    );
    const hot = [...statements.values()].filter(({ name }) => !BACKGROUND.some((one) => one.name === name));
    expect(Object.keys(await unlocated(hot))).toEqual([]);
  });

  it('is what docs/scaling.md says, as are those that look for an item, or ask of everybody', async () => {
    const statements = new Map([...(await lookups()), ...BACKGROUND.map((one) => [one.name, one] as const)]);
    expect(await unlocated(statements.values())).toEqual(admitted());
  });

  it('has a column for each table of a workspace', async () => {
    const tables = await app.sql<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.columns
       WHERE table_schema = 'public' AND column_name = 'workspace_id' ORDER BY 1`,
    );
    const { events: _, streams: __, ...columns } = COLUMNS;
    expect(tables.map(({ name }) => name).filter((name) => !EVERYWHERE.includes(name))).toEqual(
      Object.keys(columns).toSorted(),
    );
  });

  it.each<[tables: string, sql: string]>([
    [
      '',
      'SELECT 1 FROM items i JOIN memberships m ON m.workspace_id = i.workspace_id WHERE i.workspace_id = $1',
    ],
    ['', 'SELECT 1 FROM items WHERE workspace_id = ANY ($1)'],
    ['', 'WITH x AS (SELECT 1 FROM items WHERE (workspace_id, id) = ($1, $2)) SELECT * FROM x'],
    ['', 'INSERT INTO items (id, workspace_id) SELECT id, $1 FROM input'],
    ['', 'SELECT 1 FROM input t JOIN items i ON i.workspace_id = t.workspace_id'],
    ['items', 'SELECT 1 FROM items WHERE id = $1'],
    [
      'items,memberships',
      'SELECT 1 FROM items i JOIN memberships m ON m.workspace_id = i.workspace_id WHERE i.id = $1',
    ],
    ['items', 'SELECT 1 FROM items WHERE id = $1 OR workspace_id = $2'],
    ['items', 'SELECT 1 FROM memberships m, items i WHERE m.workspace_id = $1'],
    ['items', 'SELECT 1 FROM users WHERE EXISTS (SELECT FROM items i WHERE i.created_by = users.id)'],
    ['items', 'UPDATE items i SET title = $1 FROM input t WHERE i.id = t.id'],
    ['items', 'WITH gone AS (DELETE FROM items WHERE id = $1 RETURNING workspace_id) SELECT * FROM gone'],
    ['items', 'SELECT 1 FROM events WHERE stream_id = $1 UNION ALL SELECT 1 FROM items WHERE id = $1'],
    ['items', 'INSERT INTO items (id) VALUES ($1)'],
  ])('is judged right: [%s] in %s', async (tables, sql) => {
    expect((await undistributed(sql, COLUMNS)).join()).toBe(tables);
  });
});
