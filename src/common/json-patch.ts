import { type Operation as LibraryOperation, applyPatch } from 'rfc6902';
import { type JsonValue, MAX_DEPTH, pointerTo } from './json.js';
import { pointerFault, pointerTokens } from './json-pointer.js';
import { weigh } from './json-weight.js';
import { type InputError, Problem, ValidationFailed } from './problem.js';

export const JSON_PATCH_TYPE = 'application/json-patch+json';

/** Operations of one patch. */
export const MAX_OPERATIONS = 1_000;
/** What `copy` and `move` of one patch may touch in all, as {@link weigh} counts. */
const MAX_COPIED = 8_388_608;

/** One step of a JSON Patch (RFC 6902, section 4), checked for its form. */
export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: JsonValue }
  | { readonly op: 'remove'; readonly path: string }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string };

/** 409 `patch_test_failed`: a `test` of the patch found another value; nothing was written. */
export class PatchTestFailed extends Problem {
  constructor(error: InputError) {
    super(409, 'patch_test_failed', `${error.pointer} ${error.detail}; nothing was written.`, {
      errors: [error],
    });
  }
}

/** 422 `patch_not_applicable`: an operation does not fit the document (RFC 5789, section 2.2). */
export class PatchNotApplicable extends Problem {
  constructor(error: InputError) {
    super(422, 'patch_not_applicable', `${error.pointer} ${error.detail}; nothing was written.`, {
      errors: [error],
    });
  }
}

/** 422 `patch_result_refused`: what a patch would make of the record is none; `errors` says where. */
export class PatchResultRefused extends Problem {
  constructor(errors: readonly InputError[]) {
    const said = errors.map(({ pointer, detail }) => `${pointer} ${detail}`.trim()).join('; ');
    super(422, 'patch_result_refused', `After the patch: ${said}. Nothing was written.`, { errors });
  }
}

/** A JSON Patch that is well-formed. */
export class JsonPatchDocument {
  private constructor(readonly operations: readonly JsonPatchOperation[]) {}

  /** @throws {ValidationFailed} with a pointer to every operation that is none */
  static read(value: JsonValue): JsonPatchDocument {
    if (!Array.isArray(value))
      throw new ValidationFailed([{ pointer: '', detail: 'must be a list of operations' }]);
    if (value.length > MAX_OPERATIONS)
      throw new ValidationFailed([{ pointer: '', detail: `must have at most ${MAX_OPERATIONS} operations` }]);
    const faults = value.flatMap((entry, index) => faultsOf(entry, pointerTo('', index)));
    if (faults.length > 0) throw new ValidationFailed(faults);
    return new JsonPatchDocument(value as unknown as JsonPatchOperation[]);
  }
}

/** Members that an operation does not know are ignored, as RFC 6902 has it. */
function faultsOf(entry: JsonValue, pointer: string): InputError[] {
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry))
    return [{ pointer, detail: 'must be an operation, a JSON object' }];
  const { op } = entry;
  if (typeof op !== 'string' || !Object.hasOwn(MEMBERS, op))
    return [{ pointer: `${pointer}/op`, detail: `must be one of ${Object.keys(MEMBERS).join(', ')}` }];
  return MEMBERS[op].flatMap((member) => {
    const at = `${pointer}/${member}`;
    if (!Object.hasOwn(entry, member)) return [{ pointer: at, detail: `is missing: ${op} needs it` }];
    if (member === 'value') return [];
    const value = entry[member];
    const fault = typeof value === 'string' ? pointerFault(value) : 'must be a text, a JSON Pointer';
    return fault === undefined ? [] : [{ pointer: at, detail: fault }];
  });
}

const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  add: ['path', 'value'],
  remove: ['path'],
  replace: ['path', 'value'],
  move: ['from', 'path'],
  copy: ['from', 'path'],
  test: ['path', 'value'],
};

/** A place in the document: the object or list that it is in, and under which key. */
interface Place {
  readonly parent: object;
  readonly token: string;
}

/**
 * Applies a JSON Patch (RFC 6902) to a document, which is left as it is: all of it, or none.
 *
 * Where a pointer leads is found out here, by own members and exact indexes only: libraries look through prototypes
 * and take `1e0` or `constructor` for something else. The library changes the object or list that was found.
 * @param json the document
 * @param copies what the patch may copy
 * @returns the new document; `undefined` when the whole of it was removed
 * @throws {PatchTestFailed} @throws {PatchNotApplicable} with a pointer to the operation
 */
export function applyJsonPatch(
  json: string,
  patch: JsonPatchDocument,
  copies = new CopyAllowance(),
): JsonValue | undefined {
  return new PatchRun(JSON.parse(json) as JsonValue, copies).apply(patch);
}

/** What is left of what `copy` and `move` may touch: of one patch, or of several that come together. */
export class CopyAllowance {
  private left = MAX_COPIED;

  /** @returns false if there is not so much left */
  take(value: JsonValue): boolean {
    this.left -= weigh(value, this.left);
    return this.left >= 0;
  }
}

class PatchRun {
  /** The document is a member, so that the whole of it is a place as well. */
  private readonly holder: { root?: JsonValue };

