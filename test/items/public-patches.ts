import { createRequire } from 'node:module';

/** A case of json-patch-tests: what becomes of a document by a patch. */
export interface PublicCase {
  readonly comment?: string;
  readonly doc: unknown;
  readonly patch: readonly Readonly<Record<string, unknown>>[];
  readonly expected?: unknown;
  readonly error?: string;
  readonly disabled?: boolean;
}
const require = createRequire(import.meta.url);
/** Those that are switched on, by name. */
export const publicCases = ['tests.json', 'spec_tests.json']
  .flatMap((file) => require(`json-patch-test-suite/${file}`) as PublicCase[])
  .filter(({ doc, disabled }) => doc !== undefined && disabled !== true)
  .map((entry, n) => [`${n} ${entry.comment ?? entry.error ?? JSON.stringify(entry.patch)}`, entry] as const);

/** The document of a public case is a member of data, so every pointer of its patch begins there. */
export const moved = (patch: PublicCase['patch']) =>
  patch.map((operation) =>
    Object.fromEntries(
      Object.entries(operation).map(([name, value]) => [
        name,
        (name === 'path' || name === 'from') && typeof value === 'string' && /^(\/|$)/.test(value)
          ? `/data/doc${value}`
          : value,
      ]),
    ),
  );
