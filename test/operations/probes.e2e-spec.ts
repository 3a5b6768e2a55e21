import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Lifecycle } from '../../src/common/lifecycle.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';

let app: TestApp;
beforeAll(async () => void (app = await startAtrium()));
afterAll(() => app.stop());

const PROBES = ['live', 'ready', 'startup'] as const;
const probe = (name: string, at: { url: string } = app) =>
  http(at).get<{ status: string; details: Record<string, { status: string }>; code: string }>(
    `/health/${name}`,
  );

// That a lost database fails `ready` and not `live` stands in test/http/database-loss.e2e-spec.ts.
describe('Probes', () => {
  it.each(PROBES)('%s is well, without a token, and never kept by a cache', async (name) => {
    const { status, body, headers } = await probe(name);
    expect(status).toBe(200);
    expect(body.status).toBe('ok');
    expect(headers.get('cache-control')).toMatch(/no-cache|no-store/);
  });

  it('ready says what it looked at', async () => {
    const { details } = (await probe('ready')).body;
    expect(details).toEqual({
      process: { status: 'up' },
      database: { status: 'up' },
      migrations: { status: 'up' },
    });
  });

  it('ready and startup fail while a migration is missing; live does not', async () => {
    // Starting would apply it, so this is an instance that runs already and was not asked before.
    const fresh = await app.startSecondInstance();
    const missing = await app.sql<{ name: string; timestamp: string }>(
      'DELETE FROM migrations WHERE id = (SELECT max(id) FROM migrations) RETURNING name, timestamp',
    );
    expect(missing).toHaveLength(1);
    const statuses = await Promise.all(PROBES.map(async (name) => (await probe(name, fresh)).status));
    await app.sql('INSERT INTO migrations (name, timestamp) VALUES ($1, $2)', [
      missing[0].name,
      missing[0].timestamp,
    ]);
    expect(statuses).toEqual([200, 503, 503]);
  });

  it('ready fails while draining, so that no new requests are sent; live does not, and requests are still answered', async () => {
    const leaving = await app.startSecondInstance();
    leaving.nest.get(Lifecycle).drain();
    const ready = await probe('ready', leaving);
    expect(ready.status).toBe(503);
    expect(ready.body.code).toBe('unavailable');
    expect(ready.headers.get('retry-after')).toMatch(/^\d+$/);
    const live = await probe('live', leaving);
    expect(live.status).toBe(200);
    expect(live.headers.get('connection')).toBe('close');
    expect((await http(leaving).get('/v1/me')).status).toBe(401);
  });
});
