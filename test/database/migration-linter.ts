import { parse } from 'libpg-query';
import type { MigrationInterface, QueryRunner } from 'typeorm';
import { alterations } from './migration-linter-alterations.js';
import { type Node, nodeOf, qualifiedName, type Relation, tableName } from './migration-linter-nodes.js';

/** What the linter objects to; docs/migrations.md says of each what to do instead. */
export type Rule =
  | 'concurrent-in-transaction'
  | 'concurrent-not-repeatable'
  | 'constraint-scans'
  | 'drop-in-use'
  | 'hidden-statements'
  | 'index-blocks-writes'
  | 'lock-table'
  | 'no-transaction'
  | 'not-null-scans'
  | 'not-null-without-default'
  | 'own-transaction'
  | 'rename-in-use'
  | 'rewrites-table'
  | 'several-tables'
  | 'validates-too-early'
  | 'whole-table';

export interface Finding {
  readonly rule: Rule;
  /** The statement that it is about, from its beginning. */
  readonly statement: string;
}

/** A migration may say of a rule why it does not matter here: `readonly accepts = { 'whole-table': 'ten rows' }`. */
export type LintedMigration = MigrationInterface & {
  readonly accepts?: Readonly<Partial<Record<Rule, string>>>;
};

/** What the statements before have done. */
export interface Before {
  /** Made by this migration: nobody else uses them yet. */
  readonly newTables: ReadonlySet<string>;
  /** `table.constraint` */
  readonly notValid: ReadonlySet<string>;
  readonly validatedTables: ReadonlySet<string>;
}

const SHOWN = 100;
/** What a version that runs beside the new one may use. */
const USED = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_FUNCTION',
  'OBJECT_TYPE',
  'OBJECT_SCHEMA',
  'OBJECT_SEQUENCE',
]);
const NAMED = new Set([
  'OBJECT_COLUMN',
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_FUNCTION',
  'OBJECT_TYPE',
  'OBJECT_SCHEMA',
]);

/** What a migration does to an installation that serves requests. Of what is in functions and `DO`, it sees nothing. */
export async function lint(migration: LintedMigration): Promise<Finding[]> {
  const texts: string[] = [];
  const runner = {
    query: (text: string) => {
      texts.push(text);
      return Promise.resolve([]);
    },
  };
  await migration.up(runner as unknown as QueryRunner);
  const findings: Finding[] = [];
  const newTables = new Set<string>();
  const notValid = new Set<string>();
  const validatedTables = new Set<string>();
  const droppedIndexes = new Set<string>();
  const locked = new Set<string>();
  for (const text of texts)
    for (const { stmt } of (await parse(text)).stmts ?? []) {
      const [kind, node] = nodeOf(stmt);
      const before = { newTables, notValid, validatedTables };
      const inTransaction = migration.transaction !== false;
      const rules =
        kind === 'AlterTableStmt'
          ? alterations(node, before)
          : judge(kind, node, before, droppedIndexes, inTransaction);
      const table = lockedTable(kind, node);
      if (table !== undefined && !newTables.has(table) && locked.add(table).size > 1)
        rules.push('several-tables');
      if (!inTransaction && !isConcurrent(node)) rules.push('no-transaction');
      for (const rule of new Set(rules))
        if (!migration.accepts?.[rule])
          findings.push({ rule, statement: text.trim().replaceAll(/\s+/g, ' ').slice(0, SHOWN) });
      remember(kind, node);
    }
  return findings;

  function remember(kind: string, node: Node): void {
    if (kind === 'CreateStmt') newTables.add(tableName(node['relation'] as Relation));
    if (kind === 'CreateTableAsStmt') newTables.add(tableName((node['into'] as { rel: Relation }).rel));
    if (kind === 'DropStmt' && isConcurrent(node) && node['missing_ok'])
      for (const object of node['objects'] as object[]) droppedIndexes.add(qualifiedName(object));
    if (kind !== 'AlterTableStmt') return;
    const table = tableName(node['relation'] as Relation);
    for (const { AlterTableCmd: command } of node['cmds'] as { AlterTableCmd: Node }[]) {
      const constraint = (command['def'] as { Constraint?: Node } | undefined)?.Constraint;
      if (constraint?.['skip_validation']) notValid.add(`${table}.${String(constraint['conname'])}`);
      if (command['subtype'] === 'AT_ValidateConstraint') validatedTables.add(table);
    }
  }
}

/** The table that nobody else can use until the end of the transaction. */
function lockedTable(kind: string, node: Node): string | undefined {
  const isIndex = node['objtype'] === 'OBJECT_INDEX' || String(node['renameType']) === 'OBJECT_INDEX';
  if (isIndex || !['AlterTableStmt', 'RenameStmt', 'CreateTrigStmt'].includes(kind)) return undefined;
  return node['relation'] === undefined ? undefined : tableName(node['relation'] as Relation);
}

const isConcurrent = (node: Node): boolean => node['concurrent'] === true;

function judge(
  kind: string,
  node: Node,
  { newTables }: Before,
  droppedIndexes: ReadonlySet<string>,
  inTransaction: boolean,
): Rule[] {
  const isNew = (relation: unknown) => newTables.has(tableName(relation as Relation));
  switch (kind) {
    case 'IndexStmt': {
      if (!isConcurrent(node)) return isNew(node['relation']) ? [] : ['index-blocks-writes'];
      const repeatable = !node['if_not_exists'] && droppedIndexes.has(String(node['idxname']));
      return [
        ...(inTransaction ? (['concurrent-in-transaction'] as const) : []),
        ...(repeatable ? [] : (['concurrent-not-repeatable'] as const)),
      ];
    }
    case 'DropStmt': {
      const type = String(node['removeType']);
      if (type === 'OBJECT_INDEX') {
        if (!isConcurrent(node)) return ['index-blocks-writes'];
        return inTransaction ? ['concurrent-in-transaction'] : [];
      }
      const all = (node['objects'] as object[]).map(qualifiedName);
      return USED.has(type) && !all.every((name) => newTables.has(name)) ? ['drop-in-use'] : [];
    }
    case 'RenameStmt':
      return NAMED.has(String(node['renameType'])) && !(node['relation'] && isNew(node['relation']))
        ? ['rename-in-use']
        : [];
    case 'UpdateStmt':
    case 'DeleteStmt':
      return node['whereClause'] || isNew(node['relation']) ? [] : ['whole-table'];
    case 'TruncateStmt':
      return ['whole-table'];
    case 'LockStmt':
      return ['lock-table'];
    case 'ClusterStmt':
    case 'ReindexStmt':
    case 'RepackStmt':
      return ['rewrites-table'];
    case 'VacuumStmt':
      return ['own-transaction'];
    case 'DoStmt':
      return ['hidden-statements'];
    case 'TransactionStmt':
      return ['own-transaction'];
    default:
      return [];
  }
}
