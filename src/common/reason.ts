/**
 * What an error says, in one text, for a log or an operator. A connection that was tried at several addresses fails with a
 * list of errors and no message of its own; some libraries tell of an error by a copy of it, which is none.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return messageIn(error) ?? String(error);
  if (error.message !== '') return error.message;
  if (error instanceof AggregateError && error.errors.length > 0)
    return [...new Set(error.errors.map(reasonOf))].join('; ');
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}

function messageIn(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { message } = value as { message?: unknown };
  return typeof message === 'string' ? message : undefined;
}
