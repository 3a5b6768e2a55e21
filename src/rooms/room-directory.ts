import { Injectable, type OnModuleInit } from '@nestjs/common';
import { DiscoveryService, Reflector } from '@nestjs/core';
import type { Principal } from '../common/access.js';
import { isId } from '../common/identifiers.js';
import { admitAgent, type AgentAccess } from '../common/scopes.js';
import type { StreamEvent } from '../events/stream-event.js';
import {
  ROOM_KIND,
  type RoomAccessChange,
  type RoomAuthoriser,
  type RoomGrant,
  type RoomKind,
} from './room-authoriser.js';
import { RoomNotFound } from './rooms.errors.js';

/** Finds the authoriser of a room among those that features have declared. */
@Injectable()
export class RoomDirectory implements OnModuleInit {
  private readonly authorisers = new Map<string, RoomAuthoriser>();
  private readonly forAgents = new Map<string, AgentAccess>();

  constructor(
    private readonly discovery: DiscoveryService,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    for (const { metatype, instance } of this.discovery.getProviders()) {
      const rooms = metatype ? this.reflector.get<RoomKind | undefined>(ROOM_KIND, metatype) : undefined;
      if (rooms === undefined) continue;
      const { kind, agents } = rooms;
      if (this.authorisers.has(kind)) throw new Error(`Two providers authorise the rooms ${kind}/{id}`);
      this.authorisers.set(kind, instance as RoomAuthoriser);
      if (agents) this.forAgents.set(kind, agents);
    }
  }

  /**
   * @param room `{kind}/{id}`
   * @param purpose to publish, an agent needs no scope to listen; `rooms:publish` is the publisher's to ask for
   * @throws {RoomNotFound} if it does not exist, or the principal may not know that it does
   * @throws {import('../common/scopes.js').InsufficientScope} if an agent's scopes do not reach there
   */
  async authorise(
    principal: Principal,
    room: string,
    purpose: 'join' | 'publish' = 'join',
  ): Promise<RoomGrant> {
    const [kind = '', id = '', ...rest] = room.split('/');
    const authoriser = this.authorisers.get(kind);
    if (authoriser && principal.agent) {
      const access = this.forAgents.get(kind);
      admitAgent(principal, access && purpose === 'publish' ? {} : access, id);
    }
    const grant = authoriser && rest.length === 0 && isId(id) && (await authoriser.authorise(principal, id));
    if (!grant) throw new RoomNotFound();
    return grant;
  }

  /** What an event takes from those who are in its room, as the feature says whose room it is. */
  accessChange(event: StreamEvent): RoomAccessChange | undefined {
    const { subject } = event;
    return this.authorisers.get(subject.slice(0, subject.indexOf('/')))?.accessChange?.(event);
  }
}
