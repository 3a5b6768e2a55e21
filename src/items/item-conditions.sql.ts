import type { StatementValue } from '../database/pipelined-statements.js';
import type { Condition, ItemFilter, Operator } from './item-filters.js';
import { ITEM_COLUMNS } from './item-paths.js';
import type { DataValue } from './item-values.js';

/** The parameters of a statement that is put together: what came from a client stands here and nowhere else. */
export class SqlParameters {
  readonly values: StatementValue[] = [];

  /** @returns what stands for the value in the statement */
  add(value: StatementValue, type: string): string {
    return `$${this.values.push(value)}::${type}`;
  }
}

const COMPARISON = { eq: '=', ne: '<>', gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
/** Times are shown in milliseconds and kept in microseconds: equal is what is shown equal. */
const NEXT_MILLISECOND = `+ interval '1 millisecond'`;

/** What a filter demands of the row `i`, one SQL condition each, to be joined by AND. */
export function filterSql(parameters: SqlParameters, { all, any }: ItemFilter): string[] {
  const sql = all.map((condition) => conditionSql(parameters, condition));
  if (any.length === 0) return sql;
  const alternatives = any.map((conditions) =>
    conditions.map((condition) => conditionSql(parameters, condition)).join(' AND '),
  );
  return [...sql, `(${alternatives.map((alternative) => `(${alternative})`).join(' OR ')})`];
}

function conditionSql(parameters: SqlParameters, condition: Condition): string {
  if (condition.kind === 'column') return columnSql(parameters, condition);
  return dataSql(parameters, condition.keys, condition.operator, condition.values);
}

function columnSql(
  parameters: SqlParameters,
  { column, operator, values }: Extract<Condition, { kind: 'column' }>,
): string {
  const { sql: name, type } = ITEM_COLUMNS[column];
  const sql = `i.${name}`;
  const one = values[0] ?? '';
  if (type === 'timestamptz') return timeSql(parameters, sql, operator, values);
  switch (operator) {
    case 'in':
      return `${sql} = ANY (${parameters.add(values, `${type}[]`)})`;
    case 'nin':
      return `${sql} <> ALL (${parameters.add(values, `${type}[]`)})`;
    case 'contains':
      return `strpos(${sql}, ${parameters.add(one, 'text')}) > 0`;
    case 'startsWith':
      return `${sql} ^@ ${parameters.add(one, 'text')}`;
    case 'exists':
      return 'true';
    default:
      return `${sql} ${COMPARISON[operator]} ${parameters.add(one, type)}`;
  }
}

function timeSql(
  parameters: SqlParameters,
  sql: string,
  operator: Operator,
  values: readonly string[],
): string {
  // Each once, since PostgreSQL refuses a parameter that nothing uses.
  const times = values.map((value) => parameters.add(value, 'timestamptz'));
  const [at = ''] = times;
  const during = (time: string) => `(${sql} >= ${time} AND ${sql} < ${time} ${NEXT_MILLISECOND})`;
  const any = `(${times.map(during).join(' OR ')})`;
  switch (operator) {
    case 'ne':
    case 'nin':
      return `NOT ${any}`;
    case 'gt':
      return `${sql} >= ${at} ${NEXT_MILLISECOND}`;
    case 'gte':
      return `${sql} >= ${at}`;
    case 'lt':
      return `${sql} < ${at}`;
    case 'lte':
      return `${sql} < ${at} ${NEXT_MILLISECOND}`;
    default:
      return any;
  }
}

function dataSql(
  parameters: SqlParameters,
  keys: readonly string[],
  operator: Operator,
  values: readonly DataValue[],
): string {
  const [value] = values;
  const place = () => `(i.data #> ${parameters.add(keys, 'text[]')})`;
  switch (operator) {
    case 'eq':
    case 'in':
      return `(${values.map((one) => equalSql(parameters, keys, one)).join(' OR ')})`;
    case 'ne':
    case 'nin':
      return `${dataSql(parameters, keys, 'in', values)} IS NOT TRUE`;
    case 'exists':
      return `${place()} IS ${value.json === 'true' ? 'NOT ' : ''}NULL`;
    case 'startsWith': {
      const sql = place();
      return `(jsonb_typeof(${sql}) = 'string' AND ${sql} #>> '{}' ^@ ${parameters.add(value.text, 'text')})`;
    }
    case 'contains':
      return containsSql(
        parameters,
        keys,
        value.type === 'list' || value.type === 'object' ? value.json : `[${value.json}]`,
      );
    default: {
      const sql = place();
      if (value.type === 'time')
        return `jsonb_time(${sql}) ${COMPARISON[operator]} ${parameters.add(value.text, 'timestamptz')}`;
      const type = value.type === 'text' ? 'string' : value.type;
      const compared = `${sql} ${COMPARISON[operator]} ${parameters.add(value.json, 'jsonb')}`;
      return `(jsonb_typeof(${sql}) = '${type}' AND ${compared})`;
    }
  }
}

function equalSql(parameters: SqlParameters, keys: readonly string[], value: DataValue): string {
  const place = () => `(i.data #> ${parameters.add(keys, 'text[]')})`;
  if (value.type === 'time') return `jsonb_time(${place()}) = ${parameters.add(value.text, 'timestamptz')}`;
  const isScalar = value.type !== 'list' && value.type !== 'object';
  if (isScalar && !keys.some(isPosition)) return containsSql(parameters, keys, value.json);
  const equal = `${place()} = ${parameters.add(value.json, 'jsonb')}`;
  return isScalar ? equal : `(${containsSql(parameters, keys, value.json)} AND ${equal})`;
}

/** By containment in the whole of `data`, which the index serves, unless a key may be a place in a list. */
function containsSql(parameters: SqlParameters, keys: readonly string[], json: string): string {
  if (keys.some(isPosition))
    return `i.data #> ${parameters.add(keys, 'text[]')} @> ${parameters.add(json, 'jsonb')}`;
  const whole = keys.reduceRight((inner, key) => `{${JSON.stringify(key)}:${inner}}`, json);
  return `i.data @> ${parameters.add(whole, 'jsonb')}`;
}

/** Whether PostgreSQL takes the key for a place in a list, where there is one. */
const isPosition = (key: string): boolean => /^\s*[+-]?\d+\s*$/.test(key);
