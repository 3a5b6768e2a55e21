import type { NewEvent } from '../events/event-appends.js';
import { type ImportRow, toImportResponse } from './item-import.dto.js';

/** The room of one import, and the subject of its events. */
const importRoom = (id: string): string => `imports/${id}`;

/** Tells how far an import is: a few times at most in a second, and always of its end. */
export const importEvent = (row: ImportRow): NewEvent => ({
  streamId: row.workspace_id,
  subject: importRoom(row.id),
  type: row.finished_at === null ? 'import.progressed' : 'import.finished',
  principalId: row.created_by,
  data: toImportResponse(row),
});
