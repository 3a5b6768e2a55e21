import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import { createTestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import { settingsFor, startWithProviders } from '../support/oidc.js';
import { OtlpReceiver } from '../support/otlp.js';
import { createItem, registerUser } from '../support/people.js';
import { spawnAtrium } from '../support/process.js';
import { testVariables, type Variables } from '../support/variables.js';

let receiver: OtlpReceiver;
let app: TestApp | undefined;
beforeAll(async () => {
  receiver = await OtlpReceiver.start();
});
afterEach(async () => {
  receiver.mood = 'takes';
  await stop();
});
afterAll(() => receiver.stop());

const start = async (variables: Variables = {}): Promise<TestApp> =>
  (app = await startAtrium({ OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url, ...variables }));
/** Whatever was recorded has been received then. */
async function stop(): Promise<void> {
  await app?.stop();
  app = undefined;
}
const place = (flags: string) => {
  const traceId = randomBytes(16).toString('hex');
  return { traceId, headers: { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-${flags}` } };
};

describe('Without a receiver to send to', () => {
  it('nothing of the SDK is loaded, and what a caller says of its trace is still in the log', async () => {
    const spy = join(await mkdtemp(join(tmpdir(), 'atrium-spy-')), 'spy.mjs');
    await writeFile(
      spy,
      `import { registerHooks } from 'node:module';
       registerHooks({ load(url, context, next) {
         if (url.includes('opentelemetry')) process.stdout.write(\`loaded \${url}\\n\`);
         return next(url, context);
       } });`,
    );
    const database = await createTestDatabase();
    const off = { ...testVariables(database.url), LOG_LEVEL: 'log', NODE_OPTIONS: `--import=${spy}` };
    const main = compiledPath(join(root, 'src/main.ts'));
    const atrium = await spawnAtrium(off, main);
    try {
      const ada = await registerUser({ url: await atrium.url() });
      const { traceId, headers } = place('01');
      await ada.http.post('/v1/items', { title: 'x', type: 'x', data: {} }, { headers });
      atrium.child.kill('SIGTERM');
      expect(await atrium.exited).toBe(0);
      expect(atrium.output()).toContain(`"traceId":"${traceId}"`);
      const loaded = atrium.output().matchAll(/^loaded .*@opentelemetry\/([\w-]+)/gm);
      // The API, which does nothing without an SDK, comes with the queue of jobs.
      expect([...new Set(Array.from(loaded, ([, name]) => name))]).toEqual(['api']);
    } finally {
      await atrium.kill();
      await database.drop();
    }
  });
});

describe('A receiver that hangs', () => {
  it('fails no request and fills no memory: of what it misses, so much is kept, and the rest is dropped', async () => {
    receiver.mood = 'hangs';
    const { url } = await start();
    const ada = await registerUser({ url });
    // More spans than may wait.
    for (let n = 0; n < 40; n++) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => createItem(ada)));
      expect(answers).toHaveLength(40);
    }
    const { length: before } = receiver.spans;
    receiver.recover();
    await stop();
    const { length } = receiver.spans.slice(before);
    expect(length).toBeGreaterThan(1_000);
    // Those that waited, those that were on their way, and those of the stop itself: of 1,600 requests, with three each at least.
    expect(length).toBeLessThanOrEqual(2 * 2_048);
  });
});

describe('Which traces are recorded', () => {
  it('is decided by a proxy that is trusted', async () => {
    const { url } = await start({ OTEL_TRACES_SAMPLER: 'parentbased_always_off', TRUST_PROXY: 'loopback' });
    const [recorded, not] = [place('01'), place('00')];
    const ada = await registerUser({ url });
    for (const { headers } of [not, recorded]) await createItemIn(ada.http, headers);
    await stop();
    expect(receiver.of(recorded.traceId).map(({ name }) => name)).toContain('items.create');
    expect(receiver.of(not.traceId)).toEqual([]);
  });

  it('is not decided by anybody else who calls, neither by a flag nor by an id', async () => {
    const { url } = await start({
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: '0.5',
    });
    const ada = await registerUser({ url });
    const same = place('01');
    for (let n = 0; n < 40; n++) await ada.http.get('/v1/me', { headers: same.headers });
    await stop();
    const requests = receiver.of(same.traceId).filter(({ name }) => name === 'GET /v1/me').length;
    // All or none are as likely as a coin that falls on one side forty times.
    expect(requests).toBeGreaterThan(0);
    expect(requests).toBeLessThan(40);
  });

  const createItemIn = (client: ReturnType<typeof http>, headers: Record<string, string>) =>
    client.post('/v1/items', { title: 'x', type: 'x', data: {} }, { headers });
});

describe('A provider that people sign in with', () => {
  let provider: Server;
  const asked: IncomingHttpHeaders[] = [];
  beforeAll(async () => {
    provider = createServer((request, response) => {
      asked.push(request.headers);
      response.writeHead(500).end();
    }).listen(0, '127.0.0.1');
    await once(provider, 'listening');
  });
  afterAll(() => {
    provider.close();
  });

  it('is a part of the trace of the request, and is told nothing of it', async () => {
    const { port } = provider.address() as AddressInfo;
    const settings = settingsFor({ issuer: `http://127.0.0.1:${port}/planted-path` });
    app = await startWithProviders([settings], { OTEL_EXPORTER_OTLP_ENDPOINT: receiver.url });
    const { traceId, headers } = place('01');
    expect((await http(app).get('/v1/auth/oauth/corp', { headers })).status).toBe(503);
    await stop();
    const call = receiver.of(traceId).find(({ attributes }) => attributes['server.port'] === port);
    expect(call).toMatchObject({
      name: 'GET',
      kind: 3,
      attributes: { 'server.address': '127.0.0.1', 'http.response.status_code': 500 },
    });
    expect(asked.length).toBeGreaterThan(0);
    for (const sent of asked)
      expect([sent['traceparent'], sent['tracestate']]).toEqual([undefined, undefined]);
    expect(receiver.text).not.toContain('planted-path');
  });
});
