import { ApiProperty } from '@nestjs/swagger';
import { ArrayMaxSize, IsArray, IsBoolean, IsInt, IsUUID, Max, Min, ValidateIf } from 'class-validator';
import { ExtendedLease } from './leases.dto.js';

const LEASES = 'must be a list of at most 1000 UUIDs';
const TTL = 'must be a whole number of seconds from 1 to 3600';
/** May be left out, but not be null. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);

export class HeartbeatRequest {
  /** The leases that the agent thinks it holds: these are extended. All that it holds when left out. */
  @MayBeMissing()
  @IsArray({ message: LEASES })
  @ArrayMaxSize(1_000, { message: LEASES })
  @IsUUID('all', { each: true, message: LEASES })
  leases?: string[];

  /** How long they are to last from now on, 1 to 3600; 60 when left out. A lease is never shortened. */
  @MayBeMissing()
  @IsInt({ message: TTL })
  @Min(1, { message: TTL })
  @Max(3_600, { message: TTL })
  ttlSeconds?: number = 60;

  /** Whether the agent goes: it is offline then, and nothing is extended. */
  @MayBeMissing()
  @IsBoolean({ message: 'must be true or false' })
  leaving?: boolean = false;
}

export class HeartbeatResponse {
  /** When the next is due. After three times as long without one, the agent is lost. */
  intervalSeconds: number;
  /** Those that the agent holds, of those that it named. */
  leases: ExtendedLease[];
  /** UUIDs of those that it named and does not hold: cancelled, expired or ended. Stop working on them. */
  lost: string[];
  /** RFC 3339, UTC: replace the credential before then; null: no need. */
  @ApiProperty({ type: String, nullable: true })
  rotateBy: string | null;
}
