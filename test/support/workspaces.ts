import type { HttpClient } from './http.js';
import type { Person } from './people.js';
import { type MailServer, tokenIn } from './smtp.js';

/** What the routes of workspaces answer. */
export interface WorkspaceAnswer {
  readonly id: string;
  readonly name: string;
  readonly personal: boolean;
  readonly role: string;
  readonly version: number;
}

/** What the routes of members answer. */
export interface MemberAnswer {
  readonly principalId: string;
  readonly email: string | null;
  readonly name: string | null;
  readonly role: string;
  readonly version: number;
}

export interface InvitationAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly email: string;
  readonly role: string;
  readonly invitedBy: string;
  readonly expiresAt: string;
}

/** Creates a workspace that the person owns. */
export async function createWorkspace(owner: Person, name = 'Team'): Promise<WorkspaceAnswer> {
  const { status, body, text } = await owner.http.post<WorkspaceAnswer>('/v1/workspaces', { name });
  if (status !== 201) throw new Error(`create answered ${status}: ${text}`);
  return body;
}

/** Invites an address, and gives the token that the mail brought. */
export async function invite(
  mail: MailServer,
  inviter: { readonly http: HttpClient },
  workspaceId: string,
  email: string,
  role = 'member',
): Promise<{ invitation: InvitationAnswer; token: string }> {
  const count = mail.sentTo(email).filter(({ mail: { subject } }) => subject?.startsWith('You are invited'));
  const path = `/v1/workspaces/${workspaceId}/invitations`;
  const { status, body, text } = await inviter.http.post<InvitationAnswer>(path, { email, role });
  if (status !== 201) throw new Error(`invite answered ${status}: ${text}`);
  const received = await mail.mailTo(email, /^You are invited/, count.length + 1);
  return { invitation: body, token: tokenIn(received) };
}
