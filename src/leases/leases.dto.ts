import { applyDecorators } from '@nestjs/common';
import { ApiProperty } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  IsArray,
  IsBoolean,
  IsInt,
  IsObject,
  IsOptional,
  IsString,
  IsUUID,
  Length,
  Max,
  Min,
  ValidateBy,
  ValidateIf,
} from 'class-validator';
import { AreDistinct } from '../common/distinct.js';
import { isJsonObject, type JsonObject, type JsonValue } from '../common/json.js';
import { PageQuery } from '../common/pagination.js';
import { isTime } from '../common/rfc3339.js';
import { ItemResponse } from '../items/items.dto.js';

const MAX_TYPES = 20;
const MAX_ITEMS = 100;
const TYPES = `must be a list of 1 to ${MAX_TYPES} different types of items, each of 1 to 100 characters`;
const LABELS = 'must be an object of at most 16 texts of up to 128 characters';
const TTL = 'must be a whole number of seconds from 1 to 3600';
const REASON = 'must be a text of 1 to 1000 characters';

/** May be left out, but not be null. */
const MayBeMissing = (): PropertyDecorator => ValidateIf((_, value) => value !== undefined);
const IsNumberOf = (least: number, most: number, message: string): PropertyDecorator =>
  applyDecorators(IsInt({ message }), Min(least, { message }), Max(most, { message }));
const IsTtl = (): PropertyDecorator => IsNumberOf(1, 3600, TTL);

const isLabels = (value: JsonValue): boolean =>
  isJsonObject(value) &&
  Object.keys(value).length <= 16 &&
  Object.entries(value).every(
    ([name, text]) => name.length <= 128 && typeof text === 'string' && text.length <= 128,
  );

/** Either may be left out. */
export class PriorityRange {
  gte?: number;
  lte?: number;
}

/** RFC 3339 each; either may be left out. */
export class TimeRange {
  gte?: string;
  lte?: string;
}

/** Which items of its types an agent works on. */
export class WorkFilter {
  /** What `data.lease.labels` of the item must hold, all of it. */
  labels?: Record<string, string>;
  /** The item's `data.lease.priority`. */
  priority?: PriorityRange;
  /** From when on it may be claimed: since its `data.lease.notBefore`, if it says so. */
  notBefore?: TimeRange;
}

const FILTER =
  `must be {labels?, priority?, notBefore?}: labels ${LABELS}, priority {gte?, lte?} of whole numbers, ` +
  'notBefore {gte?, lte?} of RFC 3339 times';
const FILTERS: Readonly<Record<string, (value: JsonValue) => boolean>> = {
  labels: isLabels,
  priority: isRangeOf((value) => Number.isSafeInteger(value) && Math.abs(Number(value)) <= 1_000_000),
  notBefore: isRangeOf((value) => typeof value === 'string' && isTime(value)),
};
const isFilter = (value: JsonValue): boolean =>
  isJsonObject(value) && Object.entries(value).every(([name, part]) => FILTERS[name]?.(part) ?? false);

function isRangeOf(isBound: (value: JsonValue) => boolean): (value: JsonValue) => boolean {
  return (value) =>
    isJsonObject(value) &&
    Object.entries(value).every(([name, bound]) => (name === 'gte' || name === 'lte') && isBound(bound));
}

/** What an agent works on. */
class WorkRequest {
  /** The types of items. When left out, those that the agent may write by `items:write:type=T`; else all that there are. */
  @MayBeMissing()
  @IsArray({ message: TYPES })
  @ArrayMinSize(1, { message: TYPES })
  @ArrayMaxSize(MAX_TYPES, { message: TYPES })
  @AreDistinct({ message: TYPES })
  @IsString({ each: true, message: TYPES })
  @Length(1, 100, { each: true, message: TYPES })
  types?: string[];

  /** `{labels, priority, notBefore}`, of which each may be left out. */
  @MayBeMissing()
  @ValidateBy({ name: 'filter', validator: { validate: isFilter, defaultMessage: () => FILTER } })
  @ApiProperty({ type: WorkFilter })
  filter?: WorkFilter;

  /** How long the leases last unless they are extended, 1 to 3600; 60 when left out. */
  @MayBeMissing()
  @IsTtl()
  ttlSeconds?: number = 60;
}

export class ClaimRequest extends WorkRequest {
  /** How many leases at most, 1 to 100; 1 when left out. */
  @MayBeMissing()
  @IsNumberOf(1, 100, 'must be a whole number from 1 to 100')
  limit?: number = 1;

  /** How long to wait for the first, 0 to 30; 0 when left out. */
  @MayBeMissing()
  @IsNumberOf(0, 30, 'must be a whole number of seconds from 0 to 30')
  waitSeconds?: number = 0;
}

/** What is to be handed to a socket as soon as there is some. */
export class LeaseFrame extends WorkRequest {
  /** How many leases that came over this socket the agent may hold at a time, 0 to 1000; 0: no more of them. */
  @IsNumberOf(0, 1_000, 'must be a whole number from 0 to 1000')
  capacity: number;
}

