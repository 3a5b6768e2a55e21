// The database of the benchmark: users, workspaces and items with ids that the load can compute.

export const USERS = 1_000;
export const TEAM_ITEMS = 5_000;
export const ITEMS = 100_000;
/** Items of the users' own workspaces; item n belongs to workspace n % USERS. */
export const OWN_ITEMS = ITEMS - TEAM_ITEMS;

const hex = (n) => n.toString(16).padStart(12, '0');
export const userId = (n) => `01900000-0000-7000-8001-${hex(n)}`;
export const workspaceId = (n) => `01900000-0000-7000-8002-${hex(n)}`;
/** The workspace that everybody is a member of. */
export const TEAM = workspaceId(USERS);
export const itemId = (n) => `01900000-0000-7000-8003-${hex(n)}`;
export const sessionId = (n) => `01900000-0000-7000-8004-${hex(n)}`;

/** Each user owns one workspace and is a member of these others, and of the team. */
const NEIGHBOURS = [1, 2, 3];
/** A user's workspaces but the team. */
export const workspacesOf = (user) => [user, ...NEIGHBOURS.map((step) => (user + step) % USERS)];

const id = (kind, n) => `('01900000-0000-7000-800${kind}-' || lpad(to_hex(${n}), 12, '0'))::uuid`;

/** About 500 bytes of JSON. */
const document = `jsonb_build_object(
  'status', (ARRAY['open', 'doing', 'done'])[1 + n % 3], 'priority', n % 5, 'score', n + 0.25,
  'tags', jsonb_build_array('alpha', 'beta', 'tag' || n % 50),
  'address', jsonb_build_object('street', n || ' Long Street', 'city', 'Springfield', 'zip', '12345'),
  'notes', repeat(md5(n::text), 6), 'active', true, 'reference', md5('r' || n))`;

const statements = (items) => [
  `INSERT INTO users (id, email, name, password_hash)
   SELECT ${id(1, 'n')}, 'user' || n || '@bench.example', 'User ' || n, '!' FROM generate_series(0, ${USERS - 1}) n`,
  `INSERT INTO workspaces (id, name, personal_user_id)
   SELECT ${id(2, 'n')}, 'Workspace ' || n, CASE WHEN n < ${USERS} THEN ${id(1, 'n')} END
   FROM generate_series(0, ${USERS}) n`,
  `INSERT INTO streams (id) SELECT id FROM workspaces`,
  `INSERT INTO memberships (workspace_id, principal_id, role)
   SELECT ${id(2, 'n')}, ${id(1, 'n')}, 'owner' FROM generate_series(0, ${USERS - 1}) n
   UNION ALL SELECT ${id(2, `(n + step) % ${USERS}`)}, ${id(1, 'n')}, 'member'
   FROM generate_series(0, ${USERS - 1}) n, unnest(ARRAY[${NEIGHBOURS}]) step
   UNION ALL SELECT '${TEAM}', ${id(1, 'n')}, 'member' FROM generate_series(0, ${USERS - 1}) n`,
  `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
   SELECT ${id(3, 'n')}, CASE WHEN n < ${OWN_ITEMS} THEN ${id(2, `n % ${USERS}`)} ELSE '${TEAM}' END,
     'task', 'Item number ' || n, ${document}, ${id(1, `n % ${USERS}`)}, ${id(1, `n % ${USERS}`)}
   FROM generate_series(0, ${items - 1}) n`,
  `VACUUM ANALYZE`,
  `CHECKPOINT`,
];

/** Fills a migrated, empty database; with the first so many items. */
export async function seed(client, items = ITEMS) {
  for (const statement of statements(items)) await client.query(statement);
}
