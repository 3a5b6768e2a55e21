import { Forbidden, NotFound, Problem } from '../common/problem.js';

/** 404 `not_found`: no such room, or none that the caller may see. */
export class CustomRoomNotFound extends NotFound {
  constructor() {
    super('There is no such room, or it is not yours to see.');
  }
}

/** 404 `not_found`: nobody of that id among the members of a room that the caller sees. */
export class RoomMemberNotFound extends NotFound {
  constructor() {
    super('There is no such member in this room.');
  }
}

/** 403 `forbidden`: what only moderators of a room and admins of its workspace may do. */
export class NotModerator extends Forbidden {
  constructor() {
    super('Only a moderator of the room, or an admin of its workspace, may do this.');
  }
}

/** 409 `room_closed`: a room is closed for good; what was said in it can be read. */
export class RoomClosed extends Problem {
  constructor() {
    super(409, 'room_closed', 'This room was closed; what was said in it can still be read.');
  }
}

/** 409 `last_moderator`: somebody looks after a room for as long as its moderators are in the workspace. */
export class LastModerator extends Problem {
  constructor() {
    super(409, 'last_moderator', 'A room needs a moderator: make somebody else one first, or close it.');
  }
}

/** 409 `too_many_open_rooms`: the bound on rooms of a workspace. */
export class TooManyOpenRooms extends Problem {
  constructor(limit: number) {
    super(
      409,
      'too_many_open_rooms',
      `The workspace has ${limit} open rooms, which is the most; close some.`,
    );
  }
}

/** 409 `too_many_room_members`: the bound on members of a room. */
export class TooManyRoomMembers extends Problem {
  constructor(limit: number) {
    super(409, 'too_many_room_members', `The room has ${limit} members, which is the most; remove some.`);
  }
}

/** 413 `message_too_large`: longer than a socket could publish it. */
export class MessageTooLarge extends Problem {
  constructor(limit: number) {
    super(413, 'message_too_large', `data must be at most ${limit} bytes of JSON.`);
  }
}
