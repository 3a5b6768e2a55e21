// The requests of each operation as bytes, in a fixed order, the same for every server.
import {
  ITEMS,
  itemId,
  OWN_ITEMS,
  sessionId,
  TEAM,
  TEAM_ITEMS,
  userId,
  USERS,
  workspaceId,
  workspacesOf,
} from './data.mjs';
import { cursors, sign } from './tokens.mjs';

const PREPARED = 10_000;

/** A fixed sequence of numbers below `bound` (a linear congruential generator). */
function sequence(seed) {
  let state = seed;
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

/** Makes `{get, list, …}`, each `{status, next(), done?(ticket, etag)}`; `next` gives `{bytes, ticket}`. */
export function createRequests(secret) {
  const cursorOf = cursors(secret);
  const tokens = Array.from({ length: USERS }, (_, user) => sign(secret, userId(user), sessionId(user)));
  const head = (method, path, user, more = '') =>
    `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${tokens[user]}\r\n${more}`;
  const without = (method, path, user) => Buffer.from(`${head(method, path, user)}\r\n`);
  const withBody = (method, path, user, body, more = '') => {
    const length = Buffer.byteLength(body);
    const headers = `Content-Type: application/json\r\nContent-Length: ${length}\r\n${more}`;
    return Buffer.from(`${head(method, path, user, headers)}\r\n${body}`);
  };

  /** A user, one of the workspaces that are not the team, and an item in it. */
  const somewhere = (pick) => {
    const user = pick(USERS);
    const of = workspacesOf(user);
    const workspace = of[pick(of.length)];
    return { user, workspace, item: workspace + USERS * pick(OWN_ITEMS / USERS) };
  };

  const repeated = (status, make) => {
    const prepared = Array.from({ length: PREPARED }, (_, n) => ({ bytes: make(n), ticket: 0 }));
    let at = 0;
    return { status, next: () => prepared[at++ % PREPARED] };
  };

  const created = (n, workspace) =>
    JSON.stringify({
      title: `New item ${n}`,
      type: 'task',
      workspaceId: workspace,
      data: {
        status: 'open',
        priority: n % 5,
        score: n + 0.25,
        tags: ['alpha', 'beta', `tag${n % 50}`],
        address: { street: `${n} Long Street`, city: 'Springfield', zip: '12345' },
        notes: '0123456789abcdef'.repeat(12),
        active: true,
        reference: '0123456789abcdef0123456789abcdef',
      },
    });

  // Shared by all servers, for they share the database.
  const versions = new Int32Array(ITEMS).fill(1);
  /** Goes round items that differ, so that no item is in flight twice and every If-Match holds. */
  const patched = (count, locate) => {
    let at = 0;
    return {
      status: 200,
      next() {
        const n = at++;
        const { user, item } = locate(n % count);
        const body = `{"data":{"status":"patched","score":${n}.5,"editor":"bench"}}`;
        const condition = `If-Match: "${versions[item]}"\r\n`;
        return { bytes: withBody('PATCH', `/v1/items/${itemId(item)}`, user, body, condition), ticket: item };
      },
      done(item, etag) {
        versions[item] = Number(etag);
      },
    };
  };

  const picks = { get: sequence(1), list: sequence(2), post: sequence(3), team: sequence(4) };
  return {
    get: repeated(200, () => {
      const { user, item } = somewhere(picks.get);
      return without('GET', `/v1/items/${itemId(item)}`, user);
    }),
    list: repeated(200, (n) => {
      const { user, workspace, item } = somewhere(picks.list);
      const cursor = cursorOf(workspaceId(workspace), itemId(item + 25 * USERS));
      const page = n % 2 === 0 ? '' : `&cursor=${cursor}`;
      return without('GET', `/v1/items?workspaceId=${workspaceId(workspace)}&limit=20${page}`, user);
    }),
    'post-spread': repeated(201, (n) => {
      const { user, workspace } = somewhere(picks.post);
      return withBody('POST', '/v1/items', user, created(n, workspaceId(workspace)));
    }),
    'post-one': repeated(201, (n) => withBody('POST', '/v1/items', picks.team(USERS), created(n, TEAM))),
    'patch-spread': patched(OWN_ITEMS, (n) => ({ user: n % USERS, item: n })),
    'patch-one': patched(TEAM_ITEMS, (n) => ({ user: n % USERS, item: OWN_ITEMS + n })),
  };
}
