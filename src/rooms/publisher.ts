import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { newId } from '../common/identifiers.js';
import type { JsonValue } from '../common/json.js';
import { Unavailable } from '../common/problem.js';
import { requireScope } from '../common/scopes.js';
import { traces } from '../common/traces.js';
import { EventAppends } from '../events/event-appends.js';
import { cloudEventJson, type StreamEvent } from '../events/stream-event.js';
import { EphemeralMessages } from './ephemeral-messages.js';
import type { RoomGrant } from './room-authoriser.js';
import { RoomDirectory } from './room-directory.js';
import { RoomHub } from './room-hub.js';
import { NotPublisher, ReservedType } from './rooms.errors.js';

/** First parts of the types that only Atrium's own events bear: nobody can pretend that a record changed. */
const RESERVED = new Set([
  'agent',
  'import',
  'invitation',
  'item',
  'job',
  'lease',
  'member',
  'room',
  'session',
  'workspace',
]);

/** How often a message is tried while rights in its workspace change. */
const MAX_ATTEMPTS = 5;

/** Something to be said in a room. */
export interface Message {
  /** `{kind}/{id}` */
  readonly room: string;
  readonly type: string;
  readonly data: JsonValue;
  /** Whether it is kept in the stream and reaches those who were away; true when left out. */
  readonly durable?: boolean;
}

/** A message that was said. */
export interface Published {
  /** The CloudEvents 1.0 object as JSON text. */
  readonly json: string;
  /** Where it stands in the stream; none of what is not kept. */
  readonly cursor?: string;
}

export interface PublishOptions {
  /** A grant that holds as far as this instance has heard; asked for when left out. */
  readonly known?: RoomGrant;
  /** Told of a grant that had to be asked for. */
  readonly renewed?: (grant: RoomGrant) => void;
  /** What must stand or fall with a message that is kept. */
  readonly last?: ((manager: EntityManager, published: Published) => Promise<void>) | undefined;
}

/** Says things in rooms: the one way for sockets and for requests, so that both give the same event. */
@Injectable()
export class Publisher {
  constructor(
    private readonly directory: RoomDirectory,
    private readonly hub: RoomHub,
    private readonly ephemerals: EphemeralMessages,
    private readonly appends: EventAppends,
    private readonly clock: Clock,
  ) {}

  /**
   * Says something in a room: kept in the stream, or only to those who are there now.
   * @throws {import('./rooms.errors.js').RoomNotFound}
   * @throws {NotPublisher} if the principal may only listen, or the grant's own refusal
   * @throws {ReservedType}
   * @throws {import('../common/scopes.js').InsufficientScope} for an agent without `rooms:publish`
   */
  async publish(
    principal: Principal,
    message: Message,
    { known, renewed, last }: PublishOptions = {},
  ): Promise<Published> {
    const [kind = ''] = message.type.split('.');
    if (RESERVED.has(kind)) throw new ReservedType(kind);
    requireScope(principal, 'rooms:publish');
    let grant = known;
    // A refusal is not remembered: the role may have changed for the better.
    if (!grant?.mayPublish) {
      grant = await this.directory.authorise(principal, message.room, 'publish');
      renewed?.(grant);
    }
    requirePublisher(grant);
    if (message.durable ?? true) return this.append(principal, grant, message, last);
    return { json: this.sendNow(principal, grant, message) };
  }

  /** Appends what the grant allows; if somebody's rights have changed since it was given, it is asked for again. */
  private async append(
    principal: Principal,
    given: RoomGrant,
    message: Message,
    last: PublishOptions['last'],
  ): Promise<Published> {
    const { room: subject, type, data } = message;
    let grant = given;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      requirePublisher(grant);
      const { streamId, asOf } = grant;
      const event = { streamId, subject, type, principalId: principal.id, data };
      const appended = last
        ? await this.appends.appendWith(event, asOf, (manager, done) => last(manager, this.published(done)))
        : await this.appends.append(event, asOf);
      if (appended) return this.published(appended);
      grant = await this.directory.authorise(principal, subject, 'publish');
    }
    throw new Unavailable('Rights in this workspace keep changing; nothing was published. Try again.');
  }

  private published({ json, seq }: StreamEvent): Published {
    return { json, cursor: this.hub.cursor(seq) };
  }

  /** @returns the event as JSON text */
  private sendNow(principal: Principal, { streamId }: RoomGrant, { room, type, data }: Message): string {
    const id = newId();
    const traceparent = traces?.traceparent;
    const parts = {
      streamId,
      id,
      type,
      subject: room,
      principalId: principal.id,
      time: new Date(this.clock.now()).toISOString(),
      data: JSON.stringify(data),
    };
    const json = cloudEventJson(parts, traceparent);
    this.ephemerals.send(room, id, json, traceparent);
    return json;
  }
}

function requirePublisher({ mayPublish, refusal }: RoomGrant): void {
  if (!mayPublish) throw refusal?.() ?? new NotPublisher();
}
