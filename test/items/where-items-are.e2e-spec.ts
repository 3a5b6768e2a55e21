import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { PipelinedStatements, type Statement } from '../../src/database/pipelined-statements.js';
import { ItemHomes } from '../../src/items/item-homes.js';
import type { TestApp } from '../support/app.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';

let app: TestApp;
let homes: ItemHomes;
let ada: Person;
let bob: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  homes = app.nest.get(ItemHomes);
  [ada, bob] = await Promise.all([registerUser(app), registerUser(app)]);
});
afterEach(closeSockets);
afterEach(() => void jest.restoreAllMocks());
afterAll(() => app.stop());

/** Names of the statements that are run from here on, while the test lasts. */
function noted(): string[] {
  const names: string[] = [];
  const statements = app.nest.get(PipelinedStatements);
  const run = statements.run.bind(statements);
  jest.spyOn(statements, 'run').mockImplementation((statement: Statement, values) => {
    if (statement.name.startsWith('items.')) names.push(statement.name);
    return run(statement, values);
  });
  return names;
}

/** As a process that has just started. */
function forgetting(): void {
  const known = new Map<string, string>();
  jest.spyOn(homes, 'of').mockImplementation((id) => known.get(id));
  jest.spyOn(homes, 'remember').mockImplementation((id, workspaceId) => void known.set(id, workspaceId));
}

const jsonPatch = { headers: { 'Content-Type': 'application/json-patch+json' } };
const add = [{ op: 'add', path: '/data/n', value: 1 }];

/** Everything that names an item by its id: statuses, and what a join is answered. */
async function tried(person: Person, id: string): Promise<unknown[]> {
  const path = `/v1/items/${id}`;
  const socket = await connectAndJoin(app, person.token, `workspaces/${person.workspaceId}`);
  const joined = await socket.send('join', { room: `items/${id}` });
  return [
    (await person.http.call('GET', path)).status,
    (await person.http.call('PATCH', path, { json: { title: 'Changed' } })).status,
    (await person.http.call('PATCH', path, { json: add, ...jsonPatch })).status,
    (await person.http.call('DELETE', path)).status,
    joined.event,
  ];
}

describe('Where an item is', () => {
  it('is learnt from the first answer about it, in one statement, and asked there from then on', async () => {
    const item = await createItem(ada);
    forgetting();
    const names = noted();
    for (let time = 1; time <= 2; time++) await ada.http.get(`/v1/items/${item.id}`);
    await ada.http.patch(`/v1/items/${item.id}`, { title: 'Changed' });
    expect(names).toEqual(['items.read', 'items.read_at_home', 'items.update_at_home']);
  });

  it('is known of what is created here, and learnt from a change, too', async () => {
    const names = noted();
    const created = await createItem(ada);
    await ada.http.get(`/v1/items/${created.id}`);
    const other = await createItem(ada);
    forgetting();
    await ada.http.patch(`/v1/items/${other.id}`, { title: 'Changed' });
    await ada.http.delete(`/v1/items/${other.id}`);
    expect(names.filter((name) => name !== 'items.create')).toEqual([
      'items.read_at_home',
      'items.update',
      'items.delete_at_home',
    ]);
  });

  it('is still so when the item was in the trash', async () => {
    const { id } = await createItem(ada);
    await ada.http.delete(`/v1/items/${id}`);
    expect((await ada.http.call('GET', `/v1/items/${id}`)).status).toBe(404);
    await ada.http.post(`/v1/items/${id}/restore`);
    const names = noted();
    expect((await ada.http.get<ItemAnswer>(`/v1/items/${id}`)).body.workspaceId).toBe(ada.workspaceId);
    expect(names).toEqual(['items.read_at_home']);
  });

  it('gives nobody a right: with a wrong one there is nothing, for those who may and for those who may not', async () => {
    const item = await createItem(ada);
    const nothing = [404, 404, 404, 404, 'error'];
    jest.spyOn(homes, 'of').mockReturnValue(bob.workspaceId);
    expect([await tried(ada, item.id), await tried(bob, item.id)]).toEqual([nothing, nothing]);
    jest.restoreAllMocks();
    expect(await tried(bob, item.id)).toEqual(nothing);
    expect((await ada.http.get(`/v1/items/${item.id}`)).body).toEqual(item);
    expect(await tried(ada, item.id)).toEqual([200, 200, 200, 204, 'joined']);
  });

  it('never changes: no statement moves an item to another workspace', () => {
    const src = resolve(import.meta.dirname, '../../src');
    const texts = readdirSync(src, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts'))
      .map((file) => readFileSync(join(src, file), 'utf8'));
    const changes = texts.flatMap((text) => [
      ...text.matchAll(
        /\bUPDATE\s+(?:items|trashed_items)\b[\s\S]*?\bSET\b([\s\S]*?)(?:\bFROM\b|\bWHERE\b)/g,
      ),
    ]);
    expect(changes.length).toBeGreaterThan(3);
    expect(changes.map(([, set]) => set).filter((set) => /\bworkspace_id\s*=/.test(set ?? ''))).toEqual([]);
    expect(texts.filter((text) => /\.(update|save|upsert)\((Item|TrashedItem)\b/.test(text))).toEqual([]);
  });
});
