import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { logged, logLines } from '../support/log-lines.js';
import { OtlpReceiver, type ReceivedSpan } from '../support/otlp.js';
import { createItem, type ItemAnswer, type Person, registerUser } from '../support/people.js';
import { type AtriumProcess } from '../support/process.js';
import { closeSockets, type CloudEvent, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';
import { FAULT, hearsOthers, named, type Path, place, SECRET, startTraced } from './traced-instances.js';

let receiver: OtlpReceiver;
let database: TestDatabase;
let processes: AtriumProcess[];
let here: { url: string };
let there: { url: string };
let ada: Person;
let room: string;
beforeAll(async () => {
  [receiver, database] = [await OtlpReceiver.start(), await createTestDatabase()];
  processes = await startTraced(database, receiver);
  const urls = await Promise.all(processes.map((atrium) => atrium.url()));
  [here, there] = urls.map((url) => ({ url })) as [{ url: string }, { url: string }];
  ada = await registerUser(here);
  room = `workspaces/${ada.workspaceId}`;
  await Promise.all(processes.map(hearsOthers));
}, 180_000);
afterEach(closeSockets);
afterAll(async () => {
  await Promise.all((processes ?? []).map((atrium) => atrium.kill()));
  await receiver?.stop();
  await database?.drop();
});

describe('One trace', () => {
  it('shows a write that is remembered by its key like any other, with its transaction', async () => {
    const socket = await connectAndJoin(there, ada.token, room);
    const caller = place();
    const { status } = await ada.http.post(
      '/v1/items',
      { title: 'x', type: 'traced', data: {} },
      { headers: { traceparent: caller.traceparent, 'Idempotency-Key': randomUUID() } },
    );
    expect(status).toBe(201);
    await socket.received(room, 1);
    const wanted = ['POST /v1/items', 'write items.create', 'transaction', 'deliver'];
    const { found } = await receiver.traceWith(caller.traceId, 'its delivery', ...wanted.map(named));
    const [request, write, transaction, delivery] = found as Path;
    expect([write, transaction, delivery].map((span) => span?.parentSpanId)).toEqual([
      request.spanId,
      write.spanId,
      write.spanId,
    ]);
  });

  it('shows a write from the request to its statement and to its deliveries, at every instance', async () => {
    const sockets = [
      await connectAndJoin(here, ada.token, room),
      await connectAndJoin(there, ada.token, room),
    ];
    const caller = place();
    const { body } = await ada.http.post<ItemAnswer>(
      '/v1/items',
      { title: 'planted-title', type: 'traced', data: { planted: 'planted-data' } },
      { headers: { traceparent: caller.traceparent } },
    );
    const delivered = (span: ReceivedSpan) => span.name === 'deliver';
    const { found } = await receiver.traceWith(
      caller.traceId,
      'its deliveries',
      named('POST /v1/items'),
      named('write items.create'),
      named('items.create'),
      (span) => delivered(span) && span.resource['service.instance.id'] === instanceOf('POST /v1/items'),
      (span) => delivered(span) && span.resource['service.instance.id'] !== instanceOf('POST /v1/items'),
    );
    const [request, write, statement, ...deliveries] = found as Path;
    expect([request.parentSpanId, write.parentSpanId, statement.parentSpanId]).toEqual([
      caller.spanId,
      request.spanId,
      write.spanId,
    ]);
    expect([request.kind, write.kind, statement.kind]).toEqual([2, 1, 3]);
    for (const delivery of deliveries) {
      expect(delivery.parentSpanId).toBe(write.spanId);
      expect(delivery.attributes).toMatchObject({
        'messaging.destination.template': 'items/:id',
        'atrium.event.type': 'item.created',
        'atrium.subscribers': 1,
      });
      expect(delivery.end).toBeGreaterThanOrEqual(delivery.start);
    }
    expect(request.attributes).toMatchObject({
      'http.request.method': 'POST',
      'http.route': '/v1/items',
      'http.response.status_code': 201,
      'atrium.principal': `user:${ada.user.id}`,
    });
    expect(statement.attributes).toEqual({
      'db.system.name': 'postgresql',
      'db.query.summary': 'items.create',
    });
    expect(request.resource).toMatchObject({
      'service.name': 'the service under test',
      'deployment.environment.name': 'staging',
    });
    // The event says so, too (CloudEvents' extension for distributed tracing).
    for (const socket of sockets) {
      const events = await socket.received(room, 1);
      const event = events.at(-1)?.event as CloudEvent & { traceparent?: string };
      expect([event.subject, event.traceparent]).toEqual([
        `items/${body.id}`,
        `00-${caller.traceId}-${write.spanId}-01`,
      ]);
    }
  });

  const instanceOf = (name: string) =>
    receiver.spans.find((span) => span.name === name)?.resource['service.instance.id'];

  it('has the id that the lines of the log have', async () => {
    const requestId = randomUUID();
    await ada.http.get('/v1/me', { headers: { 'X-Request-Id': requestId } });
    const [atrium] = processes as [AtriumProcess];
    const line = await logged(atrium, 'the request', (each) => each.requestId === requestId);
    const span = await receiver.received(
      'the request',
      (each) => each.attributes['atrium.request_id'] === requestId,
    );
    expect(span.traceId).toBe(line.traceId);
    expect(span.parentSpanId).toBe('');
  });

  it('goes on where the caller says that it is (W3C), with its tracestate; a place that is none is left out', async () => {
    const { traceId, spanId, traceparent } = place('00');
    await ada.http.get('/v1/me', { headers: { traceparent, tracestate: 'vendor=1,other=2' } });
    const { found } = await receiver.traceWith(traceId, 'the request', named('GET /v1/me'));
    expect(found[0]).toMatchObject({ parentSpanId: spanId, traceState: 'vendor=1,other=2' });
    const requestId = randomUUID();
    await ada.http.get('/v1/me', {
      headers: { traceparent: `00-${'0'.repeat(32)}-${spanId}-01`, 'X-Request-Id': requestId },
    });
    const span = await receiver.received(
      'the request',
      (each) => each.attributes['atrium.request_id'] === requestId,
    );
    expect(span).toMatchObject({ parentSpanId: '', traceState: '' });
  });

  it('shows a transaction with its statements, as they are before there are values in them', async () => {
    const { traceId, traceparent } = place();
    const operations = [{ op: 'create', item: { title: 'planted-title', type: 'traced', data: {} } }];
    const { status } = await ada.http.post('/v1/items/batch', { operations }, { headers: { traceparent } });
    expect(status).toBe(200);
    const { spans, found } = await receiver.traceWith(
      traceId,
      'all',
      named('POST /v1/items/batch'),
      named('transaction'),
      named('COMMIT'),
    );
    const [, transaction, commit] = found as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
    expect(commit.parentSpanId).toBe(transaction.spanId);
    const texts = spans.map(({ attributes }) => String(attributes['db.query.text'] ?? ''));
    expect(texts.some((text) => text.includes('$1'))).toBe(true);
    for (const text of texts) expect(text.length).toBeLessThanOrEqual(512);
  });

  it('shows what failed by a mistake of ours, and of its error no more than its kind; the log has the rest', async () => {
    const { traceId, traceparent } = place();
    const item = { title: FAULT, type: 'traced', data: {} };
    const { status } = await ada.http.post('/v1/items', item, { headers: { traceparent } });
    expect(status).toBe(500);
    const { found } = await receiver.traceWith(traceId, 'it', named('POST /v1/items'), named('items.create'));
    const [request, statement] = found as [ReceivedSpan, ReceivedSpan];
    expect([request.status, request.attributes['error.type']]).toEqual([2, '500']);
    expect([statement.status, statement.attributes['error.type']]).toEqual([2, 'P0001']);
    const socket = await connectAndJoin(here, ada.token, room);
    const frame = place();
    const data = { room, type: 'note.fault', data: FAULT };
    socket.raw(JSON.stringify({ event: 'publish', data, id: 1_000, traceparent: frame.traceparent }));
    expect((await socket.reply(1_000)).event).toBe('error');
    const [atrium] = processes as [AtriumProcess];
    for (const id of [traceId, frame.traceId]) {
      const problem = await logged(atrium, 'it', (line) => line.module === 'Problem' && line.traceId === id);
      expect(problem.msg).toContain(FAULT);
    }
  });
});

describe('Writes that share a statement', () => {
  it('keep a trace each; what they share has one of its own, and links lead both ways', async () => {
    const callers = Array.from({ length: 40 }, () => place());
    await Promise.all(
      callers.map(({ traceparent }) =>
        ada.http.post('/v1/items', { title: 'x', type: 'shared', data: {} }, { headers: { traceparent } }),
      ),
    );
    const writes = await until('the writes are here', () => {
      const found = callers.map(({ traceId }) => receiver.of(traceId).find(named('write items.create')));
      return found.every((span) => span !== undefined) && found;
    });
    const shared = writes.filter(({ links }) => links.length > 0);
    expect(shared.length).toBeGreaterThan(1);
    for (const write of shared) {
      const batch = await receiver.received('the batch', ({ spanId }) => spanId === write.links[0]?.spanId);
      expect(batch).toMatchObject({ name: 'batch items.create', parentSpanId: '' });
      expect(batch.links.map(({ spanId }) => spanId)).toContain(write.spanId);
      expect(batch.attributes['db.operation.batch.size']).toBe(batch.links.length);
      const statement = await receiver.received(
        'its statement',
        ({ parentSpanId }) => parentSpanId === batch.spanId,
      );
      expect(statement.name).toBe('items.create');
    }
  });
});

describe('A job', () => {
  it('belongs to the trace of the request that put it into its queue, and so do its statements', async () => {
    const { traceId, traceparent } = place();
    const { status } = await ada.http.call('POST', '/v1/items/import', {
      raw: `${JSON.stringify({ title: 'planted-title', type: 'imported', data: {} })}\n`,
      headers: { 'Content-Type': 'application/x-ndjson', traceparent },
    });
    expect(status).toBe(202);
    const { spans, found } = await receiver.traceWith(
      traceId,
      'the job',
      named('POST /v1/items/import'),
      named('send items.import'),
      named('process items.import'),
    );
    const [, sent, processed] = found as [ReceivedSpan, ReceivedSpan, ReceivedSpan];
    expect(processed.parentSpanId).toBe(sent.spanId);
    expect(spans.some(({ parentSpanId }) => parentSpanId === processed.spanId)).toBe(true);
  });
});

describe('A socket', () => {
  it('has a trace for each frame, or continues its own; what it says is followed to the other instance', async () => {
    const heard = await connectAndJoin(there, ada.token, room);
    const socket = await connectAndJoin(here, ada.token, room);
    const { traceId, spanId, traceparent } = place();
    const data = { room, type: 'note.planted', data: 'planted-data', durable: false };
    socket.raw(JSON.stringify({ event: 'publish', data, id: 99, traceparent }));
    expect((await socket.reply(99)).event).toBe('published');
    await heard.received(room, 1);
    const { found } = await receiver.traceWith(
      traceId,
      'both deliveries',
      named('frame publish'),
      (span) => span.name === 'deliver' && span.resource['service.instance.id'] === speaker(traceId),
      (span) => span.name === 'deliver' && span.resource['service.instance.id'] !== speaker(traceId),
    );
    const [frame, ...deliveries] = found as [ReceivedSpan, ...ReceivedSpan[]];
    expect(frame).toMatchObject({ parentSpanId: spanId, kind: 2 });
    expect(frame.attributes['atrium.principal']).toBe(`user:${ada.user.id}`);
    for (const delivery of deliveries) expect(delivery.parentSpanId).toBe(frame.spanId);
    const alone = await receiver.received('the frame before', (span) => span.name === 'frame join');
    expect(alone.parentSpanId).toBe('');
    expect(receiver.spans.filter(named('frame ping'))).toEqual([]);
  });

  const speaker = (traceId: string) =>
    receiver.of(traceId).find(named('frame publish'))?.resource['service.instance.id'];
});

describe('What is sent', () => {
  it('holds no probe, and nothing that was sent to Atrium but ids', async () => {
    await http(here).get('/health/ready');
    const grace = await registerUser(here, { password: 'planted-password-1' });
    await http(here).post('/v1/auth/login', { email: grace.user.email, password: 'planted-password-2' });
    await http(here).post('/v1/auth/forgot-password', { email: grace.user.email });
    await createItem(grace, { title: 'planted-title' });
    await grace.http.get('/v1/items?q=planted-query&filter[data.planted]=planted-value');
    await grace.http.get('/v1/nothing/planted-path');
    await receiver.received(
      'the last request',
      ({ name, attributes }) => name === 'GET' && attributes['http.response.status_code'] === 404,
    );
    await receiver.received('a mail', named('send mail'));
    // A library that speaks OpenTelemetry itself, and would tell what the error quotes.
    const failing = `${JSON.stringify({ title: FAULT, type: 'x', data: {} })}\n`;
    const ndjson = { 'Content-Type': 'application/x-ndjson' };
    await grace.http.call('POST', '/v1/items/import', { raw: failing, headers: ndjson });
    await receiver.received(
      'a failed job',
      ({ name, status }) => name === 'process items.import' && status === 2,
    );
    expect(receiver.text).not.toContain('planted');
    expect(receiver.text).not.toContain(grace.user.email);
    expect(receiver.text).not.toContain(grace.token);
    expect(
      receiver.spans.filter(({ attributes }) => String(attributes['http.route']).startsWith('/health')),
    ).toEqual([]);
    expect(receiver.spans.filter(({ events, statusMessage }) => events > 0 || statusMessage !== '')).toEqual(
      [],
    );
    expect(
      receiver.requests.every(
        ({ path, headers }) => path === '/v1/traces' && headers['x-key'] === `${SECRET}!`,
      ),
    ).toBe(true);
    for (const atrium of processes) expect(atrium.output()).not.toContain(SECRET);
  });

  // The last ones: the instances do not come back.
  it('is complete when an instance has stopped', async () => {
    const { traceId, traceparent } = place();
    await ada.http.get('/v1/me', { headers: { traceparent } });
    const [atrium] = processes as [AtriumProcess];
    atrium.child.kill('SIGTERM');
    expect(await atrium.exited).toBe(0);
    expect(receiver.of(traceId).map(({ name }) => name)).toContain('GET /v1/me');
    expect(logLines(atrium).filter(({ module }) => module === 'Traces')).toEqual([]);
  });

  it('is given up when the receiver hangs: the instance stops in time', async () => {
    receiver.mood = 'hangs';
    await http(there, ada.token).get('/v1/me');
    const [, atrium] = processes as [AtriumProcess, AtriumProcess];
    atrium.child.kill('SIGTERM');
    expect(await atrium.exited).toBe(0);
  });
});
