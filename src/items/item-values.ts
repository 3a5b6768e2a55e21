import { isId } from '../common/identifiers.js';
import { JsonRefused, type JsonValue, parseJson } from '../common/json.js';
import { fractionOf, isTime } from '../common/rfc3339.js';
import { type ColumnType, ParameterRefused } from './item-paths.js';

/** A value in a filter on `data`, with its type. */
export interface DataValue {
  readonly type: 'text' | 'number' | 'boolean' | 'null' | 'time' | 'list' | 'object';
  /** The value as JSON; of a time, the text. */
  readonly json: string;
  /** What was written, without the quotes of a text. */
  readonly text: string;
}

const MAX_LIST = 50;
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
/**
 * Reads a value of `data`: what is a JSON number, true, false, null, list, object or text in quotes is that; a time
 * of RFC 3339 is a time; anything else is a text.
 * @throws {ParameterRefused}
 */
export function readDataValue(text: string): DataValue {
  if (isTime(text)) return { type: 'time', json: JSON.stringify(text), text };
  if (!/^["[{]/.test(text) && !NUMBER.test(text) && !['true', 'false', 'null'].includes(text))
    return textValue(text);
  return dataValue(readJson(text));
}

/** @throws {ParameterRefused} */
export function readText(text: string): string {
  if (!text.startsWith('"')) return text;
  const value = readJson(text);
  if (typeof value !== 'string') throw new ParameterRefused('must be a text');
  return value;
}

/**
 * Reads the list of `in` and `nin`: values with commas between, or a JSON list.
 * @throws {ParameterRefused}
 */
export function readDataValues(text: string): DataValue[] {
  return bounded(text.startsWith('[') ? jsonList(text).map(dataValue) : text.split(',').map(readDataValue));
}

/**
 * A value of a column, as PostgreSQL reads it.
 * @throws {ParameterRefused}
 */
export function readColumnValue(type: ColumnType, text: string): string {
  switch (type) {
    case 'text':
      return text;
    case 'uuid':
      if (!isId(text.toLowerCase())) throw new ParameterRefused('must be a UUID');
      return text.toLowerCase();
    case 'integer':
      if (!/^-?\d{1,9}$/.test(text)) throw new ParameterRefused('must be a whole number');
      return text;
    case 'timestamptz':
      if (!isTime(text) || fractionOf(text).length > 3)
        throw new ParameterRefused('must be a time such as 2026-01-31T08:00:00.000Z, in milliseconds');
      return text;
  }
}

/** @throws {ParameterRefused} */
export function readColumnValues(type: ColumnType, text: string): string[] {
  const texts = text.startsWith('[') ? jsonList(text).map(plainText) : text.split(',');
  return bounded(texts).map((entry) => readColumnValue(type, entry));
}

function bounded<T>(list: T[]): T[] {
  if (list.length === 0 || list.length > MAX_LIST)
    throw new ParameterRefused(`must list 1 to ${MAX_LIST} values`);
  return list;
}

function jsonList(text: string): JsonValue[] {
  const list = readJson(text);
  if (!Array.isArray(list)) throw new ParameterRefused('must be a list');
  return list;
}

const textValue = (text: string): DataValue => ({ type: 'text', json: JSON.stringify(text), text });

function dataValue(value: JsonValue): DataValue {
  if (typeof value === 'string') return textValue(value);
  const json = JSON.stringify(value);
  if (value === null) return { type: 'null', json, text: json };
  if (Array.isArray(value)) return { type: 'list', json, text: json };
  const type = typeof value === 'object' ? 'object' : typeof value === 'number' ? 'number' : 'boolean';
  return { type, json, text: json };
}

function readJson(text: string): JsonValue {
  try {
    return parseJson(text);
  } catch (error) {
    if (!(error instanceof JsonRefused)) throw error;
    throw new ParameterRefused(
      `must be JSON that can be kept as it is (${error.problem.detail}); a text that looks like JSON goes in quotes`,
    );
  }
}

const plainText = (value: JsonValue): string => (typeof value === 'string' ? value : JSON.stringify(value));
