import { ITEM_COLUMNS, type ItemColumn, ParameterRefused, readPath } from './item-paths.js';
import {
  type DataValue,
  readColumnValue,
  readColumnValues,
  readDataValue,
  readDataValues,
  readText,
} from './item-values.js';

const OPERATORS = [
  'eq',
  'ne',
  'gt',
  'gte',
  'lt',
  'lte',
  'in',
  'nin',
  'contains',
  'exists',
  'startsWith',
] as const;
export type Operator = (typeof OPERATORS)[number];

/** What a record must fulfil: `values` are read by the type of the column, or by their own types on `data`. */
export type Condition =
  | {
      readonly kind: 'column';
      readonly column: ItemColumn;
      readonly operator: Operator;
      readonly values: readonly string[];
    }
  | {
      readonly kind: 'data';
      readonly keys: readonly string[];
      readonly operator: Operator;
      readonly values: readonly DataValue[];
    };

/** All of `all`, and of `any`, if there are some, one alternative whole. */
export interface ItemFilter {
  readonly all: readonly Condition[];
  readonly any: readonly (readonly Condition[])[];
}

const MAX_CONDITIONS = 20;
const MAX_ALTERNATIVES = 10;
const MAX_VALUE_LENGTH = 2_000;
/** What stands in one pair of brackets; brackets within quotes belong to it. */
const BRACKETS = /\[((?:[^[\]"]|"(?:[^"\\]|\\.)*")*)\]/y;

/** Collects the `filter[…]` parameters of a query. */
export class FilterReader {
  private readonly all: Condition[] = [];
  private readonly alternatives = new Map<string, Condition[]>();
  private count = 0;

  /**
   * Takes `filter[path]`, `filter[path][operator]`, `filter[and][0][path][operator]`, which says the same, or
   * `filter[or][0][path][operator]`.
   * @throws {ParameterRefused}
   */
  add(name: string, value: string): void {
    if (++this.count > MAX_CONDITIONS)
      throw new ParameterRefused(`is one of too many: at most ${MAX_CONDITIONS} filters`);
    if (value.length > MAX_VALUE_LENGTH)
      throw new ParameterRefused(`must have at most ${MAX_VALUE_LENGTH} characters`);
    const parts = readBrackets(name);
    if (parts[0] !== 'or' && parts[0] !== 'and') {
      this.all.push(readCondition(parts, value));
      return;
    }
    const [how, alternative = '', ...rest] = parts;
    if (!/^\d{1,3}$/.test(alternative))
      throw new ParameterRefused(`must be numbered: filter[${how}][0][path][operator]`);
    if (how === 'and') {
      this.all.push(readCondition(rest, value));
      return;
    }
    const conditions = this.alternatives.get(alternative) ?? [];
    conditions.push(readCondition(rest, value));
    this.alternatives.set(alternative, conditions);
    if (this.alternatives.size > MAX_ALTERNATIVES)
      throw new ParameterRefused(`is one of too many: at most ${MAX_ALTERNATIVES} alternatives`);
  }

  get filter(): ItemFilter {
    return { all: this.all, any: [...this.alternatives.values()] };
  }
}

function readBrackets(name: string): string[] {
  const parts: string[] = [];
  for (let at = 'filter'.length; at < name.length; at = BRACKETS.lastIndex) {
    BRACKETS.lastIndex = at;
    const match = BRACKETS.exec(name);
    if (!match) throw new ParameterRefused('must look like filter[path] or filter[path][operator]');
    parts.push(match[1] ?? '');
  }
  return parts;
}

function readCondition(parts: readonly string[], text: string): Condition {
  const [pathText, operator = 'eq', ...more] = parts;
  if (pathText === undefined || more.length > 0)
    throw new ParameterRefused('must look like filter[path] or filter[path][operator]');
  if (!isOperator(operator)) throw new ParameterRefused(`must have one of ${OPERATORS.join(', ')}`);
  const path = readPath(pathText);
  if (path.kind === 'column') {
    const { type } = ITEM_COLUMNS[path.column];
    const textOnly = operator === 'contains' || operator === 'startsWith';
    if (operator === 'exists' || (textOnly && type !== 'text'))
      throw new ParameterRefused(`cannot have ${operator}, which is for ${textOnly ? 'texts' : 'data'}`);
    const isList = operator === 'in' || operator === 'nin';
    const values = isList ? readColumnValues(type, text) : [readColumnValue(type, text)];
    return { kind: 'column', column: path.column, operator, values };
  }
  if (path.keys.length === 0 && operator !== 'contains')
    throw new ParameterRefused('must name a key in data, such as data.priority, unless it is contains');
  const values = readDataOperand(operator, text);
  if (path.keys.length === 0 && values[0].type !== 'object')
    throw new ParameterRefused('must be a JSON object');
  return { kind: 'data', keys: path.keys, operator, values };
}

function readDataOperand(operator: Operator, text: string): [DataValue, ...DataValue[]] {
  switch (operator) {
    case 'in':
    case 'nin': {
      const [first, ...rest] = readDataValues(text);
      return [first, ...rest];
    }
    case 'exists':
      if (text !== 'true' && text !== 'false') throw new ParameterRefused('must be true or false');
      return [readDataValue(text)];
    case 'startsWith': {
      const prefix = readText(text);
      return [{ type: 'text', json: JSON.stringify(prefix), text: prefix }];
    }
    case 'gt':
    case 'gte':
    case 'lt':
    case 'lte': {
      const value = readDataValue(text);
      if (value.type === 'null' || value.type === 'list' || value.type === 'object')
        throw new ParameterRefused('must be a number, a text, true, false or a time');
      return [value];
    }
    default:
      return [readDataValue(text)];
  }
}

const isOperator = (text: string): text is Operator => (OPERATORS as readonly string[]).includes(text);
