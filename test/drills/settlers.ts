import { createRoom } from '../support/custom-rooms.js';
import { http } from '../support/http.js';
import { createItem, type Person, registerUser } from '../support/people.js';
import { createWorkspace } from '../support/workspaces.js';
import type { Instance } from './instance.js';

/** Who takes part in a drill. */
export interface Somebody {
  readonly id: string;
  readonly token: string;
}

export interface People {
  /** Owns both workspaces; writes and reads. */
  readonly owner: Somebody;
  /** A member of both; reads, until the membership ends. */
  readonly guest: Somebody;
  /** May not write. */
  readonly viewer: Somebody;
  readonly workspaces: readonly string[];
  /** Items with rooms that are followed. */
  readonly items: readonly { readonly id: string; readonly workspace: string }[];
  /** Public rooms that the owner made, one in each workspace. */
  readonly rooms: readonly { readonly id: string; readonly workspace: string }[];
}

const ITEMS = 3;

/** Registers people and makes what they work on. Memberships come by hand: invitations are not what is tried here. */
export async function settle(
  instance: Instance,
  ask: (text: string, values: readonly unknown[]) => Promise<unknown>,
): Promise<People> {
  const [owner, guest, viewer] = await Promise.all([1, 2, 3].map(() => registerUser(instance)));
  if (!owner || !guest || !viewer) throw new Error('nobody came');
  const workspaces = await Promise.all(
    ['Busy', 'Busier'].map(async (name) => (await createWorkspace(owner, name)).id),
  );
  for (const workspace of workspaces)
    for (const [person, role] of [
      [guest, 'member'],
      [viewer, 'viewer'],
    ] as const)
      await ask('INSERT INTO memberships (workspace_id, principal_id, role) VALUES ($1, $2, $3)', [
        workspace,
        person.user.id,
        role,
      ]);
  const items: { id: string; workspace: string }[] = [];
  for (let n = 0; n < ITEMS; n++) {
    const workspace = workspaces[n % workspaces.length] ?? '';
    const { id } = await createItem(owner, { workspaceId: workspace, title: `Item ${n}` });
    items.push({ id, workspace });
  }
  const rooms: { id: string; workspace: string }[] = [];
  for (const workspace of workspaces) {
    const { id } = await createRoom(owner, { workspaceId: workspace, visibility: 'public' });
    rooms.push({ id, workspace });
  }
  return { owner: known(owner), guest: known(guest), viewer: known(viewer), workspaces, items, rooms };
}

const known = ({ user, token }: Person): Somebody => ({ id: user.id, token });

/** Takes the guest out of a workspace, by way of an instance. */
export async function removeGuest(instance: Instance, people: People, workspace: string): Promise<number> {
  const { owner, guest } = people;
  const path = `/v1/workspaces/${workspace}/members/${guest.id}`;
  return (await http(instance, owner.token).delete(path)).status;
}
