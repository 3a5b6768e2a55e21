import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, ArrayMinSize, IsArray } from 'class-validator';
import { parseIfMatch, type VersionCondition } from '../common/conditional.js';
import { isId } from '../common/identifiers.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import { JsonPatchDocument } from '../common/json-patch.js';
import { Problem, ValidationFailed } from '../common/problem.js';
import { assign, validated } from '../common/validation.pipe.js';
import { CreateItemRequest, ItemResponse, UpdateItemRequest } from './items.dto.js';
import { BatchFailed } from './items.errors.js';

export const MAX_BATCH_OPERATIONS = 1_000;
const SIZE = `must be a list of 1 to ${MAX_BATCH_OPERATIONS} operations`;

export class BatchRequest {
  /**
   * `{op: "create", item}`, `{op: "update", id, patch, ifMatch?}` (an object is a merge patch, a list a JSON Patch) or
   * `{op: "delete", id, ifMatch?}`; `ifMatch` is written as in the header, `"3"` with its quotes or `*`.
   */
  @IsArray({ message: SIZE })
  @ArrayMinSize(1, { message: SIZE })
  @ArrayMaxSize(MAX_BATCH_OPERATIONS, { message: SIZE })
  @ApiProperty({ type: 'array', items: { type: 'object', additionalProperties: true } })
  operations: JsonValue[];
}

export class BatchResult {
  @ApiProperty({ enum: ['create', 'update', 'delete'] })
  op: string;
  /** UUID of the item. */
  id: string;
  /** After the operation. */
  version: number;
  /** As it was after the operation; not of a deletion. */
  item?: ItemResponse;
}

export class BatchResponse {
  /** One for each operation, in order. */
  results: BatchResult[];
}

/** An operation that is well-formed. */
export type BatchOperation =
  | { readonly op: 'create'; readonly item: CreateItemRequest }
  | {
      readonly op: 'update';
      readonly id: string;
      readonly patch: UpdateItemRequest | JsonPatchDocument;
      readonly ifMatch: VersionCondition | undefined;
    }
  | { readonly op: 'delete'; readonly id: string; readonly ifMatch: VersionCondition | undefined };

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  create: ['item'],
  update: ['id', 'patch', 'ifMatch'],
  delete: ['id', 'ifMatch'],
};

/** @throws {BatchFailed} with a pointer to the first operation that is not well-formed */
export function readOperations({ operations }: BatchRequest): BatchOperation[] {
  return operations.map((operation, n) => BatchFailed.at(n, '', () => readOperation(operation, n)));
}

function readOperation(value: JsonValue, n: number): BatchOperation {
  if (!isJsonObject(value)) throw wrong('', 'must be an operation, a JSON object');
  const { op } = value;
  if (typeof op !== 'string' || !Object.hasOwn(MEMBERS, op))
    throw wrong('/op', 'must be create, update or delete');
  const unknown = Object.keys(value).find((name) => name !== 'op' && !MEMBERS[op].includes(name));
  if (unknown !== undefined) throw wrong(`/${unknown}`, 'is not a property of this operation');
  if (op === 'create') {
    const item = BatchFailed.at(n, '/item', () => validated(assign(CreateItemRequest, value['item'])));
    return { op, item };
  }
  const target = { id: idOf(value), ifMatch: conditionOf(value) };
  if (op === 'delete') return { op, ...target };
  const { patch } = value;
  return BatchFailed.at(n, '/patch', () => ({
    op: 'update',
    ...target,
    patch: Array.isArray(patch) ? JsonPatchDocument.read(patch) : validated(assign(UpdateItemRequest, patch)),
  }));
}

function idOf({ id }: JsonObject): string {
  const text = typeof id === 'string' ? id.toLowerCase() : '';
  if (!isId(text)) throw wrong('/id', 'must be a UUID');
  return text;
}

function conditionOf({ ifMatch }: JsonObject): VersionCondition | undefined {
  if (ifMatch === undefined) return undefined;
  try {
    if (typeof ifMatch === 'string') return parseIfMatch(ifMatch);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
  }
  throw wrong('/ifMatch', 'must be * or quoted versions, such as "\\"3\\""');
}

const wrong = (pointer: string, detail: string): ValidationFailed =>
  new ValidationFailed([{ pointer, detail }]);
