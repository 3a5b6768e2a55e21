import type { TestApp } from './app.js';
import type { PageAnswer, Person } from './people.js';

/** What the routes of rooms answer. */
export interface RoomAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly visibility: 'public' | 'private';
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
  readonly closedAt: string | null;
}

/** What the routes of a room's members answer. */
export interface RoomMemberAnswer {
  readonly principalId: string;
  readonly email: string | null;
  readonly name: string | null;
  readonly role: 'moderator' | 'speaker' | 'listener';
  readonly version: number;
}

/** Creates a room whose first moderator the person is. */
export async function createRoom(
  person: Person,
  input: { name?: string; visibility?: 'public' | 'private'; workspaceId?: string } = {},
): Promise<RoomAnswer> {
  const request = { name: 'General', visibility: 'private', ...input };
  const { status, body, text } = await person.http.post<RoomAnswer>('/v1/rooms', request);
  if (status !== 201) throw new Error(`create answered ${status}: ${text}`);
  return body;
}

/** Gives somebody a role in a room. */
export async function addToRoom(
  moderator: Person,
  roomId: string,
  person: Person,
  role: string,
): Promise<RoomMemberAnswer> {
  const { status, body, text } = await moderator.http.post<RoomMemberAnswer>(`/v1/rooms/${roomId}/members`, {
    principalId: person.user.id,
    role,
  });
  if (status !== 201) throw new Error(`add answered ${status}: ${text}`);
  return body;
}

export const roomPath = ({ id }: RoomAnswer): string => `/v1/rooms/${id}`;
export const memberPath = (of: RoomAnswer, { user }: Person): string => `${roomPath(of)}/members/${user.id}`;

/** Who has which role in a room, as somebody sees it who is in it. */
export async function rolesOf(person: Person, of: RoomAnswer): Promise<Record<string, string>> {
  const { body } = await person.http.get<PageAnswer<RoomMemberAnswer>>(`${roomPath(of)}/members`);
  return Object.fromEntries(body.data.map(({ principalId, role }) => [principalId, role]));
}

/** What was told of a room, oldest first. */
export const eventsOf = (app: TestApp, of: RoomAnswer) =>
  app.sql<{ type: string; data: Record<string, unknown> }>(
    'SELECT type, data FROM events WHERE subject = $1 ORDER BY seq',
    [`rooms/${of.id}`],
  );
