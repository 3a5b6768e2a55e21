import { isJsonObject, type JsonValue } from '../common/json.js';
import {
  applyJsonPatch,
  type CopyAllowance,
  type JsonPatchDocument,
  PatchResultRefused,
} from '../common/json-patch.js';
import { ValidationFailed } from '../common/problem.js';
import { assign, validated } from '../common/validation.pipe.js';
import { type ItemRow, ReplaceItemContent } from './items.dto.js';

/**
 * The writable part of an item after a patch.
 * @throws {PatchResultRefused} if it is no item, or its data grew past the limit
 */
export function patchedContent(
  row: Pick<ItemRow, 'title' | 'type' | 'data'>,
  patch: JsonPatchDocument,
  limitBytes: number,
  copies?: CopyAllowance,
): ReplaceItemContent {
  const document = `{"title":${JSON.stringify(row.title)},"type":${JSON.stringify(row.type)},"data":${row.data}}`;
  const content = asContent(applyJsonPatch(document, patch, copies));
  const bytes = Buffer.byteLength(JSON.stringify(content.data));
  if (bytes > limitBytes && bytes > Buffer.byteLength(row.data))
    throw new PatchResultRefused([{ pointer: '/data', detail: `would be longer than ${limitBytes} bytes` }]);
  return content;
}

function asContent(value: JsonValue | undefined): ReplaceItemContent {
  try {
    return validated(assign(ReplaceItemContent, isJsonObject(value) ? value : null));
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    throw new PatchResultRefused(error.errors ?? []);
  }
}
