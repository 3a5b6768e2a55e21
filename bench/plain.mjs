// What somebody would write by hand instead of Atrium: `node:http` and a `pg` pool with named statements, one
// statement a request. It verifies the same token, joins the same membership, and writes the same rows.
//
// MODE=ordered takes the event's number from the stream's counter, as Atrium does. MODE=unordered gives the event a
// random number instead: less work, no lock, and a reader of the stream would miss events.
import { randomUUID } from 'node:crypto';
import http from 'node:http';
import pg from 'pg';
import { answer, toItem } from './plain-answers.mjs';
import { cursors, itemInCursor, verify } from './tokens.mjs';

const { DATABASE_URL, TOKEN_SECRET, PORT, MODE = 'ordered', POOL = '16' } = process.env;
const cursorOf = cursors(TOKEN_SECRET);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL) });

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

const columns = (row) =>
  [
    'id',
    'workspace_id',
    'type',
    'title',
    'data',
    'version',
    'created_at',
    'created_by',
    'updated_at',
    'updated_by',
  ]
    .map((column) => `${row}.${column}`)
    .join(', ');
const time = (column) => `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/** The event of a row `w`: numbered by the counter, or at random. */
const event = (type, id) => {
  const data = `jsonb_build_object('id', w.id, 'workspaceId', w.workspace_id, 'type', w.type, 'title', w.title,
    'data', w.data, 'version', w.version, 'createdAt', ${time('w.created_at')}, 'createdBy', w.created_by,
    'updatedAt', ${time('w.updated_at')}, 'updatedBy', w.updated_by)`;
  const counter =
    MODE === 'ordered'
      ? `UPDATE streams s SET head = s.head + 1 FROM w WHERE s.id = w.workspace_id RETURNING s.head`
      : `SELECT (1e15 + random() * 1e15)::bigint AS head FROM w`;
  return `s AS (${counter}),
    e AS (INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
      SELECT w.workspace_id, s.head, ${id}::uuid, '${type}', 'items/' || w.id, w.updated_by, ${data} FROM w, s)
    SELECT ${columns('w')}, s.head FROM w, s`;
};

const MAY_WRITE = `m.role IN ('owner', 'admin', 'member')`;

const SQL = {
  get: {
    name: 'get',
    text: `SELECT ${columns('i')}, s.head FROM items i
      JOIN memberships m ON m.workspace_id = i.workspace_id AND m.principal_id = $2
      JOIN streams s ON s.id = i.workspace_id WHERE i.id = $1`,
  },
  list: {
    name: 'list',
    text: `SELECT s.head, ${columns('i')} FROM memberships m
      JOIN streams s ON s.id = m.workspace_id
      LEFT JOIN LATERAL (SELECT * FROM items i WHERE i.workspace_id = m.workspace_id
        AND i.id < COALESCE($3::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff') ORDER BY i.id DESC LIMIT $4) i ON true
      WHERE m.principal_id = $1 AND m.workspace_id = $2 ORDER BY i.id DESC`,
  },
  post: {
    name: 'post',
    text: `WITH w AS (INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
      SELECT $1::uuid, m.workspace_id, $4, $5, $6::jsonb, m.principal_id, m.principal_id FROM memberships m
      WHERE m.workspace_id = $3 AND m.principal_id = $2 AND ${MAY_WRITE} RETURNING *),
      ${event('item.created', '$7')}`,
  },
  patch: {
    name: 'patch',
    text: `WITH w AS (UPDATE items i SET data = jsonb_merge_patch(i.data, $4::jsonb), version = i.version + 1,
      updated_at = now(), updated_by = $2 FROM memberships m
      WHERE i.id = $1 AND i.version = $3 AND m.workspace_id = i.workspace_id AND m.principal_id = $2 AND ${MAY_WRITE}
      RETURNING i.*), ${event('item.updated', '$5')}`,
  },
};

const query = async (statement, values) => (await pool.query({ ...statement, values })).rows;

const item = (response, status, row) =>
  answer(response, status, toItem(row), { ETag: `"${row.version}"`, 'Stream-Cursor': `0-${row.head}` });

const refuse = (response, status) => answer(response, status, { status });

function read(request) {
  return new Promise((resolve, reject) => {
    let text = '';
    request.setEncoding('utf8');
    request.on('data', (chunk) => (text += chunk));
    request.on('error', reject);
    request.on('end', () => {
      try {
        resolve(JSON.parse(text));
      } catch (error) {
        reject(error);
      }
    });
  });
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
/** UUIDv7 by hand: new rows at the end of their index, as Atrium's are. */
const newId = () => {
  const now = Date.now().toString(16).padStart(12, '0');
  return `${now.slice(0, 8)}-${now.slice(8)}-7${randomUUID().slice(15)}`;
};

async function handle(request, response) {
  const { url, method, headers } = request;
  if (url === '/health/ready') return answer(response, 200, { status: 'ok' });
  const claims = verify(TOKEN_SECRET, headers.authorization);
  if (!claims) return refuse(response, 401);
  const mark = url.indexOf('?');
  const path = mark < 0 ? url : url.slice(0, mark);
  if (path === '/v1/items' && method === 'GET') return list(response, claims, url.slice(mark + 1));
  if (path === '/v1/items' && method === 'POST') return create(response, claims, await read(request));
  const id = path.startsWith('/v1/items/') ? path.slice(10) : '';
  if (!UUID.test(id)) return refuse(response, 404);
  if (method === 'GET') {
    const [row] = await query(SQL.get, [id, claims.sub]);
    return row ? item(response, 200, row) : refuse(response, 404);
  }
  if (method === 'PATCH') return update(response, claims, id, headers['if-match'], await read(request));
  return refuse(response, 405);
}

async function list(response, claims, search) {
  const parameters = new URLSearchParams(search);
  const workspaceId = parameters.get('workspaceId') ?? '';
  const limit = Number(parameters.get('limit') ?? 20);
  if (!UUID.test(workspaceId) || !(limit >= 1 && limit <= 100)) return refuse(response, 400);
  const cursor = parameters.get('cursor');
  const before = cursor === null ? null : itemInCursor(cursor);
  const rows = await query(SQL.list, [claims.sub, workspaceId, before, limit + 1]);
  if (rows.length === 0) return refuse(response, 404);
  const data = rows[0].id === null ? [] : rows.slice(0, limit).map(toItem);
  const nextCursor = rows.length > limit ? cursorOf(workspaceId, data.at(-1).id) : null;
  const prevCursor = before === null ? null : cursorOf(workspaceId, data[0]?.id ?? before);
  return answer(response, 200, { data, nextCursor, prevCursor }, { 'Stream-Cursor': `0-${rows[0].head}` });
}

async function create(response, claims, { workspaceId, type, title, data }) {
  const fits =
    UUID.test(workspaceId) && typeof type === 'string' && typeof title === 'string' && isObject(data);
  if (!fits) return refuse(response, 400);
  const values = [newId(), claims.sub, workspaceId, type, title, JSON.stringify(data), newId()];
  const [row] = await query(SQL.post, values);
  return row ? item(response, 201, row) : refuse(response, 404);
}

async function update(response, claims, id, ifMatch = '', { data }) {
  const version = Number(ifMatch.replaceAll('"', ''));
  if (!(version > 0) || !isObject(data)) return refuse(response, 400);
  const [row] = await query(SQL.patch, [id, claims.sub, version, JSON.stringify(data), newId()]);
  return row ? item(response, 200, row) : refuse(response, 412);
}

http
  .createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) refuse(response, 500);
    });
  })
  .listen(Number(PORT), '127.0.0.1');
process.on('disconnect', () => process.exit(0));
