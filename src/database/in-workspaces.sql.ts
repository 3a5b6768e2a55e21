/**
 * That a row, which is found by some other key, is of one of these workspaces.
 *
 * It leaves PostgreSQL that key. With `=` to one workspace it would, as long as a table is small, take any index that begins
 * with the workspace, and keep to that plan while the table grows; for an array, which it takes for ten, it does not.
 * A database that is distributed by workspace knows by either where to look.
 * @param column of the workspace's id, our own SQL
 * @param workspaces an array of uuid, our own SQL
 */
export const inWorkspaces = (column: string, workspaces: string): string => `${column} = ANY (${workspaces})`;
