import { type JsonValue, parseJson } from '../../src/common/json.js';
import { applyJsonPatch, JsonPatchDocument } from '../../src/common/json-patch.js';
import type { ItemAnswer, PageAnswer, Person } from './people.js';

interface Identified {
  readonly id: string;
}

export interface VersionAnswer {
  readonly version: number;
  readonly type: string;
  readonly at: string;
  readonly by: string;
  readonly changes: JsonValue[] | null;
}

export const pathOf = ({ id }: Identified): string => `/v1/items/${id}`;
export const historyPath = (item: Identified, query = ''): string => `${pathOf(item)}/history${query}`;
export const contentOf = ({ title, type, data }: ItemAnswer) => ({ title, type, data });

/** What a person does with items and their versions. */
export const historian = (person: () => Person) => ({
  patch: (item: Identified, change: unknown) => person().http.patch<ItemAnswer>(pathOf(item), change),

  versionOf: <Body = ItemAnswer>(item: Identified, version: number | string, by = person()) =>
    by.http.get<Body>(`${historyPath(item)}/${version}`),

  restore: <Body = ItemAnswer>(item: Identified, body?: unknown, headers = {}) =>
    person().http.post<Body>(`${pathOf(item)}/restore`, body, { headers }),

  /** All of it, the oldest first, page by page. */
  historyOf: async (item: Identified, limit = 100): Promise<VersionAnswer[]> => {
    const found: VersionAnswer[] = [];
    let cursor = '';
    for (;;) {
      const { status, body } = await person().http.get<PageAnswer<VersionAnswer>>(
        historyPath(item, `?limit=${limit}${cursor}`),
      );
      if (status !== 200 || body.data.length > limit) throw new Error(`A page of the history is ${status}`);
      found.push(...body.data);
      if (body.nextCursor === null) return found.reverse();
      cursor = `&cursor=${body.nextCursor}`;
    }
  },
});

/** What the changes make, one after another, of nothing. */
export function replayed(history: readonly VersionAnswer[]): JsonValue[] {
  let content: JsonValue = {};
  return history.map(({ changes }) => {
    // Parsed where it is applied: lists of another realm are none to the library.
    const document = JsonPatchDocument.read(parseJson(JSON.stringify(changes)));
    content = applyJsonPatch(JSON.stringify(content), document) ?? null;
    return content;
  });
}
