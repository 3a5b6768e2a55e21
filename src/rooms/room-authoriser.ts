import { applyDecorators, Injectable, SetMetadata } from '@nestjs/common';
import type { Principal } from '../common/access.js';
import type { Problem } from '../common/problem.js';
import type { AgentAccess } from '../common/scopes.js';
import type { StreamEvent } from '../events/stream-event.js';

export const ROOM_KIND = 'atrium:room-kind';

/** What a principal may do in a room, and where the room's events are. */
export interface RoomGrant {
  /** The workspace. */
  readonly streamId: string;
  /** Whether messages may be published, besides listening. */
  readonly mayPublish: boolean;
  /** Why not, if it is something else than the role. */
  readonly refusal?: () => Problem;
  /** The position of the stream as of which this was decided, read in the same statement. */
  readonly asOf: number;
}

/** What an event of a room takes from those who are in it. */
export type RoomAccessChange =
  /** Everybody hears it and then leaves the room. */
  | { readonly kind: 'room-closed' }
  /** One principal leaves the room before it. */
  | { readonly kind: 'out-of-room'; readonly principalId: string }
  /** What one principal may do there must be asked for again. */
  | { readonly kind: 'role-changed'; readonly principalId: string }
  /** What the room is of is gone: whether anybody may speak there must be asked for again. It takes no access. */
  | { readonly kind: 'subject-gone' };

/** Decides who may join the rooms of one kind. */
export interface RoomAuthoriser {
  /**
   * Asked for agents only if their scopes let them in.
   * @param id the part of the room's name after the kind, a UUID
   * @returns `undefined` if there is no such room, or none that the principal may know of
   */
  authorise(principal: Principal, id: string): Promise<RoomGrant | undefined>;

  /**
   * What an event of one of these rooms takes from somebody; `undefined` for every event that takes nothing. Such an
   * event is appended as one that takes access, if it does, and nobody but Atrium can publish events of its type.
   */
  accessChange?(event: StreamEvent): RoomAccessChange | undefined;
}

/** The rooms of one kind, and by what scope agents may join them: none, unless it is said. */
export interface RoomKind {
  readonly kind: string;
  readonly agents?: AgentAccess;
}

/**
 * Marks a provider as the authoriser of the rooms `{kind}/{id}`. That is all a feature does to have rooms of
 * its own: it never touches a socket.
 * @param agents lets agents in: those that hold the scope, or, by `self`, the one whose room it is
 */
export const AuthorisesRooms = (kind: string, agents?: AgentAccess): ClassDecorator =>
  applyDecorators(Injectable(), SetMetadata<string, RoomKind>(ROOM_KIND, { kind, agents }));
