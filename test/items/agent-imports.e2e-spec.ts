import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Jobs } from '../../src/jobs/jobs.js';
import { clientCredentials, lacksScope, type RunningAgent, startAgent } from '../support/agents.js';
import type { TestApp } from '../support/app.js';
import { http, type HttpClient, type ProblemAnswer } from '../support/http.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect } from '../support/sockets.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

interface ImportAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly state: string;
  readonly failure: string | null;
  readonly created: number;
  readonly refused: number;
  readonly receivedBytes: number;
  readonly createdBy: string;
}

let app: TestApp;
let owner: Person;
let workspaceId: string;
let [writer, tasker, reader]: RunningAgent[] = [];
beforeAll(async () => {
  app = await sharedAtrium();
  owner = await registerUser(app);
  ({ id: workspaceId } = await createWorkspace(owner));
  const start = (...scopes: string[]) => startAgent(app, owner, scopes, { workspaceId });
  writer = await start('items:read', 'items:write');
  tasker = await start('items:read', 'items:write:type=task', 'items:write:type=bug%20report');
  reader = await start('items:read');
});
afterAll(async () => {
  await closeSockets();
  await app.stop();
});

const NDJSON = { 'Content-Type': 'application/x-ndjson' };
const lines = (...types: string[]) =>
  types.map((type) => `${JSON.stringify({ title: `A ${type}`, type, data: { n: 1 } })}\n`).join('');
const send = (client: HttpClient, raw: string, query = '', headers: Record<string, string> = NDJSON) =>
  client.call<ImportAnswer & ProblemAnswer>('POST', `/v1/items/import${query}`, { raw, headers });
const part = (client: HttpClient, { id, receivedBytes }: ImportAnswer, raw: string) =>
  client.call<ImportAnswer & ProblemAnswer>('PATCH', `/v1/items/imports/${id}`, {
    raw,
    headers: {
      'Content-Type': 'application/partial-upload',
      'Upload-Offset': String(receivedBytes),
      'Upload-Complete': '?1',
    },
  });
const ended = (id: string, client = owner.http) =>
  until('the import has ended', async () => {
    const { body } = await client.get<ImportAnswer>(`/v1/items/imports/${id}`);
    return ['done', 'failed', 'cancelled'].includes(body.state) && body;
  });
const refusals = async (id: string) =>
  (await reader.http.get<PageAnswer<{ line: number }>>(`/v1/items/imports/${id}/refusals`)).body.data;
const exported = async (client: HttpClient, query = '') =>
  (await client.get(`/v1/items/export${query}`)).text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as ItemAnswer);
const audited = async (action: string) =>
  (await owner.http.get<PageAnswer<AuditAnswer>>(`/v1/workspaces/${workspaceId}/audit`)).body.data.filter(
    (entry) => entry.action === action,
  );
