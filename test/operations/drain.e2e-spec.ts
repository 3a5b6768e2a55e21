import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Lifecycle } from '../../src/common/lifecycle.js';
import { StreamTail } from '../../src/events/stream-tail.js';
import { startAgent } from '../support/agents.js';
import type { Instance, TestApp } from '../support/app.js';
import { http } from '../support/http.js';
import { claim } from '../support/leases.js';
import { type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
let leaving: Instance;
let room: string;
beforeAll(async () => {
  app = await sharedAtrium();
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
  leaving = await app.startSecondInstance();
});
afterEach(closeSockets);
afterAll(() => app.stop());

// In order: what leaves does not come back. Exit codes, signals and cut requests stand in process.e2e-spec.ts.
describe('An instance that leaves', () => {
  it('is not ready, but does all that it is asked for: writes, reads, sockets', async () => {
    leaving.nest.get(Lifecycle).drain();
    expect((await http(leaving).get('/health/ready')).status).toBe(503);
    const client = http(leaving, ada.token);
    const socket = await connectAndJoin(leaving, ada.token, room);
    const answer = await client.post('/v1/items', { title: 'in the grace', type: 'x', data: {} });
    expect([answer.status, answer.headers.get('connection')]).toEqual([201, 'close']);
    expect(await socket.received(room, 1)).toHaveLength(1);
    expect((await client.get('/v1/items')).status).toBe(200);
  });

  it('then answers those who wait at once, tells every socket to reconnect, and still finishes requests', async () => {
    const agent = await startAgent(leaving, await registerUser(leaving), ['leases']);
    const sockets = await Promise.all(
      Array.from({ length: 60 }, () => connectAndJoin(leaving, ada.token, room)),
    );
    const waiting = claim(agent, 'nothing', { waitSeconds: 30 });
    await until('it waits', () => leaving.nest.get(StreamTail).followedCount === 2);
    leaving.nest.get(Lifecycle).close(10_000);
    expect(await waiting).toEqual([]);
    expect((await http(leaving, ada.token).get('/v1/me')).status).toBe(200);
    const stopped = leaving.stop();
    for (const socket of sockets) expect((await socket.closed).code).toBe(1012);
    await stopped;
  });
});
