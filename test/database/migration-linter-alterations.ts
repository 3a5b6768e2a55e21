import type { Before, Rule } from './migration-linter.js';
import { functionsIn, type Node, type Relation, tableName } from './migration-linter-nodes.js';

/** The same for all rows, so PostgreSQL keeps it once instead of writing every row anew. */
const STEADY = new Set([
  'now',
  'transaction_timestamp',
  'statement_timestamp',
  'current_setting',
  'make_interval',
]);
const SERIAL = /^(small|big)?serial[248]?$/;

/** What an ALTER TABLE does to a table that others use. */
export function alterations(node: Node, before: Before): Rule[] {
  if (node['objtype'] !== 'OBJECT_TABLE') return [];
  const table = tableName(node['relation'] as Relation);
  if (before.newTables.has(table)) return [];
  return (node['cmds'] as { AlterTableCmd: Node }[]).flatMap(({ AlterTableCmd: command }) => {
    const definition = command['def'] as { ColumnDef?: Node; Constraint?: Node } | undefined;
    switch (command['subtype']) {
      case 'AT_AddColumn':
        return addedColumn(definition?.ColumnDef ?? {});
      case 'AT_AlterColumnType':
      case 'AT_SetLogged':
      case 'AT_SetUnLogged':
      case 'AT_SetAccessMethod':
      case 'AT_SetTableSpace':
      case 'AT_AddIdentity':
      case 'AT_SetExpression':
        return ['rewrites-table'];
      case 'AT_SetNotNull':
        return before.validatedTables.has(table) ? [] : ['not-null-scans'];
      case 'AT_AddConstraint':
        return addedTableConstraint(definition?.Constraint ?? {});
      case 'AT_ValidateConstraint':
        return before.notValid.has(`${table}.${String(command['name'])}`) ? ['validates-too-early'] : [];
      case 'AT_DropColumn':
        return ['drop-in-use'];
      case 'AT_AttachPartition':
        return ['constraint-scans'];
      default:
        return [];
    }
  });
}

function addedColumn(column: Node): Rule[] {
  const constraints = ((column['constraints'] ?? []) as { Constraint: Node }[]).map(
    ({ Constraint }) => Constraint,
  );
  const types = constraints.map(({ contype }) => contype);
  const { raw_expr: byDefault } = constraints.find(({ contype }) => contype === 'CONSTR_DEFAULT') ?? {};
  const names = (column['typeName'] as { names?: { String: { sval: string } }[] } | undefined)?.names ?? [];
  const rules: Rule[] = [];
  const isSerial = SERIAL.test(names.at(-1)?.String.sval ?? '');
  const isVolatile = functionsIn(byDefault).some((name) => !STEADY.has(name));
  if (isSerial || isVolatile || types.includes('CONSTR_GENERATED') || types.includes('CONSTR_IDENTITY'))
    rules.push('rewrites-table');
  if (types.includes('CONSTR_NOTNULL') && byDefault === undefined && !isSerial)
    rules.push('not-null-without-default');
  for (const constraint of constraints) rules.push(...addedConstraint(constraint));
  return rules;
}

/** Of PostgreSQL 18: `ADD CONSTRAINT … NOT NULL`. */
const addedTableConstraint = (constraint: Node): Rule[] =>
  constraint['contype'] === 'CONSTR_NOTNULL' && !constraint['skip_validation']
    ? ['not-null-scans']
    : addedConstraint(constraint);

function addedConstraint(constraint: Node): Rule[] {
  switch (constraint['contype']) {
    case 'CONSTR_FOREIGN':
    case 'CONSTR_CHECK':
      return constraint['skip_validation'] ? [] : ['constraint-scans'];
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
    case 'CONSTR_EXCLUSION':
      return constraint['indexname'] ? [] : ['index-blocks-writes'];
    default:
      return [];
  }
}
