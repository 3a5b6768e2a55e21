import { rfc3339Sql } from '../common/rfc3339.js';
import { StreamEvent } from '../events/stream-event.js';
import { type ItemRow, toItemResponse } from './items.dto.js';

export const ITEM_CREATED = 'item.created';
export const ITEM_UPDATED = 'item.updated';
export const ITEM_DELETED = 'item.deleted';
export const ITEM_RESTORED = 'item.restored';
export const ITEM_PURGED = 'item.purged';

/** The room of one item, and the subject of its events. */
export const itemRoom = (id: string): string => `items/${id}`;
/** {@link itemRoom} in SQL. */
export const itemRoomSql = (id: string): string => `'items/' || ${id}`;

/** What an item's event carries as `data`, in SQL: the same members as `toItemResponse` gives. */
export const itemEventData = (row: string): string => `jsonb_build_object(
    'id', ${row}.id, 'workspaceId', ${row}.workspace_id, 'type', ${row}.type, 'title', ${row}.title,
    'data', ${row}.data, 'version', ${row}.version,
    'createdAt', ${rfc3339Sql(`${row}.created_at`)}, 'createdBy', ${row}.created_by,
    'updatedAt', ${rfc3339Sql(`${row}.updated_at`)}, 'updatedBy', ${row}.updated_by)`;

/** A written item with the event that tells of it, as the combined statements answer it. */
export interface WrittenItemRow extends ItemRow {
  event_id: string;
  seq: string;
}

/** The stored event, put together from the same row that answers the writer. */
export function toItemEvent(type: string, row: WrittenItemRow): StreamEvent {
  return new StreamEvent({
    streamId: row.workspace_id,
    seq: Number(row.seq),
    id: row.event_id,
    type,
    subject: itemRoom(row.id),
    principalId: row.updated_by,
    time: row.updated_at,
    data: toItemResponse(row),
  });
}
