import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { checkReplica } from '../../src/cli/replica-check.js';
import { replicaAsked } from '../../src/events/stream-observations.js';
import { FaultyProxy } from '../drills/faulty-proxy.js';
import { type Instance, startInstance } from '../support/app.js';
import { ask } from '../support/database-embedded.js';
import {
  createItem,
  type ItemAnswer,
  type PageAnswer,
  type Person,
  registerUser,
} from '../support/people.js';
import { testServerUrl } from '../support/database.js';
import { StreamingServer } from '../support/replication.js';
import { until } from '../support/until.js';
import { createWorkspace } from '../support/workspaces.js';

const DATABASE = 'atrium_replicated';

let primary: StreamingServer;
let replica: StreamingServer;
let way: FaultyProxy;
let app: Instance;
let ada: Person;
beforeAll(async () => {
  primary = await StreamingServer.start({ fsync: 'off' });
  await primary.ask(`CREATE DATABASE ${DATABASE} TEMPLATE template0`);
  replica = await primary.startReplica();
  way = await FaultyProxy.start(replica.port);
  app = await startInstance(primary.url(DATABASE), {
    READ_DATABASE_URL: replica.url(DATABASE, way.port),
  });
  ada = await registerUser(app);
});
afterAll(async () => {
  await app.stop();
  way.close();
  await replica.remove();
  await primary.remove();
});

let outcomes: string[];
let stopListening: () => void;
beforeEach(() => {
  outcomes = [];
  stopListening = replicaAsked.listen(({ outcome }) => outcomes.push(outcome));
});
afterEach(() => stopListening());

const list = async (person: Person, query = 'filter[data.n][gte]=0') => {
  const { status, body } = await person.http.get<PageAnswer<ItemAnswer>>(`/v1/items?limit=100&${query}`);
  return { status, ids: status === 200 ? body.data.map(({ id }) => id).toSorted() : [] };
};
const used = (person = ada) =>
  until('the replica is used', async () => {
    await list(person);
    return outcomes.at(-1) === 'used';
  });

describe('A replica', () => {
  it('does filtered lists, searches and exports, and what was written a moment ago is in them', async () => {
    await used();
    outcomes.length = 0;
    const person = await registerUser(app);
    const written: string[] = [];
    for (let n = 0; n < 15; n++) {
      written.push((await createItem(person, { title: `zebra ${n}`, data: { n } })).id);
      expect(await list(person)).toEqual({ status: 200, ids: written.toSorted() });
      expect((await list(person, 'q=zebra')).ids).toEqual(written.toSorted());
    }
    const { text } = await person.http.get('/v1/items/export');
    expect(text.split('\n').filter(Boolean)).toHaveLength(15);
    expect(outcomes.filter((outcome) => outcome === 'used').length).toBeGreaterThan(15);
    expect(outcomes).not.toContain('away');
  });

  it('that is behind is not asked: a list is never older than what was written, nor a right', async () => {
    await used();
    const guest = await registerUser(app);
    const workspace = await createWorkspace(ada);
    await replica.ask('SELECT pg_wal_replay_pause()', DATABASE);
    try {
      outcomes.length = 0;
      const { id } = await createItem(ada, { data: { n: 1 } });
      expect((await list(ada)).ids).toContain(id);
      expect(outcomes).toEqual(['behind']);
      // Of a stream of which it has everything, it may be asked again, and somebody who is nobody there is not let in.
      expect((await list(guest, `filter[data.n][gte]=0&workspaceId=${workspace.id}`)).status).toBe(404);
    } finally {
      await replica.ask('SELECT pg_wal_replay_resume()', DATABASE);
    }
    await used();
  });

  it('that does not answer, or is gone, is done without, and used again when it is back', async () => {
    await used();
    const { id } = await createItem(ada, { data: { n: 2 } });
    way.holdAnswers();
    expect((await list(ada)).ids).toContain(id);
    expect(outcomes.at(-1)).toBe('away');
    way.release();
    await used();
    await replica.crash();
    expect((await list(ada)).ids).toContain(id);
    expect((await ada.http.get('/v1/items/export')).status).toBe(200);
    await replica.start();
    await used();
    expect((await list(ada)).ids).toContain(id);
  });

  it('is known to the doctor, and what is none is, too', async () => {
    const look = (readUrl: string) => checkReplica(app.nest.get(DataSource), { readUrl, pooled: false });
    expect(await look(replica.url(DATABASE))).toMatchObject({
      state: 'warning',
      detail: expect.stringContaining('hot_standby_feedback'),
    });
    expect(await look(primary.url(DATABASE))).toMatchObject({ state: 'failed' });
    expect(await look('postgresql://a:b@127.0.0.1:1/c')).toMatchObject({ state: 'warning' });
    expect(await look(testServerUrl())).toMatchObject({ state: 'failed' });
  });

  it('that has become a primary of its own is none any more', async () => {
    await used();
    await replica.ask('SELECT pg_promote()');
    await ask(replica.url(DATABASE), `UPDATE items SET title = 'of another history'`);
    outcomes.length = 0;
    const { body } = await ada.http.get<PageAnswer<ItemAnswer>>('/v1/items?filter[data.n][gte]=0');
    expect(body.data.map(({ title }) => title)).not.toContain('of another history');
    expect(outcomes).not.toContain('used');
  });
});
