import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { Streams } from '../../src/events/streams.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { addMember, createItem, type Person, registerUser } from '../support/people.js';
import { closeSockets, connect, type SocketClient } from '../support/sockets.js';
import { until } from '../support/until.js';

let app: TestApp;
let ada: Person;
let room: string;
beforeAll(async () => void (app = await startAtrium()));
beforeEach(async () => {
  ada = await registerUser(app);
  room = `workspaces/${ada.workspaceId}`;
});
afterEach(closeSockets);
afterEach(() => {
  jest.restoreAllMocks();
});
afterAll(() => app.stop());

/**
 * A client that resumes from before the first event, and whose first page the database has not answered yet.
 * @returns what it takes to let the database answer, with what it has by then or with an error
 */
async function catchingUp(reader = ada): Promise<{ client: SocketClient; answer: (error?: Error) => void }> {
  for (const title of ['one', 'two', 'three']) await createItem(ada, { title });
  const client = await connect(app, { token: reader.token });
  const { cursor } = await client.join(room);
  await client.send('leave', { room });
  const streams = app.nest.get(Streams);
  const read = streams.read.bind(streams);
  const gate = Promise.withResolvers<undefined>();
  const asked = jest.spyOn(streams, 'read').mockImplementationOnce(async (...parameters) => {
    await gate.promise;
    return read(...parameters);
  });
  await client.join(room, cursor.replace(/\d+$/, '0'));
  await until('the page is asked for', () => asked.mock.calls.length > 0);
  return { client, answer: (error) => (error ? gate.reject(error) : gate.resolve(undefined)) };
}

describe('A subscriber that is catching up', () => {
  it('is put out of the room when the history becomes another one, and hears nothing of that', async () => {
    const { client, answer } = await catchingUp();
    // As a restore from a backup would leave it.
    await app.sql('UPDATE stream_history SET nonce = gen_random_uuid()');
    await app.sql('DELETE FROM events WHERE seq > 1');
    await app.sql('UPDATE streams SET head = 1 WHERE head > 1');
    const left = await client.waitFor('left', () =>
      client.frames.find(({ event, data }) => event === 'left' && data.code),
    );
    expect(left.data).toEqual({ room, code: 'epoch_changed' });
    answer();
    await createItem(ada);
    await client.barrier();
    expect(client.events(room)).toEqual([]);
    const again = await client.join(room);
    await createItem(ada);
    const [event] = await client.received(room, 1);
    expect(event?.cursor?.split('-')[0]).toBe(again.cursor.split('-')[0]);
  });

  it('is closed with 4200 when the database fails, so that it resumes', async () => {
    const { client, answer } = await catchingUp();
    answer(new Error('The database is away'));
    expect(await client.closed).toMatchObject({ code: 4200 });
  });

  it('and has left meanwhile keeps its socket when the database fails', async () => {
    const { client, answer } = await catchingUp();
    await client.send('leave', { room });
    answer(new Error('The database is away'));
    // The other rooms go on.
    await client.join(room);
    await createItem(ada);
    await client.received(room, 1);
    await client.barrier();
  });

  it('and is removed meanwhile hears all that came before the removal, then that it lost the room, and no more', async () => {
    const grace = await registerUser(app);
    await addMember(app, ada.workspaceId, grace, 'member');
    const { client, answer } = await catchingUp(grace);
    const watcher = await connect(app, { token: ada.token });
    await watcher.join(room);
    await createItem(ada, { title: 'four' });
    const removed = await ada.http.delete(`/v1/workspaces/${ada.workspaceId}/members/${grace.user.id}`);
    expect(removed.status).toBe(204);
    await createItem(ada, { title: 'hers no more' });
    await watcher.received(room, 3);
    const refused = await client.send('publish', { room, type: 'note.said', data: 1 });
    expect(refused).toMatchObject({ event: 'error', data: { code: 'not_found' } });
    answer();
    const left = await client.waitFor('left', () =>
      client.frames.find(({ event, data }) => event === 'left' && data.code),
    );
    expect(left.data).toEqual({ room, code: 'membership_lost' });
    await client.barrier();
    const titles = client.events(room).map(({ event }) => event.data.title);
    expect(titles).toEqual(['one', 'two', 'three', 'four']);
    expect(client.frames.indexOf(left)).toBeGreaterThan(
      client.frames.findLastIndex(({ event }) => event === 'event'),
    );
  });
});
