import type { Role } from './membership.entity.js';

const OWNERS = ['owner'] as const;
const ADMINS = ['owner', 'admin'] as const;
const WRITERS = ['owner', 'admin', 'member'] as const;
const MEMBERS = ['owner', 'admin', 'member', 'viewer'] as const;
/** As far as their scopes go, too (src/common/scopes.ts). */
const WRITERS_AND_AGENTS = [...WRITERS, 'agent'] as const;
const EVERYBODY = [...MEMBERS, 'agent'] as const;

/** Who may do what in a workspace: the one place that decides. */
const HOLDERS = {
  'workspace:read': EVERYBODY,
  /** Its settings, but for its name. */
  'workspace:configure': ADMINS,
  'workspace:rename': OWNERS,
  'workspace:delete': OWNERS,
  'members:read': MEMBERS,
  /** Including invitations, but not owners. Anybody may leave. */
  'members:manage': ADMINS,
  'owners:manage': OWNERS,
  'agents:read': EVERYBODY,
  'agents:manage': ADMINS,
  'audit:read': ADMINS,
  'items:read': EVERYBODY,
  'items:write': WRITERS_AND_AGENTS,
  /** From the trash, for good. */
  'items:purge': ADMINS,
  /** Claiming items, and working on them while nobody else does. */
  'leases:hold': ['agent'],
  'rooms:read': EVERYBODY,
  'rooms:create': WRITERS,
  /** As a moderator of the room. */
  'rooms:moderate': WRITERS,
  /** All rooms of the workspace, as their moderators do; but only who is in a private room hears what is said there. */
  'rooms:manage': ADMINS,
  'rooms:publish': WRITERS_AND_AGENTS,
} as const satisfies Readonly<Record<string, readonly Role[]>>;

/** Something that a role may do. */
export type Permission = keyof typeof HOLDERS;

export const PERMISSIONS = Object.keys(HOLDERS) as Permission[];

/** The roles that have a permission, as a parameter for `role = ANY ($n)`. */
export const rolesWith = (permission: Permission): readonly Role[] => HOLDERS[permission];

/** Whether a role has a permission. */
export const may = (role: Role, permission: Permission): boolean => rolesWith(permission).includes(role);

/** {@link may} in the text of a statement that is prepared once. `role` is our own SQL, never input. */
export const maySql = (role: string, permission: Permission): string =>
  `${role} IN (${rolesWith(permission)
    .map((holder) => `'${holder}'`)
    .join(', ')})`;

/**
 * A principal's place in a workspace, to be joined to rows that a statement was given (`CROSS JOIN membershipOf(…) m`),
 * with `workspace_id` and `role`. It is always found by its key: for a plain join PostgreSQL, which takes given rows for
 * a hundred, would read all the memberships there are until they are some ten thousands.
 */
export const membershipOf = (workspace: string, principal: string): string => `LATERAL (
        SELECT mm.workspace_id, mm.role FROM memberships mm
        WHERE mm.workspace_id = ${workspace} AND mm.principal_id = ${principal} LIMIT 1
      )`;
