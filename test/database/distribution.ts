import { parse } from 'libpg-query';

type Node = Readonly<Record<string, unknown>>;

/** A table that a statement uses, by the name that it has there. */
interface Use {
  readonly table: string;
  readonly alias: string;
}

/** `alias.column`; without an alias where the statement names none. `USING` is not understood: it says nothing here. */
type Column = `${string}.${string}`;

/**
 * The tables that some part of a statement reads or writes without saying what their distribution column is: equal to a
 * value, or to a column of what is not distributed, such as a CTE, be it by way of other columns.
 * @param columns table → its distribution column; others are everywhere
 */
export async function undistributed(
  sql: string,
  columns: Readonly<Record<string, string>>,
): Promise<string[]> {
  const found = new Set<string>();
  for (const scope of scopesOf(await parse(sql))) {
    const all = usesOf(scope);
    const uses = all.filter(({ table }) => table in columns);
    const isOwn = (column: Column) =>
      uses.some(({ alias }) => column.startsWith(`${alias}.`)) || column.startsWith('.');
    const known = new Set<Column>();
    const equalities = equalitiesOf(scope);
    // What is known of one column is known of those that it is equal to.
    for (let before = -1; before < known.size;) {
      before = known.size;
      for (const [left, right] of equalities) {
        if (left && isKnown(right)) known.add(left);
        if (right && isKnown(left)) known.add(right);
      }
    }
    for (const { table, alias } of uses) {
      const column = columns[table] ?? '';
      const isInserted = 'InsertStmt' in scope && targetsOf(scope['InsertStmt'] as Node).includes(column);
      const isEquated = known.has(`${alias}.${column}`) || (all.length === 1 && known.has(`.${column}`));
      if (!isInserted && !isEquated) found.add(table);
    }

    // A parameter, an expression, a column of something that is not distributed, or of the query around.
    function isKnown(side: Column | undefined): boolean {
      return side === undefined || known.has(side) || !isOwn(side);
    }
  }
  return [...found].toSorted();
}

const isNode = (value: unknown): value is Node => typeof value === 'object' && value !== null;
const entriesOf = (value: unknown): [string, unknown][] => (isNode(value) ? Object.entries(value) : []);
const SCOPES = ['SelectStmt', 'InsertStmt', 'UpdateStmt', 'DeleteStmt'];

/** Whether it is one of a union's queries: those of a join and of an expression have the same names. */
const isHalf = (name: string, inner: unknown): boolean =>
  (name === 'larg' || name === 'rarg') && isNode(inner) && ('targetList' in inner || 'op' in inner);

/** Every query of a statement, also those in others. Unions are their parts. */
function scopesOf(value: unknown): Node[] {
  return entriesOf(value).flatMap(([name, inner]) => {
    const kind = isHalf(name, inner) ? 'SelectStmt' : name;
    return [...(SCOPES.includes(kind) ? [{ [kind]: inner }] : []), ...scopesOf(inner)];
  });
}

/** What a query does by itself, without those in it. */
function* own(value: unknown): Generator<[string, Node]> {
  for (const [name, inner] of entriesOf(value)) {
    if (SCOPES.includes(name) || isHalf(name, inner)) continue;
    if (isNode(inner) && !Array.isArray(inner)) yield [name, inner];
    yield* own(inner);
  }
}

const bodyOf = (scope: Node): unknown => Object.values(scope)[0];

function usesOf(scope: Node): Use[] {
  return [...own(bodyOf(scope))]
    .filter(([, node]) => typeof node['relname'] === 'string')
    .map(([, node]) => {
      const alias = (node['alias'] as { aliasname?: string } | undefined)?.aliasname;
      const table = String(node['relname']);
      return { table, alias: alias ?? table };
    });
}

const targetsOf = (insert: Node): string[] =>
  ((insert['cols'] ?? []) as { ResTarget: { name: string } }[]).map(({ ResTarget }) => ResTarget.name);

/** What has to be equal for a row to count: two columns, or a column and a value that is known without the rows. */
type Equality = readonly [Column | undefined, Column | undefined];

function equalitiesOf(scope: Node): Equality[] {
  const body = bodyOf(scope) as Node;
  const joins = [...own(body)].filter(([name]) => name === 'JoinExpr').map(([, join]) => join);
  return [body['whereClause'], ...joins.map((join) => join['quals'])].flatMap(conditionsOf);
}

function conditionsOf(condition: unknown): Equality[] {
  if (!isNode(condition)) return [];
  const { BoolExpr, A_Expr, SubLink } = condition as Record<string, Node | undefined>;
  if (BoolExpr?.['boolop'] === 'AND_EXPR') return (BoolExpr['args'] as unknown[]).flatMap(conditionsOf);
  if (SubLink?.['subLinkType'] === 'ANY_SUBLINK') return paired(SubLink['testexpr'], undefined);
  if (!A_Expr || !stringsOf(A_Expr['name']).includes('=')) return [];
  return paired(A_Expr['lexpr'], A_Expr['rexpr']);
}

/** Of rows, each with its counterpart. */
function paired(left: unknown, right: unknown): Equality[] {
  const [lefts, rights] = [fieldsOf(left), fieldsOf(right)];
  const length = Math.max(lefts.length, rights.length);
  return Array.from({ length }, (_, n) => [columnOf(lefts[n]), columnOf(rights[n])] as const);
}

const fieldsOf = (expression: unknown): unknown[] => {
  const row = isNode(expression) ? (expression['RowExpr'] as Node | undefined) : undefined;
  return row ? (row['args'] as unknown[]) : [expression];
};

/** `undefined`: it is none. */
function columnOf(expression: unknown): Column | undefined {
  const reference = isNode(expression) ? (expression['ColumnRef'] as Node | undefined) : undefined;
  if (!reference) return undefined;
  const [first = '', second] = stringsOf(reference['fields']);
  return second === undefined ? `.${first}` : `${first}.${second}`;
}

const stringsOf = (list: unknown): string[] =>
  (Array.isArray(list) ? list : []).map((entry: { String?: { sval?: string } }) => entry.String?.sval ?? '');
