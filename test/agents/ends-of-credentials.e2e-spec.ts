import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { clientCredentials, startAgent } from '../support/agents.js';
import type { Instance, TestApp } from '../support/app.js';
import { Devices } from '../support/devices.js';
import { http } from '../support/http.js';
import { type PageAnswer, type Person, registerUser } from '../support/people.js';
import { sharedAtrium, sharedSecondInstance } from '../support/shared-app.js';
import { closeSockets, connectAndJoin } from '../support/sockets.js';
import { until } from '../support/until.js';

interface CredentialAnswer {
  readonly id: string;
  readonly expiresAt: string | null;
  readonly clientSecret: string;
}

let app: TestApp;
let second: Instance;
let owner: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  second = await sharedSecondInstance();
  owner = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const secretsOf = ({ id }: { id: string }) => `/v1/agents/${id}/secrets`;
const add = (agent: { id: string }, body: unknown) =>
  owner.http.post<CredentialAnswer>(secretsOf(agent), body);
const list = async (agent: { id: string }) =>
  (await owner.http.get<PageAnswer<CredentialAnswer>>(secretsOf(agent))).body.data;

describe('The end of a credential', () => {
  it('is told at once to the agent when it was replaced by somebody else', async () => {
    const { agent, http: itself } = await startAgent(app, owner, ['items:read']);
    const rotateBy = async () =>
      (await itself.post<{ rotateBy: string | null }>(`/v1/agents/${agent.id}/heartbeat`, {})).body.rotateBy;
    expect(await rotateBy()).toBeNull();
    const [old] = await list(agent);
    await add(agent, { replaces: old?.id, overlapSeconds: 3_600 });
    const [ending] = await list(agent);
    expect(await rotateBy()).toBe(ending?.expiresAt);
  });

  it('ends all that it gave, with its sockets, at every instance, when it came nearer by a rotation', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const room = `workspaces/${owner.workspaceId}`;
    const sockets = [await connectAndJoin(app, token, room), await connectAndJoin(second, token, room)];
    const [old] = await list(agent);
    const { body } = await add(agent, { replaces: old?.id, overlapSeconds: 1 });
    const { body: next } = await clientCredentials(app, { ...agent, clientSecret: body.clientSecret });
    const closings = await Promise.all(sockets.map(({ closed }) => closed));
    expect(closings.map(({ code }) => code)).toEqual([4003, 4003]);
    for (const instance of [app, second]) {
      expect((await http(instance, token).get('/v1/items')).status).toBe(401);
      expect((await http(instance, next.access_token).get('/v1/items')).status).toBe(200);
    }
    // Given more time, the old secret gives new tokens; those of before do not come back.
    await owner.http.patch(`${secretsOf(agent)}/${old?.id}`, { expiresAt: null });
    const { body: again } = await clientCredentials(app, agent);
    expect((await http(second, again.access_token).get('/v1/items')).status).toBe(200);
    expect((await http(second, token).get('/v1/items')).status).toBe(401);
  });

  it('ends nothing where it was put off before it came', async () => {
    const { agent, token } = await startAgent(app, owner, ['items:read']);
    const [old] = await list(agent);
    const patch = (expiresAt: string | null) =>
      owner.http.patch(`${secretsOf(agent)}/${old?.id}`, { expiresAt });
    const planned = () =>
      app.sql(
        `SELECT FROM revoked_grants g JOIN agent_credentials c ON c.session_id = g.id WHERE c.agent_id = $1`,
        [agent.id],
      );
    await patch(new Date(Date.now() + 60_000).toISOString());
    expect(await planned()).toHaveLength(1);
    expect((await http(second, token).get('/v1/items')).status).toBe(200);
    await patch(null);
    expect(await planned()).toHaveLength(0);
    // An end at once goes before one that was planned.
    await patch(new Date(Date.now() + 60_000).toISOString());
    await owner.http.delete(`${secretsOf(agent)}/${old?.id}`);
    await until(
      'the other instance refuses it',
      async () => (await http(second, token).get('/v1/items')).status === 401,
    );
  });

  it('which an owner has settled for a device is not put off by its refreshes, and being lifted it does not end it', async () => {
    const devices = new Devices(app, owner);
    const { agent, tokens } = await devices.connected();
    const [credential] = await list(agent);
    const patch = (expiresAt: string | null) =>
      owner.http.patch(`${secretsOf(agent)}/${credential?.id}`, { expiresAt });
    const end = new Date(Date.now() + 120_000).toISOString();
    await patch(end);
    const { body: refreshed } = await devices.refresh(tokens.refresh_token);
    expect(refreshed.expires_in).toBeLessThanOrEqual(120);
    expect((await list(agent))[0]?.expiresAt).toBe(end);
    await patch(null);
    const { status } = await devices.refresh(refreshed.refresh_token ?? '');
    expect(status).toBe(200);
    const [lasting] = await list(agent);
    expect(Date.parse(lasting?.expiresAt ?? '')).toBeGreaterThan(Date.parse(end));
  });
});
