import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { newId } from '../common/identifiers.js';
import { Problem, Unauthenticated, Unavailable } from '../common/problem.js';
import { Clock } from '../common/clock.js';
import { AtriumConfig } from '../config/config.js';
import { EventAppends } from '../events/event-appends.js';
import { cloudEventJson } from '../events/stream-event.js';
import { Authenticator } from '../sessions/authenticator.js';
import { SessionRevoked } from '../sessions/sessions.errors.js';
import { CloseCode } from './close-codes.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { errorData } from './frame-problem.filter.js';
import type { RoomGrant } from './room-authoriser.js';
import { RoomDirectory } from './room-directory.js';
import { RoomHub } from './room-hub.js';
import type { JoinFrame, PublishFrame } from './rooms.dto.js';
import { NotJoined, NotPublisher, OtherPrincipal, ReservedType, TooManyRooms } from './rooms.errors.js';

/** First parts of the types that only Atrium's own events bear: nobody can pretend that a record changed. */
const RESERVED = new Set([
  'agent',
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

/** What sockets may ask for. Answers go out on the connection before anything that follows from them. */
@Injectable()
export class RoomsService {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly connections: Connections,
    private readonly directory: RoomDirectory,
    private readonly hub: RoomHub,
    private readonly appends: EventAppends,
    private readonly clock: Clock,
    private readonly config: AtriumConfig,
  ) {}

  /** The `Authorization` header of the handshake. A bad one closes the socket: there is nothing to wait for. */
  authenticateHandshake(connection: Connection, authorization: string): void {
    const token = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? '';
    try {
      this.authenticate(connection, token);
    } catch (error) {
      if (error instanceof Problem) connection.reply('error', errorData(error));
      else throw error;
    }
  }

  /**
   * Takes a token, the first or a newer one before the last expires. Without a good first one the socket closes.
   * @throws {Unauthenticated}
   * @throws {OtherPrincipal}
   * @throws {import('./rooms.errors.js').TooManyConnections}
   */
  authenticate(connection: Connection, token: string): void {
    let principal: Principal;
    try {
      principal = this.authenticator.authenticate(token);
    } catch (error) {
      if (!connection.principal) this.closeUnauthenticated(connection, error);
      throw error;
    }
    if (connection.principal && connection.principal.id !== principal.id) throw new OtherPrincipal();
    try {
      this.connections.claim(connection, principal);
    } catch (error) {
      setImmediate(() => connection.close(CloseCode.TOO_MANY_FRAMES, 'too many connections'));
      throw error;
    }
    connection.reply('ready', {
      connectionId: connection.id,
      expiresAt: new Date(principal.expiresAt).toISOString(),
      heartbeat: this.config.sockets.heartbeatMs,
    });
  }

  /** @throws {import('./rooms.errors.js').RoomNotFound} */
  async join(connection: Connection, { room, after }: JoinFrame): Promise<void> {
    const { roomLimit } = this.config.sockets;
    const rooms = this.hub.subscriptionsOf(connection);
    const before = rooms.get(room);
    if (!before && rooms.size >= roomLimit) throw new TooManyRooms(roomLimit);
    const authorise = () => this.directory.authorise(principalOf(connection), room);
    const { joined, subscription } = await this.hub.join(connection, room, authorise, after);
    if (before) this.hub.leave(before); // joining again starts again, from `after`, unless it fails
    if (!connection.isOpen) {
      this.hub.leave(subscription);
      return;
    }
    connection.reply('joined', joined);
    this.hub.start(subscription);
  }

  /** @throws {NotJoined} */
  leave(connection: Connection, room: string): void {
    const subscription = this.hub.subscriptionsOf(connection).get(room);
    if (!subscription) throw new NotJoined();
    this.hub.leave(subscription);
    connection.reply('left', { room });
  }

  leaveAll(connection: Connection): void {
    this.hub.leaveAll(connection);
  }

  /**
   * Says something in a room: kept in the stream, or only to those who are there now.
   * @throws {import('./rooms.errors.js').RoomNotFound}
   * @throws {NotPublisher} if the principal may only listen
   * @throws {ReservedType}
   */
  async publish(connection: Connection, frame: PublishFrame): Promise<void> {
    const { room, type, durable = true } = frame;
    const principal = principalOf(connection);
    const [kind = ''] = type.split('.');
    if (RESERVED.has(kind)) throw new ReservedType(kind);
    const subscription = this.hub.subscriptionsOf(connection).get(room);
    let grant = subscription?.currentGrant;
    // A refusal is not remembered: the role may have changed for the better.
    if (!grant?.mayPublish) {
      grant = await this.directory.authorise(principal, room);
      if (subscription) subscription.grant = grant;
    }
    if (!grant.mayPublish) throw new NotPublisher();
    if (durable) connection.reply('published', { cursor: await this.append(principal, grant, frame) });
    else {
      this.hub.broadcast(room, this.ephemeral(principal, grant, frame));
      connection.reply('published', {});
    }
  }

  /** Appends what the grant allows; if somebody's rights have changed since it was given, it is asked for again. */
  private async append(principal: Principal, given: RoomGrant, frame: PublishFrame): Promise<string> {
    const { room: subject, type, data } = frame;
    let grant = given;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      if (!grant.mayPublish) throw new NotPublisher();
      const { streamId, asOf } = grant;
      const event = { streamId, subject, type, principalId: principal.id, data };
      const appended = await this.appends.append(event, asOf);
      if (appended) return this.hub.cursor(appended.seq);
      grant = await this.directory.authorise(principal, subject);
    }
    throw new Unavailable('Rights in this workspace keep changing; nothing was published. Try again.');
  }

  private ephemeral(
    principal: Principal,
    { streamId }: RoomGrant,
    { room, type, data }: PublishFrame,
  ): string {
    return cloudEventJson({
      streamId,
      id: newId(),
      type,
      subject: room,
      principalId: principal.id,
      time: new Date(this.clock.now()).toISOString(),
      data: JSON.stringify(data),
    });
  }

  private closeUnauthenticated(connection: Connection, error: unknown): void {
    const revoked = error instanceof SessionRevoked;
    // After the error frame, which is written in this same turn.
    setImmediate(() =>
      connection.close(
        revoked ? CloseCode.REVOKED : CloseCode.UNAUTHENTICATED,
        revoked ? 'session revoked' : 'bad token',
      ),
    );
  }
}

/** Frames other than `auth` are handled only once this is known. */
function principalOf({ principal }: Connection): Principal {
  if (!principal) throw new Unauthenticated();
  return principal;
}
