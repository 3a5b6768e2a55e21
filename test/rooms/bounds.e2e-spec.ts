import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Instance, TestApp } from '../support/app.js';
import { type Person, registerUser } from '../support/people.js';
import { sharedAtrium } from '../support/shared-app.js';
import { closeSockets, connect, HandshakeRefused, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let bounded: Instance;
let ada: Person;
let grace: Person;
beforeAll(async () => {
  app = await sharedAtrium();
  bounded = await app.startSecondInstance({
    RATE_LIMIT: 'on',
    SOCKETS_PER_PRINCIPAL: '2',
    SOCKETS_PER_ADDRESS: '3',
    TRUST_PROXY: 'loopback',
  });
  ada = await registerUser(app);
  grace = await registerUser(app);
});
afterEach(closeSockets);
afterAll(() => app.stop());

const from = (address: string, person?: Person) =>
  connect(bounded, { token: person?.token, headers: { 'X-Forwarded-For': address } });
const first = (client: SocketClient) => client.waitFor('an answer', () => client.frames[0]);

describe('Open sockets are bounded', () => {
  it('per principal: one more is told why and closed with 4429; one that closes makes room', async () => {
    const [one, two] = [await from('192.0.2.1', ada), await from('192.0.2.2', ada)];
    expect([(await first(one)).event, (await first(two)).event]).toEqual(['ready', 'ready']);
    const third = await from('192.0.2.3', ada);
    expect(await first(third)).toMatchObject({ event: 'error', data: { code: 'too_many_connections' } });
    expect((await third.closed).code).toBe(4429);
    expect((await first(await from('192.0.2.3', grace))).event).toBe('ready');

    one.socket.close();
    await one.closed;
    await until(
      'there is room again',
      async () => (await first(await from('192.0.2.4', ada))).event === 'ready',
    );
  });

  it('and a newer token on an open socket is not one more', async () => {
    const clients = [await from('192.0.2.5', grace), await from('192.0.2.6', grace)];
    for (const client of clients) {
      await first(client);
      expect((await client.send('auth', { token: grace.token })).event).toBe('ready');
    }
  });

  it('per address, before anybody has said who they are; other addresses are not concerned', async () => {
    for (let n = 0; n < 3; n++) await from('198.51.100.7');
    const refusal = await from('198.51.100.7').catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(HandshakeRefused);
    expect(refusal).toMatchObject({ status: 429, headers: { 'retry-after': '10' } });
    await from('198.51.100.8');
  });

  it('a /64 of IPv6 counting as one address', async () => {
    for (const host of ['1', '2', '3']) await from(`2001:db8:0:1::${host}`);
    await expect(from('2001:db8:0:1:ffff::4')).rejects.toMatchObject({ status: 429 });
    await from('2001:db8:0:2::1');
  });
});