interface AuditAnswer {
  readonly action: string;
  readonly principalId: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

describe('An import by an agent', () => {
  it('goes into its own workspace, in its own name: in items, events, history and audit', async () => {
    const socket = await connect(app, { token: reader.token });
    const first = await send(writer.http, lines('any'), '', { ...NDJSON, 'Upload-Complete': '?0' });
    expect([first.status, first.body.workspaceId]).toEqual([201, workspaceId]);
    const room = `imports/${first.body.id}`;
    expect((await socket.send('join', { room })).event).toBe('joined');
    const head = await writer.http.call('HEAD', `/v1/items/imports/${first.body.id}`);
    expect(head.headers.get('upload-offset')).toBe(String(first.body.receivedBytes));
    expect((await part(writer.http, first.body, lines('other'))).status).toBe(202);
    expect(await ended(first.body.id, writer.http)).toMatchObject({
      state: 'done',
      created: 2,
      createdBy: writer.agent.id,
    });
    const told = await until('its end is told', () => {
      const events = socket.events(room).map(({ event }) => event);
      return events.some(({ type }) => type === 'import.finished') && events;
    });
    expect(new Set(told.map(({ principal }) => principal))).toEqual(new Set([writer.agent.id]));
    const [item] = await exported(owner.http, `?workspaceId=${workspaceId}&filter[type]=other`);
    expect([item.createdBy, item.updatedBy]).toEqual([writer.agent.id, writer.agent.id]);
    const history = await owner.http.get<PageAnswer<{ by: string }>>(`/v1/items/${item.id}/history`);
    expect(history.body.data.map(({ by }) => by)).toEqual([writer.agent.id]);
    const [event] = await app.sql<{ principal_id: string }>(
      `SELECT principal_id FROM events WHERE subject = $1`,
      [`items/${item.id}`],
    );
    expect(event.principal_id).toBe(writer.agent.id);
    const [entry] = await audited('items.import-started');
    expect(entry).toMatchObject({
      principalId: writer.agent.id,
      detail: { importId: first.body.id, format: 'ndjson', dryRun: false },
    });
  });

  it('makes items of the types of its scopes, and refuses every other line by its number', async () => {
    const { body, status } = await send(tasker.http, lines('task', 'note', 'bug report', 'note'));
    expect(status).toBe(202);
    expect(await ended(body.id)).toMatchObject({ state: 'done', created: 2, refused: 2 });
    const errors = [{ pointer: '/type', detail: 'is a type that the agent may not write' }];
    expect(await refusals(body.id)).toEqual([
      { line: 2, errors },
      { line: 4, errors },
    ]);
    const made = await exported(
      owner.http,
      `?workspaceId=${workspaceId}&filter[createdBy]=${tasker.agent.id}`,
    );
    expect(made.map(({ type }) => type).toSorted()).toEqual(['bug report', 'task']);
  });

  it('is told the same by a dry run, which writes nothing', async () => {
    const dry = await send(tasker.http, lines('task', 'note'), '?dryRun=true');
    expect(await ended(dry.body.id)).toMatchObject({ state: 'done', created: 0, refused: 1 });
    expect((await refusals(dry.body.id)).map(({ line }) => line)).toEqual([2]);
  });

  it('wants items:write, of another workspace gives nothing away, and is not taken over with less', async () => {
    expect(lacksScope(await send(reader.http, lines('task')))).toBe(true);
    expect((await send(writer.http, lines('task'), `?workspaceId=${owner.workspaceId}`)).status).toBe(404);
    const theirs = await send(owner.http, lines('task'), `?workspaceId=${workspaceId}`, {
      ...NDJSON,
      'Upload-Complete': '?0',
    });
    expect(lacksScope(await tasker.http.delete(`/v1/items/imports/${theirs.body.id}`))).toBe(true);
    expect((await part(writer.http, theirs.body, lines('task'))).status).toBe(404);
    expect((await writer.http.delete(`/v1/items/imports/${theirs.body.id}`)).status).toBe(204);
  });

  it('by a token with one type goes on what was begun with it, and nothing that was begun with more', async () => {
    const begun = await send(writer.http, '', '?format=ndjson', { 'Upload-Complete': '?0' });
    const narrow = await narrowed(writer.agent);
    expect(lacksScope(await part(narrow, begun.body, lines('note')))).toBe(true);
    expect((await writer.http.delete(`/v1/items/imports/${begun.body.id}`)).status).toBe(204);
    const own = await send(narrow, lines('task', 'note'));
    expect(await ended(own.body.id)).toMatchObject({ state: 'done', created: 1, refused: 1 });
  });

  it('goes no further than what the agent may do by then', async () => {
    const paused = async (change: (id: string) => Promise<unknown>) => {
      const agent = await startAgent(app, owner, ['items:read', 'items:write'], { workspaceId });
      const { body } = await send(agent.http, lines('task', 'note'), '', {
        ...NDJSON,
        'Upload-Complete': '?0',
      });
      await change(agent.agent.id);
      await app.sql(`UPDATE item_imports SET state = 'queued' WHERE id = $1`, [body.id]);
      const data = { importId: body.id };
      await app.nest.get(Jobs, { strict: false }).enqueue('items.import', data, { key: body.id });
      return ended(body.id);
    };
    const scopes =
      (...list: string[]) =>
      (id: string) =>
        owner.http.patch(`/v1/agents/${id}`, { scopes: list });
    expect(await paused(scopes('items:read', 'items:write:type=note'))).toMatchObject({
      state: 'done',
      created: 1,
      refused: 1,
    });
    const forbidden = { state: 'failed', failure: 'forbidden', created: 0 };
    expect(await paused(scopes('items:read'))).toMatchObject(forbidden);
    expect(await paused((id) => owner.http.post(`/v1/agents/${id}/disable`))).toMatchObject(forbidden);
    expect(await paused((id) => owner.http.delete(`/v1/agents/${id}`))).toMatchObject(forbidden);
  });
});

/** The same agent, by a token for one type. */
async function narrowed(agent: RunningAgent['agent']): Promise<HttpClient> {
  const { body } = await clientCredentials(app, agent, { scope: 'items:read items:write:type=task' });
  return http(app, body.access_token);
}

describe('An export by an agent', () => {
  it('has the items of its own workspace, wants items:read, and is in the audit trail', async () => {
    const mine = await createItem(owner, { workspaceId, type: 'exported' });
    await createItem(owner, { type: 'exported' });
    const items = await exported(reader.http, '?filter[type]=exported');
    expect(items.map(({ id }) => id)).toEqual([mine.id]);
    const csv = await reader.http.get('/v1/items/export?format=csv&filter[type]=exported&fields=id');
    expect(csv.text.split(/\r?\n/)).toEqual(['id', mine.id, '']);
    const [entry] = await audited('items.exported');
    expect(entry).toMatchObject({ principalId: reader.agent.id, detail: { format: 'csv' } });
    const blind = await startAgent(app, owner, ['items:write'], { workspaceId });
    expect(lacksScope(await blind.http.get('/v1/items/export'))).toBe(true);
  });
});
