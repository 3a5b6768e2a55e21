/** A node of PostgreSQL's own parser: field → value. */
export type Node = Readonly<Record<string, unknown>>;

/** A table, as a statement names it. */
export interface Relation {
  readonly relname: string;
  readonly schemaname?: string;
}

/** Which node it is, and what it holds. */
export function nodeOf(wrapped: unknown): [kind: string, node: Node] {
  const [entry] = Object.entries(wrapped as Record<string, Node>);
  if (!entry) throw new Error('The parser gave an empty statement');
  return entry;
}

export const tableName = ({ schemaname, relname }: Relation): string =>
  schemaname === undefined ? relname : `${schemaname}.${relname}`;

/** The name of what is dropped: `public.items`. */
export function qualifiedName(object: object): string {
  const found: string[] = [];
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) value.forEach(visit);
    else if (typeof value === 'object' && value !== null) {
      if ('sval' in value && typeof value.sval === 'string') found.push(value.sval);
      else if ('objname' in value) visit(value.objname);
      else if ('names' in value) visit(value.names);
      else Object.values(value).forEach(visit);
    }
  };
  visit(object);
  return found.join('.');
}

/** Every function that an expression calls, without its schema. */
export function functionsIn(expression: unknown): string[] {
  if (Array.isArray(expression)) return expression.flatMap(functionsIn);
  if (typeof expression !== 'object' || expression === null) return [];
  const inside = Object.values(expression).flatMap(functionsIn);
  if (!('funcname' in expression)) return inside;
  return [qualifiedName({ names: expression.funcname }).split('.').at(-1) ?? '', ...inside];
}
