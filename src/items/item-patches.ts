import { Injectable, type PipeTransform } from '@nestjs/common';
import type { VersionCondition } from '../common/conditional.js';
import { JsonPatchDocument } from '../common/json-patch.js';
import { Unavailable, VersionMismatch } from '../common/problem.js';
import type { Representation } from '../common/representation.js';
import { Turns } from '../common/turns.js';
import { assign, validated } from '../common/validation.pipe.js';
import { AtriumConfig } from '../config/config.js';
import type { Caller } from '../workspaces/requires.js';
import { requireVersion } from '../workspaces/workspace-lock.js';
import { type ItemResponse, UpdateItemRequest } from './items.dto.js';
import { ItemsService } from './items.service.js';
import { patchedContent } from './patched-content.js';

/** The paths that take a JSON Patch beside a merge patch. */
export const TAKES_JSON_PATCH = /^\/v1\/items\/[^/]+\/?$/i;

/** Patches that may wait for another one of the same item. */
const MAX_WAITING = 4_096;
/** How often a patch is tried on an item that others keep changing at the same time. */
const ATTEMPTS = 20;

/** What PATCH on an item takes: a JSON Patch, whose form was checked when it was read, or a merge patch. */
export type ItemPatch = JsonPatchDocument | UpdateItemRequest;

/** Tells the two apart and checks the merge patch. */
@Injectable()
export class ItemPatchPipe implements PipeTransform<unknown, ItemPatch> {
  /** @throws {ValidationFailed} */
  transform(value: unknown): ItemPatch {
    if (value instanceof JsonPatchDocument) return value;
    return validated(assign(UpdateItemRequest, value === undefined ? {} : value));
  }
}

/** Changes items by patches of either kind. */
@Injectable()
export class ItemPatches {
  private readonly turns = new Turns(MAX_WAITING);
  private readonly limitBytes: number;

  constructor(
    private readonly items: ItemsService,
    config: AtriumConfig,
  ) {
    this.limitBytes = config.http.bodyLimitBytes;
  }

  /**
   * Changes an item by a merge patch (RFC 7396), in one statement, or by a JSON Patch (RFC 6902), whose document is
   * `{title, type, data}`. The latter is applied to the item as it is read, and written if the item is still that:
   * else it is applied anew, so no other write is lost. Patches of one item take turns in this process.
   * @throws as {@link ItemsService.update}
   * @throws {import('../common/json-patch.js').PatchTestFailed}
   * @throws {import('../common/json-patch.js').PatchNotApplicable}
   * @throws {import('../common/json-patch.js').PatchResultRefused} if the result is no item
   * @throws {Unavailable} if others keep changing it; nothing was written
   */
  async apply(
    caller: Caller<'items:write'>,
    id: string,
    patch: ItemPatch,
    ifMatch: VersionCondition | undefined,
    lease?: string,
  ): Promise<Representation<ItemResponse>> {
    if (!(patch instanceof JsonPatchDocument)) return this.items.update(caller, id, patch, ifMatch, lease);
    return this.turns.take(id, async () => {
      for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
        const written = await this.attempt(caller, id, patch, ifMatch, lease);
        if (written) return written;
      }
      throw new Unavailable('Others keep changing this item; nothing was done. Try again.');
    });
  }

  /** @returns `undefined` if somebody was faster */
  private async attempt(
    caller: Caller<'items:write'>,
    id: string,
    patch: JsonPatchDocument,
    ifMatch: VersionCondition | undefined,
    lease: string | undefined,
  ): Promise<Representation<ItemResponse> | undefined> {
    const row = await this.items.readToWrite(caller, id);
    const version = Number(row.version);
    requireVersion(version, ifMatch);
    const content = patchedContent(row, patch, this.limitBytes);
    try {
      return await this.items.replace(caller, id, content, version, ifMatch !== undefined, lease);
    } catch (error) {
      if (error instanceof VersionMismatch) return undefined;
      throw error;
    }
  }
}
