import { ApiProperty } from '@nestjs/swagger';
import {
  IsBoolean,
  IsDefined,
  IsObject,
  IsOptional,
  IsString,
  Matches,
  MaxLength,
  ValidateBy,
} from 'class-validator';
import type { JsonValue } from '../common/json.js';

const ROOM = 'must be a room such as items/{id}';
/** `{kind}/{id}` */
export const IsRoom = (): PropertyDecorator => Matches(/^[a-z]{1,32}\/[0-9a-f-]{36}$/, { message: ROOM });

export class AuthFrame {
  @IsString({ message: 'must be an access token' })
  @MaxLength(8_192, { message: 'must be an access token' })
  token: string;
}

export class JoinFrame {
  @IsRoom()
  room: string;

  /** The last cursor that this client has seen; every event after it follows. */
  @IsOptional()
  @IsString({ message: 'must be a cursor' })
  @MaxLength(64, { message: 'must be a cursor' })
  after?: string;
}

export class LeaveFrame {
  @IsRoom()
  room: string;
}

/** The JSON text of a presence's state, in bytes of UTF-8. */
const MAX_STATE_BYTES = 1_024;

export class PresenceFrame {
  @IsRoom()
  room: string;

  /** A small JSON object that replaces the last one. */
  @IsObject({ message: 'must be an object' })
  @ValidateBy({
    name: 'stateBytes',
    validator: {
      validate: (value) => Buffer.byteLength(JSON.stringify(value) ?? '') <= MAX_STATE_BYTES,
      defaultMessage: () => `must be at most ${MAX_STATE_BYTES} bytes of JSON`,
    },
  })
  state: object;
}

/** Something to be said in a room. */
export class PublishRequest {
  /** A name such as `message.posted`, not one of Atrium's own. */
  @Matches(/^[A-Za-z][\w-]{0,63}(\.[\w-]{1,64}){0,3}$/, { message: 'must be a name such as message.posted' })
  type: string;

  @IsDefined({ message: 'must be there' })
  @ApiProperty({
    description: 'Any JSON but null.',
    oneOf: ['object', 'array', 'string', 'number', 'boolean'].map((type) => ({
      type,
      ...(type === 'array' ? { items: {} } : {}),
    })),
  })
  data: JsonValue;

  /** Whether it is kept in the stream and reaches those who were away; true when left out. */
  @IsOptional()
  @IsBoolean({ message: 'must be true or false' })
  durable?: boolean;
}

export class PublishFrame extends PublishRequest {
  @IsRoom()
  room: string;
}
