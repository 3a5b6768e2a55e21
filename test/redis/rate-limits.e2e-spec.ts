import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Redis } from '../../src/bus/redis.js';
import { type Instance, startAtrium, type TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { type Person, registerUser } from '../support/people.js';
import { startRedis, type TestRedis } from '../support/redis.js';
import { until } from '../support/until.js';

// An instance goes on alone when Redis keeps it waiting for a tenth of a second, as it may on a busy machine: then the
// counts are right, but not shared, and the test has to begin again.
jest.retryTimes(2, { logErrorsBeforeRetry: true });

const LIMIT = 10;
/** What registering uses up: it reads the workspaces once. */
const USED = 1;

describe.each([['one Redis'], ['a cluster']])('Over %s', (kind) => {
  let redis: TestRedis;
  let app: TestApp;
  let elsewhere: Instance;
  let ada: Person;
  beforeAll(async () => {
    redis = await startRedis({ cluster: kind === 'a cluster' });
    app = await startAtrium({
      RATE_LIMIT: 'on',
      RATE_LIMIT_PER_MINUTE: `${LIMIT}`,
      RATE_LIMIT_REFRESHES_PER_MINUTE: `${LIMIT}`,
      TRUST_PROXY: 'loopback',
      REDIS_URL: kind === 'a cluster' ? `${redis.url},${redis.url}` : redis.url,
    });
    elsewhere = await app.startSecondInstance();
  });
  beforeEach(async () => {
    await untilUp();
    ada = await registerUser(app);
  });
  afterEach(() => {
    jest.restoreAllMocks();
  });
  afterAll(async () => {
    await app.stop();
    await redis.stop();
  });

  const untilUp = () =>
    until('both count in Redis', () => [app, elsewhere].every(({ nest }) => nest.get(Redis).isUp));
  const me = (instance: Instance) => http(instance, ada.token).get('/v1/me');
  /** How many of so many requests were taken. */
  const taken = async (count: number, ...instances: readonly Instance[]) => {
    let taken = 0;
    for (let n = 0; n < count; n++)
      if ((await me(instances[n % instances.length] ?? app)).status === 200) taken++;
    return taken;
  };

  it('a principal is counted together at all instances', async () => {
    expect(await taken(LIMIT + 5, app, elsewhere)).toBe(LIMIT - USED);
    for (const instance of [app, elsewhere]) {
      const { status, headers } = await me(instance);
      expect(status).toBe(429);
      expect(headers.get('ratelimit')).toMatch(/^"general";r=0;t=(60|5\d)$/);
    }
  });

  it('also when the requests come all at once', async () => {
    const answers = await Promise.all(Array.from({ length: 40 }, (_, n) => me(n % 2 ? app : elsewhere)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(LIMIT - USED);
  });

  it('an address is, too, where nobody is known', async () => {
    const statuses: number[] = [];
    for (let n = 0; n < LIMIT + 2; n++) {
      const client = http(n % 2 ? app : elsewhere);
      const from = { headers: { 'X-Forwarded-For': '198.51.100.77' } };
      statuses.push((await client.post('/v1/auth/refresh', { refreshToken: 'x' }, from)).status);
    }
    expect(statuses).toEqual([...Array<number>(LIMIT).fill(401), 429, 429]);
  });

  it('who is over the limit is refused without a question to Redis', async () => {
    await taken(LIMIT + 1, app);
    const run = jest.spyOn(app.nest.get(Redis), 'run');
    expect(await taken(5, app)).toBe(0);
    expect(run).not.toHaveBeenCalled();
  });

  it('that is killed, each instance goes on from what was counted, and together when it is back', async () => {
    expect(await taken(4, app, elsewhere)).toBe(4); // two each; the last answer of each says 4 or 5 with the one used
    await redis.kill();
    const here = await taken(LIMIT, app);
    const there = await taken(LIMIT, elsewhere);
    expect([here, there]).toEqual([LIMIT - USED - 3, LIMIT - USED - 4]);
    expect((await http(app).get('/health/ready')).status).toBe(200);
    await redis.start();
    await untilUp();
    ada = await registerUser(app);
    expect(await taken(LIMIT + 5, app, elsewhere)).toBe(LIMIT - USED);
  });

  it('that hangs, requests are answered all the same, and none but the first ask for it', async () => {
    redis.pause();
    const run = jest.spyOn(app.nest.get(Redis), 'run');
    expect(await taken(LIMIT + 5, app)).toBe(LIMIT - USED);
    expect(run.mock.calls.length).toBe(1);
    redis.resume();
    await untilUp();
    ada = await registerUser(app);
    expect(await taken(LIMIT + 5, app, elsewhere)).toBe(LIMIT - USED);
  });
});
