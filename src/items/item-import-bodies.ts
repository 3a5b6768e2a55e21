import { type StreamedBody, UnsupportedMediaType } from '../common/body.js';
import { ValidationFailed } from '../common/problem.js';
import type { Upload } from '../common/upload.js';
import type { ItemFormat } from './item-export.query.js';
import type { ImportQuery } from './item-import.dto.js';

/** The media type of a part that is not the first. */
export const PART_TYPE = 'application/partial-upload';
const FORMAT_OF: Readonly<Record<string, ItemFormat>> = {
  'application/x-ndjson': 'ndjson',
  'application/ndjson': 'ndjson',
  'application/jsonl': 'ndjson',
  'text/csv': 'csv',
};
/** What the body of an import may be. */
export const IMPORT_TYPES = Object.keys(FORMAT_OF);

/** The bodies that are read as they come. */
export const IMPORT_BODIES: readonly StreamedBody[] = [
  { method: 'POST', path: /^\/v1\/items\/import\/?$/i, types: IMPORT_TYPES },
  { method: 'PATCH', path: /^\/v1\/items\/imports\/[^/]+\/?$/i, types: [PART_TYPE] },
];

/**
 * In which format an import comes: as its media type says; of a first part without a body, as the query does.
 * @throws {ValidationFailed} @throws {UnsupportedMediaType}
 */
export function formatOf({ format }: ImportQuery, { mediaType, complete }: Upload): ItemFormat {
  const found = FORMAT_OF[mediaType];
  if (found && format && found !== format)
    throw new ValidationFailed([{ pointer: '/format', detail: `must be ${found}, as the media type says` }]);
  if (!found && complete !== false) throw new UnsupportedMediaType('POST', IMPORT_TYPES);
  return found ?? format ?? 'ndjson';
}
