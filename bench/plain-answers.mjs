// What the plain servers answer with.

/** A row of `items` as an answer shows it. */
export const toItem = (row) => ({
  id: row.id,
  workspaceId: row.workspace_id,
  type: row.type,
  title: row.title,
  data: row.data,
  version: row.version,
  createdAt: row.created_at,
  createdBy: row.created_by,
  updatedAt: row.updated_at,
  updatedBy: row.updated_by,
});

/** Answers with JSON. */
export function answer(response, status, body, headers) {
  const json = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(json),
    ...headers,
  });
  response.end(json);
}
