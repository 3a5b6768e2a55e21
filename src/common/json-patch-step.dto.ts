import { ApiProperty } from '@nestjs/swagger';
import type { JsonValue } from './json.js';

/** Any JSON, for the reference. */
const ANY_JSON = ['object', 'array', 'string', 'number', 'boolean', 'null'].map((type) => ({ type }));

/** One step of a JSON Patch (RFC 6902, section 4). */
export class JsonPatchStep {
  @ApiProperty({ enum: ['add', 'remove', 'replace', 'move', 'copy', 'test'] })
  op: string;

  /** A JSON Pointer (RFC 6901) into the document, such as `/data/tags/-`. */
  path: string;

  /** Of `move` and `copy`: where the value is now. */
  from?: string;

  /** Of `add`, `replace` and `test`: any JSON. */
  @ApiProperty({ required: false, oneOf: ANY_JSON })
  value?: JsonValue;
}