/** An agent's exclusive claim on an item. */
export class LeaseResponse {
  /** UUID; the `Lease` header of writes under it. */
  id: string;
  /** The item's version at the claim. */
  fence: number;
  /** 1 for the first. */
  attempt: number;
  /** RFC 3339, UTC, by the database's clock. */
  expiresAt: string;
  item: ItemResponse;
}

export class LeaseList {
  data: LeaseResponse[];
}

export class ExtendRequest {
  /** From now on, 1 to 3600; 60 when left out. A lease is never shortened. */
  @MayBeMissing()
  @IsTtl()
  ttlSeconds?: number = 60;
}

export class ExtendedLease {
  /** UUID. */
  id: string;
  /** RFC 3339, UTC, by the database's clock. */
  expiresAt: string;
}

export class CompleteRequest {
  /** A merge patch (RFC 7396) of the item, `{title?, type?, data?}`, done with the completion or not at all. */
  @MayBeMissing()
  @IsObject({ message: 'must be a JSON object' })
  @ApiProperty({ type: 'object', additionalProperties: true })
  patch?: JsonObject;
}

export class FailRequest {
  /** For people to read; `failed` when left out. */
  @MayBeMissing()
  @IsString({ message: REASON })
  @Length(1, 1000, { message: REASON })
  reason?: string = 'failed';

  /** Whether trying again could help; true when left out. */
  @MayBeMissing()
  @IsBoolean({ message: 'must be true or false' })
  retry?: boolean = true;
}

export class CancelRequest {
  /** For people to read; `cancelled` when left out. */
  @MayBeMissing()
  @IsString({ message: REASON })
  @Length(1, 1000, { message: REASON })
  reason?: string = 'cancelled';
}

/** How far the work on an item is. */
export class WorkResponse {
  /** UUID of the last lease. */
  id: string;
  /** UUID. */
  itemId: string;
  /** UUID. */
  workspaceId: string;
  type: string;
  /** UUID of the last holder. */
  agentId: string;
  @ApiProperty({ enum: ['ready', 'leased', 'done', 'dead'] })
  state: string;
  /** Claims so far. */
  attempt: number;
  /** The item's version at the last claim. */
  fence: number;
  priority: number;
  /** RFC 3339, UTC: when it may be claimed, if it is ready. */
  dueAt: string;
  /** Why the last attempt failed. */
  @ApiProperty({ type: String, nullable: true })
  reason: string | null;
}

export class EndedLease extends WorkResponse {
  /** After the patch that came with the completion. */
  item?: ItemResponse;
}

export class ListDeadQuery extends PageQuery {
  /** The caller's personal workspace when left out. */
  @IsOptional()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;

  /** Of the items. */
  @IsOptional()
  @IsString({ message: 'must be a type of items' })
  @Length(1, 100, { message: 'must be a type of items' })
  type?: string;
}

export class DeadItem extends WorkResponse {
  /** RFC 3339, UTC. */
  deadAt: string;
}

export class DeadList {
  data: DeadItem[];
  /** For the next page's `cursor`; null on the last page. */
  nextCursor: string | null;
}

export class RetryRequest {
  /** Ids of dead items, 1 to 100. */
  @IsArray({ message: `must be a list of 1 to ${MAX_ITEMS} UUIDs` })
  @ArrayMinSize(1, { message: `must be a list of 1 to ${MAX_ITEMS} UUIDs` })
  @ArrayMaxSize(MAX_ITEMS, { message: `must be a list of 1 to ${MAX_ITEMS} UUIDs` })
  @IsUUID('all', { each: true, message: `must be a list of 1 to ${MAX_ITEMS} UUIDs` })
  items: string[];

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

export class RetriedItems {
  /** UUIDs of those that were dead, and are ready now. */
  items: string[];
}

export class LeaseTypeRequest {
  @IsString({ message: 'must be a text of 1 to 100 characters' })
  @Length(1, 100, { message: 'must be a text of 1 to 100 characters' })
  type: string;

  /** How many items of the type may be leased at a time, 1 to 100000; null, or left out: any number. */
  @IsOptional()
  @IsNumberOf(1, 100_000, 'must be a whole number from 1 to 100000, or null')
  @ApiProperty({ type: Number, nullable: true })
  concurrency?: number | null = null;

  /** How often an item is tried before it is dead, 1 to 100; 5 when left out. */
  @MayBeMissing()
  @IsNumberOf(1, 100, 'must be a whole number from 1 to 100')
  attempts?: number = 5;

  /** The caller's personal workspace when left out. */
  @MayBeMissing()
  @IsUUID('all', { message: 'must be a UUID' })
  workspaceId?: string;
}

export class LeaseTypeResponse {
  /** UUID. */
  workspaceId: string;
  type: string;
  @ApiProperty({ type: Number, nullable: true })
  concurrency: number | null;
  attempts: number;
}
