import { Injectable, type PipeTransform } from '@nestjs/common';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import { applyJsonPatch, JsonPatchDocument, PatchResultRefused } from '../common/json-patch.js';
import { mergePatch } from '../common/merge-patch.js';
import { ValidationFailed } from '../common/problem.js';
import { assign, validated } from '../common/validation.pipe.js';
import { METADATA_LIMIT_BYTES } from './agent-rules.js';
import { AgentContent, type AgentFields, UpdateAgentRequest } from './agents.dto.js';

/** The paths that take a JSON Patch beside a merge patch. */
export const AGENTS_TAKE_JSON_PATCH = /^\/v1\/agents\/[^/]+(?:\/metadata)?\/?$/i;

/** What PATCH on an agent takes: a JSON Patch of what can be written, or a merge patch. */
export type AgentPatch = JsonPatchDocument | UpdateAgentRequest;
/** The same of the metadata alone. */
export type MetadataPatch = JsonPatchDocument | JsonObject;

/** Tells the two apart and checks the merge patch. */
@Injectable()
export class AgentPatchPipe implements PipeTransform<unknown, AgentPatch> {
  /** @throws {ValidationFailed} */
  transform(value: unknown): AgentPatch {
    if (value instanceof JsonPatchDocument) return value;
    return validated(assign(UpdateAgentRequest, value === undefined ? {} : value));
  }
}

/** Takes any JSON object for a merge patch. */
@Injectable()
export class MetadataPatchPipe implements PipeTransform<unknown, MetadataPatch> {
  /** @throws {ValidationFailed} */
  transform(value: unknown): MetadataPatch {
    if (value instanceof JsonPatchDocument) return value;
    const json = value as JsonValue | undefined;
    if (!isJsonObject(json)) throw new ValidationFailed([{ pointer: '', detail: 'must be a JSON object' }]);
    return json;
  }
}

/** @throws {PatchResultRefused} if the result is no agent, or its metadata is too large */
export function patchedAgent(before: AgentFields, patch: AgentPatch): AgentFields {
  const result =
    patch instanceof JsonPatchDocument
      ? applyJsonPatch(JSON.stringify(before), patch)
      : mergePatch(JSON.parse(JSON.stringify(before)) as JsonValue, withoutUndefined(patch));
  return asContent(result);
}

/** @throws {PatchResultRefused} if the result is no object, or too large */
export function patchedMetadata(before: JsonObject, patch: MetadataPatch): JsonObject {
  const result =
    patch instanceof JsonPatchDocument
      ? applyJsonPatch(JSON.stringify(before), patch)
      : mergePatch(before, patch);
  if (!isJsonObject(result))
    throw new PatchResultRefused([{ pointer: '', detail: 'would not be a JSON object' }]);
  if (Buffer.byteLength(JSON.stringify(result)) > METADATA_LIMIT_BYTES)
    throw new PatchResultRefused([
      { pointer: '', detail: `would be longer than ${METADATA_LIMIT_BYTES} bytes of JSON` },
    ]);
  return result;
}

/** Members that the request does not name are no part of the patch. */
const withoutUndefined = (patch: UpdateAgentRequest): JsonObject =>
  JSON.parse(JSON.stringify(patch)) as JsonObject;

function asContent(value: JsonValue | undefined): AgentContent {
  try {
    return validated(assign(AgentContent, isJsonObject(value) ? value : null));
  } catch (error) {
    if (!(error instanceof ValidationFailed)) throw error;
    throw new PatchResultRefused(error.errors ?? []);
  }
}
