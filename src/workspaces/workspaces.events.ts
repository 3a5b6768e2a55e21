import type { NewEvent } from '../events/event-appends.js';
import type { StreamEvent } from '../events/stream-event.js';
import type { Role } from './membership.entity.js';

export const WORKSPACE_UPDATED = 'workspace.updated';
export const WORKSPACE_DELETED = 'workspace.deleted';
export const MEMBER_ADDED = 'member.added';
export const MEMBER_UPDATED = 'member.updated';
export const MEMBER_REMOVED = 'member.removed';

/** The room of a workspace, and the subject of its events. */
export const workspaceSubject = (id: string): string => `workspaces/${id}`;

/** What the event of a member carries. A record of its own: the principal's id with the version of the membership. */
export interface MemberEventData {
  readonly id: string;
  readonly version: number;
  readonly workspaceId: string;
  readonly principalId: string;
  readonly role: Role;
}

/** An event about a workspace or one of its members. */
export function workspaceEvent(
  type: string,
  workspaceId: string,
  principalId: string,
  data:
    | MemberEventData
    | { id: string; version: number; name: string; requireIfMatch: boolean; language: string },
): NewEvent {
  return { streamId: workspaceId, subject: workspaceSubject(workspaceId), type, principalId, data };
}

/** An event about one member, as the membership is after it. */
export function memberEvent(
  type: string,
  workspaceId: string,
  principalId: string,
  member: { readonly principal_id: string; readonly role: Role; readonly version: string },
): NewEvent {
  const { principal_id: id, role } = member;
  const version = Number(member.version);
  return workspaceEvent(type, workspaceId, principalId, { id, version, workspaceId, principalId: id, role });
}

/** Of agents, which are members, too: by these they are so no more. Their data is the agent. */
const AGENT_OUT: readonly string[] = ['agent.disabled', 'agent.deleted'];

/** Who loses or changes what they may do, by an event of a workspace's stream. */
export type AccessChange =
  | { readonly kind: 'everybody-out' }
  | { readonly kind: 'member-out'; readonly principalId: string }
  | { readonly kind: 'role-changed'; readonly principalId: string };

/**
 * What an event means for those who are in rooms of the workspace; `undefined` for every event that takes nothing
 * from anybody. Nobody but Atrium can publish events of these types.
 */
export function accessChange(event: StreamEvent): AccessChange | undefined {
  if (AGENT_OUT.includes(event.type))
    return { kind: 'member-out', principalId: (JSON.parse(event.data) as { id: string }).id };
  switch (event.type) {
    case WORKSPACE_DELETED:
      return { kind: 'everybody-out' };
    case MEMBER_REMOVED:
      return { kind: 'member-out', principalId: principalIn(event) };
    case MEMBER_UPDATED:
      return { kind: 'role-changed', principalId: principalIn(event) };
    default:
      return undefined;
  }
}

const principalIn = (event: StreamEvent): string => (JSON.parse(event.data) as MemberEventData).principalId;
