import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { RESTORE_ITEMS } from '../../src/items/item-trash.sql.js';
import { CREATE_ITEMS, DELETE_ITEMS, UPDATE_ITEMS } from '../../src/items/items.sql.js';
import { HEARTBEATS } from '../../src/leases/heartbeats.sql.js';
import { END_LEASES, EXTEND_LEASES } from '../../src/leases/lease-changes.sql.js';
import { CLAIM_LEASES } from '../../src/leases/lease-claim.sql.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { registerUser } from '../support/people.js';

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly PlanNode[];
}

/** Where PostgreSQL prefers reading all of them, if it is free to, for a hundred guessed inputs. */
const MEMBERSHIPS = 5_000;

let app: TestApp;
beforeAll(async () => {
  app = await startAtrium();
  const { workspaceId, user } = await registerUser(app);
  await app.sql(
    `INSERT INTO memberships (workspace_id, principal_id, role)
     SELECT $1, gen_random_uuid(), 'member' FROM generate_series(1, $2::int)`,
    [workspaceId, MEMBERSHIPS],
  );
  await app.sql(
    `INSERT INTO items (workspace_id, type, title, data, created_by, updated_by, id)
     SELECT $1, 'task', 'item', '{}', $2, $2, gen_random_uuid() FROM generate_series(1, $3::int)`,
    [workspaceId, user.id, MEMBERSHIPS],
  );
  await app.sql('ANALYZE');
});
afterAll(() => app.stop());

/** As it is planned once for all values. */
async function planOf(text: string): Promise<PlanNode[]> {
  const [row] = await app.sql<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(
    `EXPLAIN (GENERIC_PLAN, FORMAT JSON) ${text}`,
  );
  return nodesOf(row['QUERY PLAN'][0].Plan);
}

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

describe('A combined write', () => {
  it.each([
    CREATE_ITEMS,
    UPDATE_ITEMS,
    DELETE_ITEMS,
    RESTORE_ITEMS,
    CLAIM_LEASES,
    CLAIM_LEASES.alone!,
    EXTEND_LEASES,
    END_LEASES,
    END_LEASES.alone!,
    HEARTBEATS,
  ])('finds who may do it by key, however many members there are: $statement.name', async ({ statement }) => {
    const nodes = (await planOf(statement.text)).filter((node) => node['Relation Name'] === 'memberships');
    expect(nodes.map((node) => node['Node Type'])).toContainEqual(expect.stringMatching(/^Index/));
    expect(nodes.map((node) => node['Node Type'])).not.toContain('Seq Scan');
  });
});

describe('A claim', () => {
  it.each([CLAIM_LEASES, CLAIM_LEASES.alone!])(
    'that is planned while nothing is leased does not read all leases to count those of one agent: $statement.name',
    async ({ statement }) => {
      await app.sql(
        `INSERT INTO lease_types (workspace_id, type) SELECT id, 'task' FROM workspaces ON CONFLICT DO NOTHING`,
      );
      await app.sql(
        `INSERT INTO lease_states (item_id, workspace_id, type) SELECT id, workspace_id, type FROM items ON CONFLICT DO NOTHING`,
      );
      await app.sql('ANALYZE lease_states, lease_types');
      const nodes = (await planOf(statement.text)).filter(
        (node) => node['Index Name'] === 'lease_states_held_idx',
      );
      expect(nodes).toHaveLength(1);
      expect(nodes[0]?.['Index Cond']).toMatch(/agent_id = /);
    },
  );

  it.each([CLAIM_LEASES, CLAIM_LEASES.alone!])(
    'that is planned while there are few items finds that of a lease by its key: $statement.name',
    async ({ statement }) => {
      await app.sql(
        `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by)
         SELECT gen_random_uuid(), id, 'task', 'A task', '{}', id, id FROM workspaces, generate_series(1, 100)`,
      );
      await app.sql('ANALYZE items');
      const nodes = (await planOf(statement.text)).filter((node) => node['Relation Name'] === 'items');
      expect(new Set(nodes.map((node) => node['Index Name']))).toEqual(new Set(['items_pkey']));
    },
  );
});

describe('The end of a lease', () => {
  it.each([END_LEASES, END_LEASES.alone!])(
    'finds the lease by its key: $statement.name',
    async ({ statement }) => {
      const nodes = (await planOf(statement.text)).filter((node) => node['Relation Name'] === 'lease_states');
      expect(nodes.map((node) => node['Index Name'])).toContain('lease_states_lease_id_key');
      expect(nodes.map((node) => node['Index Name'])).not.toContain('lease_states_held_idx');
    },
  );
});