  constructor(
    root: JsonValue,
    private readonly copies: CopyAllowance,
  ) {
    this.holder = { root };
  }

  apply({ operations }: JsonPatchDocument): JsonValue | undefined {
    operations.forEach((operation, index) => this.step(operation, `/${index}`));
    return this.holder.root;
  }

  private step(operation: JsonPatchOperation, at: string): void {
    const { op, path } = operation;
    switch (op) {
      case 'add':
        return this.add(path, operation.value, at);
      case 'remove':
        return this.change(this.find(path, `${at}/path`), { op });
      case 'replace': {
        this.refuseDepth(path, operation.value, at);
        return this.change(this.find(path, `${at}/path`), { op, value: operation.value });
      }
      case 'copy':
        return this.add(path, this.take(operation.from, at), at);
      case 'move': {
        const { from } = operation;
        if (path.startsWith(`${from}/`)) throw refused(at, 'path', 'cannot be moved into itself');
        const value = this.take(from, at);
        this.change(this.find(from, `${at}/from`), { op: 'remove' });
        return this.add(path, value, at);
      }
      case 'test': {
        const { parent, token } = this.find(path, `${at}/path`);
        if (!sameJson(valueAt(parent, token), operation.value))
          throw new PatchTestFailed({ pointer: at, detail: `test of ${shown(path)} found another value` });
      }
    }
  }

  /** What `copy` and `move` take, within what one patch may touch: a few copies of copies would fill the memory. */
  private take(from: string, at: string): JsonValue {
    const { parent, token } = this.find(from, `${at}/from`);
    const value = valueAt(parent, token);
    if (!this.copies.take(value)) throw refused(at, 'from', 'makes the patch copy and move too much');
    return value;
  }

  private add(path: string, value: JsonValue, at: string): void {
    this.refuseDepth(path, value, at);
    const pointer = `${at}/path`;
    const { parent, token } = this.locate(path, pointer);
    if (Array.isArray(parent) && token !== '-' && !(isIndex(token) && Number(token) <= parent.length))
      throw new PatchNotApplicable({ pointer, detail: `${shown(path)} is no index up to the list's end` });
    this.change({ parent, token }, { op: 'add', value });
  }

  private refuseDepth(path: string, value: JsonValue, at: string): void {
    if (pointerTokens(path).length + depthOf(value) > MAX_DEPTH)
      throw refused(at, 'path', `would be nested deeper than ${MAX_DEPTH} levels`);
  }

  /** @throws {PatchNotApplicable} if nothing is there */
  private find(path: string, pointer: string): Place {
    const place = this.locate(path, pointer);
    if (!has(place.parent, place.token))
      throw new PatchNotApplicable({ pointer, detail: `${shown(path)} does not exist` });
    return place;
  }

  /** @throws {PatchNotApplicable} if there is nothing that it could be in */
  private locate(path: string, pointer: string): Place {
    const tokens = ['root', ...pointerTokens(path)];
    const token = tokens.pop() ?? '';
    let parent: JsonValue | object = this.holder;
    for (const step of tokens) {
      if (!isContainer(parent) || !has(parent, step))
        throw new PatchNotApplicable({ pointer, detail: `${shown(path)} is in nothing that exists` });
      parent = valueAt(parent, step);
    }
    if (!isContainer(parent))
      throw new PatchNotApplicable({ pointer, detail: `${shown(path)} is in no object and no list` });
    return { parent, token };
  }

  private change(
    { parent, token }: Place,
    what: { op: 'add' | 'replace' | 'remove'; value?: JsonValue },
  ): void {
    const path = pointerTo('', token);
    const [error] = applyPatch(parent, [{ ...what, path } as LibraryOperation]);
    if (error) throw error;
  }
}

const refused = (at: string, member: string, detail: string): PatchNotApplicable =>
  new PatchNotApplicable({ pointer: `${at}/${member}`, detail });

const isContainer = (value: unknown): value is object => typeof value === 'object' && value !== null;
const isIndex = (token: string): boolean => /^(0|[1-9]\d{0,9})$/.test(token);
const has = (parent: object, token: string): boolean =>
  Array.isArray(parent) ? isIndex(token) && Number(token) < parent.length : Object.hasOwn(parent, token);
const valueAt = (parent: object, token: string): JsonValue => Reflect.get(parent, token) as JsonValue;
/** For a message: the document as a whole has an empty pointer. */
const shown = (path: string): string => JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);

/** Equality as RFC 6902, section 4.6, has it: numbers by value, objects whatever the order of their members. */
export function sameJson(one: JsonValue, other: JsonValue): boolean {
  if (!isContainer(one) || !isContainer(other)) return one === other;
  if (Array.isArray(one) !== Array.isArray(other)) return false;
  const keys = Object.keys(one);
  return (
    keys.length === Object.keys(other).length &&
    keys.every((key) => Object.hasOwn(other, key) && sameJson(valueAt(one, key), valueAt(other, key)))
  );
}

/** How deep a value nests; `{}` and `[]` are one level. */
function depthOf(value: JsonValue): number {
  if (!isContainer(value)) return 0;
  return 1 + Object.values(value).reduce<number>((most, entry) => Math.max(most, depthOf(entry)), 0);
}
