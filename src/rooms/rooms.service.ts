import { Injectable } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import { Problem, Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { Authenticator } from '../sessions/authenticator.js';
import { SessionRevoked } from '../sessions/sessions.errors.js';
import { CloseCode } from './close-codes.js';
import type { Connection } from './connection.js';
import { Connections } from './connections.js';
import { errorData } from './frame-problem.filter.js';
import { Publisher } from './publisher.js';
import { RoomDirectory } from './room-directory.js';
import { RoomHub } from './room-hub.js';
import { RoomPresence } from './room-presence.js';
import type { JoinFrame, PresenceFrame, PublishFrame } from './rooms.dto.js';
import { NotJoined, OtherPrincipal, RoomNotFound, TooManyRooms } from './rooms.errors.js';

/**
 * What sockets may ask for. The answer to a join comes before the room's events; whoever publishes may hear the
 * event before the `published` that gives its cursor.
 */
@Injectable()
export class RoomsService {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly connections: Connections,
    private readonly directory: RoomDirectory,
    private readonly hub: RoomHub,
    private readonly presence: RoomPresence,
    private readonly publisher: Publisher,
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

  /** @throws {RoomNotFound} */
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
    if (!subscription.active) throw new RoomNotFound(); // lost in this very moment; it has been told so
    connection.entered(subscription.room.stream.id);
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

  /**
   * Says something about the principal to those who are in the room; to the others as `presence`, too.
   * @throws {NotJoined}
   */
  present(connection: Connection, { room, state }: PresenceFrame): void {
    const subscription = this.hub.subscriptionsOf(connection).get(room);
    if (!subscription) throw new NotJoined();
    const entry = this.presence.setState(subscription, state);
    connection.reply('presence', { room, joined: [], left: [], updated: entry ? [entry] : [] });
  }

  leaveAll(connection: Connection): void {
    this.hub.leaveAll(connection);
  }

  /**
   * Says something in a room: kept in the stream, or only to those who are there now.
   * @throws as {@link Publisher.publish}
   */
  async publish(connection: Connection, frame: PublishFrame): Promise<void> {
    const subscription = this.hub.subscriptionsOf(connection).get(frame.room);
    const { cursor } = await this.publisher.publish(principalOf(connection), frame, {
      known: subscription?.currentGrant,
      renewed: (grant) => {
        if (subscription) subscription.grant = grant;
      },
    });
    connection.reply('published', { cursor });
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
