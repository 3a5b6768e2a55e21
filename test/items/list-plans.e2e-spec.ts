import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse } from 'node:querystring';
import { readItemListQuery } from '../../src/items/item-list.query.js';
import { listStatement } from '../../src/items/item-list.sql.js';
import { LIST_ITEMS } from '../../src/items/items.sql.js';
import { startAtrium, type TestApp } from '../support/app.js';
import { type Person, registerUser } from '../support/people.js';

interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Index Name'?: string;
  readonly 'Relation Name'?: string;
  readonly 'Actual Rows': number;
  readonly 'Shared Hit Blocks': number;
  readonly 'Shared Read Blocks': number;
  readonly Plans?: readonly PlanNode[];
}

const ITEMS = 30_000;
const id = (n: number) => `01a00000-0000-7000-8000-${String(n).padStart(12, '0')}`;

let app: TestApp;
let ada: Person;
beforeAll(async () => {
  app = await startAtrium();
  ada = await registerUser(app);
  const eve = await registerUser(app);
  // A third of the items is Eve's, in between.
  await app.sql(
    `INSERT INTO items (id, workspace_id, type, title, data, created_by, updated_by, updated_at)
     SELECT ('01a00000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid,
       CASE WHEN n % 3 = 0 THEN $2::uuid ELSE $1::uuid END,
       'type' || n % 20, 'item ' || n,
       jsonb_build_object('n', n, 'code', 'c' || n % 5000, 'tags', jsonb_build_array('t' || n % 3000),
         'text', 'word' || n % 2500 || ' common'),
       $1, $1, timestamptz '2026-01-01 00:00:00+00' + n * interval '1 second'
     FROM generate_series(1, $3::int) n`,
    [ada.workspaceId, eve.workspaceId, ITEMS],
  );
  await app.sql('VACUUM ANALYZE items');
}, 120_000);
afterAll(() => app.stop());

const nodesOf = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

/** How PostgreSQL reads a page, and how many blocks it touches. */
async function plan(query: string, keys?: readonly string[]): Promise<{ nodes: PlanNode[]; blocks: number }> {
  const url = `/v1/items?${query}`;
  const { text, values } = listStatement(
    ada.user.id,
    { id: ada.workspaceId, languages: ['simple'] },
    readItemListQuery({ url, query: parse(query) }),
    keys && { mode: 'after', keys },
  );
  const explain = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${text}`;
  const [row] = await app.sql<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(explain, values);
  const [{ Plan: root }] = row['QUERY PLAN'];
  return { nodes: nodesOf(root), blocks: root['Shared Hit Blocks'] + root['Shared Read Blocks'] };
}

const indexes = (nodes: readonly PlanNode[]) => nodes.flatMap((node) => node['Index Name'] ?? []);

describe('On a larger table', () => {
  it.each<[query: string, index: string]>([
    ['filter[type]=type7', 'items_workspace_id_type_id_idx'],
    ['sort=-updatedAt', 'items_workspace_id_updated_at_id_idx'],
    ['filter[updatedAt][gte]=2026-01-01T08:00:00Z&sort=updatedAt', 'items_workspace_id_updated_at_id_idx'],
    ['filter[data.code]=c77', 'items_data_idx'],
    ['filter[data.code][in]=c77,c78&sort=title', 'items_data_idx'],
    ['filter[data.tags][contains]=t55', 'items_data_idx'],
    ['filter[or][0][data.code]=c77&filter[or][1][data.n]=5', 'items_data_idx'],
    ['q=word77', 'items_search_idx'],
    ['q=word77&filter[type]=type7&sort=title', 'items_search_idx'],
  ])('%s is read by %s, and nobody reads all items', async (query, index) => {
    const { nodes } = await plan(query);
    expect(indexes(nodes)).toContain(index);
    expect(
      nodes.filter((node) => node['Node Type'] === 'Seq Scan' && node['Relation Name'] === 'items'),
    ).toEqual([]);
  });

  it.each<[query: string, key: (n: number) => string[]]>([
    ['sort=-id', (n) => [id(n)]],
    ['sort=id', (n) => [id(n)]],
    ['filter[type]=type7', (n) => [id(n)]],
    ['sort=-updatedAt', (n) => [new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString(), id(n)]],
    ['sort=updatedAt', (n) => [new Date(Date.UTC(2026, 0, 1) + n * 1_000).toISOString(), id(n)]],
  ])('a page of %s costs as much at any depth', async (query, key) => {
    const first = await plan(query);
    for (const depth of [0.1, 0.5, 0.9]) {
      const { blocks, nodes } = await plan(query, key(Math.round(ITEMS * depth)));
      expect(blocks).toBeLessThanOrEqual(first.blocks * 2 + 20);
      // The page and the one that shows that there is more: nothing is read to be thrown away or sorted.
      expect(nodes.filter((node) => node['Actual Rows'] > 21)).toEqual([]);
    }
    expect(first.blocks).toBeLessThan(400);
  });
});

describe('Where one workspace has all items', () => {
  it('another is listed without reading them', async () => {
    await app.sql('DELETE FROM items WHERE workspace_id = $1', [ada.workspaceId]);
    await app.sql('VACUUM ANALYZE items');
    const explain = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${LIST_ITEMS.text}`;
    const values = [ada.user.id, null, null, 101, false];
    const [row] = await app.sql<{ 'QUERY PLAN': [{ Plan: PlanNode }] }>(explain, values);
    const [{ Plan: root }] = row['QUERY PLAN'];
    expect(indexes(nodesOf(root))).not.toContain('items_pkey');
    expect(root['Shared Hit Blocks'] + root['Shared Read Blocks']).toBeLessThan(50);
  });
});
