// What somebody would write by hand for one filtered list: `node:http` and a `pg` pool, one statement a request. It
// verifies the same token, joins the same membership, and looks for the same member of `data`, by the index that Atrium
// has. The statement is planned for its values, as Atrium's is.
import http from 'node:http';
import pg from 'pg';
import { answer, toItem } from './plain-answers.mjs';
import { cursors, verify } from './tokens.mjs';

const { DATABASE_URL, TOKEN_SECRET, PORT, POOL = '16' } = process.env;
const cursorOf = cursors(TOKEN_SECRET);
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: Number(POOL) });

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const FILTER = /^filter\[data\.(\w+)\](\[contains\])?$/;
const LIST = `SELECT s.head, i.* FROM memberships m JOIN streams s ON s.id = m.workspace_id
  LEFT JOIN LATERAL (
    SELECT i.id, i.workspace_id, i.type, i.title, i.data, i.version, i.created_at, i.created_by, i.updated_at, i.updated_by
    FROM items i WHERE i.workspace_id = $2 AND i.data @> $3 ORDER BY i.id DESC LIMIT $4
  ) i ON true
  WHERE m.principal_id = $1 AND m.workspace_id = $2 ORDER BY i.id DESC`;

async function handle(request, response) {
  const { url, headers } = request;
  if (url === '/health/ready') return answer(response, 200, { status: 'ok' });
  const claims = verify(TOKEN_SECRET, headers.authorization);
  if (!claims) return answer(response, 401, { status: 401 });
  const parameters = new URLSearchParams(url.slice(url.indexOf('?') + 1));
  const workspaceId = parameters.get('workspaceId') ?? '';
  const limit = Number(parameters.get('limit') ?? 20);
  const [name, value] = [...parameters].find(([each]) => each.startsWith('filter')) ?? [''];
  const [, key, contains] = FILTER.exec(name) ?? [];
  if (!UUID.test(workspaceId) || !(limit >= 1 && limit <= 100) || !key)
    return answer(response, 400, { status: 400 });
  const wanted = JSON.stringify({ [key]: contains ? [value] : value });
  const { rows } = await pool.query(LIST, [claims.sub, workspaceId, wanted, limit + 1]);
  if (rows.length === 0) return answer(response, 404, { status: 404 });
  const data = rows[0].id === null ? [] : rows.slice(0, limit).map(toItem);
  const nextCursor = rows.length > limit ? cursorOf(workspaceId, data.at(-1).id) : null;
  const page = { data, nextCursor, prevCursor: null };
  return answer(response, 200, page, { 'Stream-Cursor': `0-${rows[0].head}` });
}

http
  .createServer((request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      if (!response.headersSent) answer(response, 500, { status: 500 });
    });
  })
  .listen(Number(PORT), '127.0.0.1');
process.on('disconnect', () => process.exit(0));
