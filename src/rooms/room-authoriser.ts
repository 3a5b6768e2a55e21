import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import type { Principal } from '../common/access.js';

export const ROOM_KIND = 'atrium:room-kind';

/** What a principal may do in a room, and where the room's events are. */
export interface RoomGrant {
  /** The workspace. */
  readonly streamId: string;
  /** Whether messages may be published, besides listening. */
  readonly mayPublish: boolean;
  /** The position of the stream as of which this was decided, read in the same statement. */
  readonly asOf: number;
}

/** Decides who may join the rooms of one kind. */
export interface RoomAuthoriser {
  /**
   * @param id the part of the room's name after the kind, a UUID
   * @returns `undefined` if there is no such room, or none that the principal may know of
   */
  authorise(principal: Principal, id: string): Promise<RoomGrant | undefined>;
}

/**
 * Marks a provider as the authoriser of the rooms `{kind}/{id}`. That is all a feature does to have rooms of
 * its own: it never touches a socket.
 */
export const AuthorisesRooms = (kind: string): ClassDecorator =>
  applyDecorators(Injectable(), SetMetadata(ROOM_KIND, kind));
