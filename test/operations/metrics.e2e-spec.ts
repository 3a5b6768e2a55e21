import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ManagementServer } from '../../src/observability/management/management-server.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Family, parseExposition } from '../support/exposition.js';
import { http } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
let management: { url: string };
beforeAll(async () => {
  app = await startAtrium({ MANAGEMENT_PORT: '0' });
  management = { url: `http://127.0.0.1:${app.nest.get(ManagementServer).port}` };
  ada = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const families = async (): Promise<Map<string, Family>> =>
  parseExposition((await http(management).get('/metrics')).text);

/** What is counted, by name and labels: `atrium_jobs{queue="x",state="y"}`. */
const scrape = async (): Promise<Map<string, number>> =>
  new Map([...(await families()).values()].flatMap(({ samples }) => [...samples]));

const requests = (method: string, route: string, status: string): string =>
  `atrium_http_request_duration_seconds_count{method="${method}",route="${route}",status="${status}"}`;

/** Waits until a series has grown by so much since `before`, since an end is counted after its answer. */
const grown = (before: Map<string, number>, series: string, by: number): Promise<Map<string, number>> =>
  until(`${series} grows by ${by}`, async () => {
    const now = await scrape();
    return (now.get(series) ?? 0) - (before.get(series) ?? 0) >= by && now;
  });

describe('The management port', () => {
  it('is where metrics are; the public port knows nothing of them', async () => {
    const answer = await http(management).get('/metrics');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toMatch(/^text\/plain; version=/);
    for (const path of ['/metrics', '/log-levels'])
      expect((await http(app, ada.token).get(path)).status).toBe(404);
    expect((await http(management).get('/v1/items')).status).toBe(404);
  });

  it('is not there unless it is asked for, and then only for this machine unless told otherwise', async () => {
    const without = await app.startSecondInstance({ MANAGEMENT_PORT: '' });
    expect(without.nest.get(ManagementServer).port).toBeUndefined();
  });

  it('changes how much is logged, of all and by module, while it runs', async () => {
    const settings = { default: 'fatal', modules: { Jobs: 'debug', Request: 'log' } };
    const before = (await http(management).get<object>('/log-levels')).body;
    const answer = await http(management).call<object>('PUT', '/log-levels', { json: settings });
    expect([answer.status, answer.body]).toEqual([200, settings]);
    expect((await http(management).get<object>('/log-levels')).body).toEqual(settings);
    await http(management).call('PUT', '/log-levels', { json: before });
  });

  it.each([
    { default: 'loud' },
    { modules: {} },
    { default: 'log', modules: { 'a b': 'log' } },
    { default: 'log', modules: { Jobs: 'verbose' } },
    { default: 'log', modules: ['Jobs'] },
    // Else a slip of the pen would take back what was set.
    { default: 'log', module: { Jobs: 'debug' } },
    [],
    'log',
  ])('refuses %j for that', async (json) => {
    expect((await http(management).call('PUT', '/log-levels', { json })).status).toBe(400);
  });

  it('takes no change that the page of another site could send', async () => {
    const answer = await http(management).call('PUT', '/log-levels', {
      raw: '{"default":"debug"}',
      headers: { 'Content-Type': 'text/plain' },
    });
    expect(answer.status).toBe(415);
  });
});

describe('Requests', () => {
  it('are counted and timed by method, pattern of the route and class of status', async () => {
    const before = await scrape();
    const { id } = await createItem(ada);
    for (let n = 0; n < 3; n++) await ada.http.get(`/v1/items/${id}`);
    await ada.http.get('/v1/items/019a0000-0000-7000-8000-000000000000');
    const series = requests('GET', '/v1/items/:id', '2xx');
    const now = await grown(before, series, 3);
    const missing = requests('GET', '/v1/items/:id', '4xx');
    expect(now.get(series)).toBe((before.get(series) ?? 0) + 3);
    expect(now.get(missing)).toBe((before.get(missing) ?? 0) + 1);
  });

  it('that are answered before their route was looked for are its own all the same', async () => {
    const before = await scrape();
    const json = { headers: { 'Content-Type': 'application/json' } };
    await ada.http.call('POST', '/v1/items', { raw: '{', ...json });
    await ada.http.call('POST', '/v1/items', { raw: ' '.repeat(2_000_000), ...json });
    await grown(before, requests('POST', '/v1/items', '4xx'), 2);
  });

  it('of addresses and methods that clients make up share one label', async () => {
    const before = await scrape();
    for (let n = 0; n < 10; n++) await http(app).get(`/v1/made-up-${n}/${n}`);
    for (const method of ['PROPFIND', 'LOCK', 'M-SEARCH']) await http(app).call(method, '/v1/made-up');
    const series = requests('GET', 'none', '4xx');
    const now = await grown(before, series, 10);
    const labels = [...now.keys()].filter((name) =>
      name.startsWith('atrium_http_request_duration_seconds_count'),
    );
    expect(labels.filter((name) => /made-up|PROPFIND|LOCK|SEARCH/.test(name))).toEqual([]);
    const routes = new Set(labels.map((name) => /route="([^"]*)"/.exec(name)?.[1]));
    for (const route of routes) expect(route).toMatch(/^(none|\/[\w/:.{}*-]*)$/);
    // No series names a record, a person or an address.
    expect([...now.keys()].filter((name) => /[0-9a-f]{8}-[0-9a-f]{4}|@/.test(name))).toEqual([]);
  });
});

describe('Live delivery', () => {
  it('is counted: sockets, rooms, deliveries, the time from write to delivery, writes per statement, ends', async () => {
    const before = await scrape();
    const room = `workspaces/${ada.workspaceId}`;
    const sockets = [await connectAndJoin(app, ada.token, room), await connectAndJoin(app, ada.token, room)];
    await createItem(ada);
    for (const socket of sockets) await socket.received(room, 1);
    const open = await scrape();
    expect(open.get('atrium_sockets_open')).toBe(2);
    expect(open.get('atrium_rooms_open')).toBe(1);
    expect(open.get('atrium_streams_followed')).toBe(1);
    const growth = (now: Map<string, number>, name: string) => (now.get(name) ?? 0) - (before.get(name) ?? 0);
    expect(growth(open, 'atrium_deliveries_total')).toBe(2);
    expect(growth(open, 'atrium_stream_lag_seconds_count')).toBe(1);
    expect(growth(open, 'atrium_write_batch_size_count{statement="items.create"}')).toBe(1);

    await sockets[0]?.close();
    sockets[1]?.socket.close(4999);
    await sockets[1]?.closed;
    const closed = await grown(before, 'atrium_socket_closes_total{code="other"}', 1);
    expect(growth(closed, 'atrium_socket_closes_total{code="1000"}')).toBe(1);
    expect(closed.get('atrium_sockets_open')).toBe(0);
    await connect(app, { path: '/ws/nowhere' }).catch(() => undefined);
    await grown(before, 'atrium_handshakes_refused_total{status="404"}', 1);
  });
});

describe('Queues and pools', () => {
  it('tell how much waits, read once however often they are asked for', async () => {
    const now = await scrape();
    for (const state of ['ready', 'leased', 'dead'])
      expect(now.get(`atrium_leases{state="${state}"}`)).toBe(0);
    expect(now.get('atrium_jobs{queue="jobs.given-up",state="failed"}')).toBe(0);
    // From zero on: the first that is given up is an increase, and an alert.
    expect(now.get('atrium_jobs_given_up_total{queue="items.import"}')).toBe(0);
    expect(now.get('atrium_database_pool_connections{pool="transactions",state="waiting"}')).toBe(0);
    expect(now.get('atrium_database_up')).toBe(1);
    expect(now.get('atrium_database_statements_waiting')).toBeGreaterThanOrEqual(0);
  });
});

describe('deploy/', () => {
  const read = (file: string) => readFileSync(resolve(import.meta.dirname, '../../deploy', file), 'utf8');
  const named = (text: string) => new Set(text.match(/\b(?:atrium|nodejs|process)_[a-z0-9_]+/g));

  it.each(['grafana/atrium.json', 'prometheus/alerts.yaml'])('%s names series that exist', async (file) => {
    const exist = new Set(
      [...(await families())].flatMap(([name, { type }]) =>
        type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
      ),
    );
    const names = named(read(file));
    expect(names.size).toBeGreaterThan(10);
    expect([...names].filter((name) => !exist.has(name))).toEqual([]);
  });

  it('has an alert for nothing that the runbook does not explain, and the runbook explains no other', () => {
    const alerts = [...read('prometheus/alerts.yaml').matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
    const runbook = readFileSync(resolve(import.meta.dirname, '../../docs/operations.md'), 'utf8');
    const explained = [...runbook.matchAll(/^### (Atrium\w+)$/gm)].map(([, name]) => name);
    expect(alerts.length).toBeGreaterThan(10);
    expect(explained.toSorted()).toEqual(alerts.toSorted());
  });
});
