import { isJsonObject, type JsonObject, type JsonValue, pointerTo } from './json.js';
import { type JsonPatchOperation, sameJson } from './json-patch.js';

/** More operations, or longer pointers in all, than this: then the value is replaced as a whole. */
const MAX_OPERATIONS = 500;
const MAX_POINTERS = 65_536;

/**
 * The JSON Patch (RFC 6902) that makes one document of another: `add`, `remove` and `replace`, none if they are equal
 * in the sense of section 4.6. It is no longer than the new document, but for pointers of 64 Ki characters in all.
 *
 * Lists of one length are compared place by place; of others, what they begin and end with alike is left out. So it takes
 * time in proportion to the documents, where the shortest patch would take the square and more: the library that
 * applies our patches needs 4 s for two lists of 300 numbers.
 */
export function diffJson(before: JsonValue, after: JsonValue): readonly JsonPatchOperation[] {
  return diff(before, after, '');
}

function diff(before: JsonValue, after: JsonValue, path: string): readonly JsonPatchOperation[] {
  const steps = new Steps(path, after);
  if (Array.isArray(before) && Array.isArray(after)) diffLists(before, after, steps);
  else if (isJsonObject(before) && isJsonObject(after)) diffObjects(before, after, steps);
  else if (!sameJson(before, after)) steps.replace();
  return steps.operations;
}

/** What is to be done below one place, until it is too much. */
class Steps {
  operations: JsonPatchOperation[] = [];
  full = false;
  private pointers = 0;

  constructor(
    readonly path: string,
    private readonly after: JsonValue,
  ) {}

  /** @returns false if it is too much: then the whole value is replaced */
  add(operations: readonly JsonPatchOperation[]): boolean {
    if (this.full) return false;
    this.pointers += operations.reduce((sum, { path }) => sum + path.length, 0);
    const count = this.operations.length + operations.length;
    if (count > MAX_OPERATIONS || (count > 1 && this.pointers > MAX_POINTERS)) this.replace();
    else for (const operation of operations) this.operations.push(operation);
    return !this.full;
  }

  replace(): void {
    this.operations = [{ op: 'replace', path: this.path, value: this.after }];
    this.full = true;
  }
}

function diffObjects(before: JsonObject, after: JsonObject, steps: Steps): void {
  for (const key of Object.keys(before))
    if (!Object.hasOwn(after, key) && !steps.add([{ op: 'remove', path: pointerTo(steps.path, key) }]))
      return;
  for (const [key, value] of Object.entries(after)) {
    const isNew = !Object.hasOwn(before, key);
    // Most are, and need no pointer.
    if (!isNew && before[key] === value) continue;
    const path = pointerTo(steps.path, key);
    if (!steps.add(isNew ? [{ op: 'add', path, value }] : diff(before[key], value, path))) return;
  }
}

function diffLists(before: readonly JsonValue[], after: readonly JsonValue[], steps: Steps): void {
  const least = Math.min(before.length, after.length);
  let start = 0;
  let end = 0;
  if (before.length !== after.length) {
    while (start < least && sameJson(before[start], after[start])) start++;
    while (end < least - start && sameJson(before[before.length - 1 - end], after[after.length - 1 - end]))
      end++;
  }
  const both = least - end;
  for (let n = start; n < both; n++)
    if (before[n] !== after[n] && !steps.add(diff(before[n], after[n], pointerTo(steps.path, n)))) return;
  const path = pointerTo(steps.path, both);
  for (let n = both; n < before.length - end; n++) if (!steps.add([{ op: 'remove', path }])) return;
  for (let n = both; n < after.length - end; n++)
    if (!steps.add([{ op: 'add', path: pointerTo(steps.path, n), value: after[n] }])) return;
}
