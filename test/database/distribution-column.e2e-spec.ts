import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { BoundedReads } from '../../src/database/bounded-reads.js';
import { PipelinedStatements, type Statement } from '../../src/database/pipelined-statements.js';
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

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterEach(() => void jest.restoreAllMocks());
afterAll(() => app.stop());

/** Does what is done all the time. @returns the statements that it took, by name */
async function hotStatements(): Promise<Map<string, string>> {
  // Of several at once; a lone one has its own.
  const found = new Map([CLAIM_LEASES, END_LEASES].map(({ statement }) => [statement.name, statement.text]));
  const agent = await startAgent(app, ada, ['items:read', 'items:write', 'leases']);
  await ada.http.call('PUT', '/v1/leases/types', { json: { type: 'job' } });
  const statements = app.nest.get(PipelinedStatements);
  const run = statements.run.bind(statements);
  jest.spyOn(statements, 'run').mockImplementation((statement: Statement, values) => {
    found.set(statement.name, statement.text);
    return run(statement, values);
  });
  const reads = app.nest.get(BoundedReads);
  const read = reads.run.bind(reads);
  jest.spyOn(reads, 'run').mockImplementation((text: string, values) => {
    found.set('items.search', text);
    return read(text, values);
  });
  const room = `workspaces/${ada.workspaceId}`;
  const item = await createItem(ada, { type: 'job' });
  const socket = await connectAndJoin(app, ada.token, room);
  await socket.join(`items/${item.id}`);
  await ada.http.patch(`/v1/items/${item.id}`, { data: { done: false } });
  await ada.http.patch(`/v1/items/${item.id}`, [{ op: 'add', path: '/data/n', value: 1 }], {
    headers: { 'Content-Type': 'application/json-patch+json' },
  });
  await ada.http.get(`/v1/items/${item.id}`);
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

/** Of docs/scaling.md: statement → tables that it finds by the id of a record alone. */
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

describe('Every hot statement', () => {
  it('says of every table of a workspace which workspace it means, but for those that docs/scaling.md admits', async () => {
    const statements = await hotStatements();
    expect([...statements.keys()]).toEqual(
      expect.arrayContaining([
        'items.create',
        'items.update',
        'items.delete',
        'items.read',
        'items.read_to_write',
        'items.list',
        'items.search',
        'items.room_role',
        'workspaces.role',
        'events.read_stream',
        'events.read_room',
        'leases.claim',
        'leases.claim_alone',
        'leases.extend',
        'leases.end',
        'leases.end_alone',
        'leases.heartbeats',
      ]),
    );
    const without: Record<string, string[]> = {};
    for (const [name, text] of statements) {
      const tables = await undistributed(text, COLUMNS);
      if (tables.length > 0) without[name] = tables;
    }
    expect(without).toEqual(admitted());
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
