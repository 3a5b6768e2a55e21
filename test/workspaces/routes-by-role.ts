/** From the least to the most that one may. */
export const ROLES = ['viewer', 'member', 'admin', 'owner'];

/** What a route may be about. */
export interface Ids {
  readonly workspace: string;
  readonly member: string;
  readonly invitation: string;
  readonly item: string;
  /** An item in the trash. */
  readonly deleted: string;
  /** An import whose upload has begun. */
  readonly import: string;
  /** A public one; of its members only the owner moderates it. */
  readonly room: string;
  readonly agent: string;
  /** Held by an agent. */
  readonly lease: string;
  readonly credential: string;
  readonly enrolmentToken: string;
  /** A member of the workspace who is not in the room. */
  readonly newcomer: string;
}

/** A route with a request that would do, and the roles that it is for. */
export interface Case {
  readonly route: string;
  readonly roles: readonly string[];
  readonly path: (ids: Ids) => string;
  readonly json?: (ids: Ids) => unknown;
  /** That a second one is refused. */
  readonly spends?: true;
  /** A body that is not JSON. */
  readonly upload?: { readonly raw: string; readonly headers: Record<string, string> };
}

const [ALL, WRITERS, ADMINS, OWNERS] = [0, 1, 2, 3].map((from) => ROLES.slice(from));
const members = ({ workspace }: Ids) => `/v1/workspaces/${workspace}/members`;
export const invitations = ({ workspace }: Ids) => `/v1/workspaces/${workspace}/invitations`;
const item = (ids: Ids) => `/v1/items/${ids.item}`;
const importOf = (ids: Ids) => `/v1/items/imports/${ids.import}`;
const room = (ids: Ids) => `/v1/rooms/${ids.room}`;
const agent = (ids: Ids) => `/v1/agents/${ids.agent}`;
const secrets = (ids: Ids) => `${agent(ids)}/secrets`;
const roomMember = (ids: Ids) => `${room(ids)}/members/${ids.member}`;

/** Every route of a workspace. */
export const CASES: Case[] = [
  { route: 'GET /v1/workspaces/:id', roles: ALL, path: (ids) => `/v1/workspaces/${ids.workspace}` },
  {
    route: 'PATCH /v1/workspaces/:id',
    roles: OWNERS,
    path: (ids) => `/v1/workspaces/${ids.workspace}`,
    json: () => ({ name: 'New' }),
  },
  {
    route: 'DELETE /v1/workspaces/:id',
    roles: OWNERS,
    path: (ids) => `/v1/workspaces/${ids.workspace}?confirm=Team`,
  },
  { route: 'GET /v1/workspaces/:id/members', roles: ALL, path: members },
  {
    route: 'PATCH /v1/workspaces/:id/members/:principalId',
    roles: ADMINS,
    path: (ids) => `${members(ids)}/${ids.member}`,
    json: () => ({ role: 'viewer' }),
  },
  {
    route: 'DELETE /v1/workspaces/:id/members/:principalId',
    roles: ADMINS,
    path: (ids) => `${members(ids)}/${ids.member}`,
  },
  {
    route: 'POST /v1/workspaces/:id/invitations',
    roles: ADMINS,
    path: invitations,
    json: () => ({ email: 'new@example.com', role: 'viewer' }),
  },
  { route: 'GET /v1/workspaces/:id/invitations', roles: ADMINS, path: invitations },
  {
    route: 'DELETE /v1/workspaces/:id/invitations/:invitationId',
    roles: ADMINS,
    path: (ids) => `${invitations(ids)}/${ids.invitation}`,
  },
  {
    route: 'POST /v1/items',
    roles: WRITERS,
    path: () => '/v1/items',
    json: ({ workspace: workspaceId }) => ({ title: 't', type: 't', data: {}, workspaceId }),
  },
  {
    route: 'POST /v1/items/batch',
    roles: WRITERS,
    path: () => '/v1/items/batch',
    json: (ids) => ({ operations: [{ op: 'update', id: ids.item, patch: { title: 'x' } }] }),
  },
  { route: 'GET /v1/items', roles: ALL, path: (ids) => `/v1/items?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/items/:id', roles: ALL, path: item },
  { route: 'PATCH /v1/items/:id', roles: WRITERS, path: item, json: () => ({ title: 'x' }) },
  { route: 'DELETE /v1/items/:id', roles: WRITERS, path: item },
  { route: 'GET /v1/items/trash', roles: ALL, path: (ids) => `/v1/items/trash?workspaceId=${ids.workspace}` },
  { route: 'POST /v1/items/:id/restore', roles: WRITERS, path: (ids) => `/v1/items/${ids.deleted}/restore` },
  { route: 'DELETE /v1/items/trash/:id', roles: ADMINS, path: (ids) => `/v1/items/trash/${ids.deleted}` },
  { route: 'GET /v1/items/:id/history', roles: ALL, path: (ids) => `/v1/items/${ids.deleted}/history` },
  {
    route: 'GET /v1/items/:id/history/:version',
    roles: ALL,
    path: (ids) => `${item(ids)}/history/1`,
  },
  {
    route: 'GET /v1/items/export',
    roles: ALL,
    path: (ids) => `/v1/items/export?workspaceId=${ids.workspace}`,
  },
  {
    route: 'POST /v1/items/import',
    roles: WRITERS,
    path: (ids) => `/v1/items/import?workspaceId=${ids.workspace}`,
    upload: { raw: '', headers: { 'Content-Type': 'application/x-ndjson' } },
  },
  { route: 'HEAD /v1/items/imports/:id', roles: ALL, path: importOf },
  { route: 'GET /v1/items/imports/:id', roles: ALL, path: importOf },
  { route: 'GET /v1/items/imports/:id/refusals', roles: ALL, path: (ids) => `${importOf(ids)}/refusals` },
  { route: 'DELETE /v1/items/imports/:id', roles: WRITERS, path: importOf },
  {
    route: 'POST /v1/rooms',
    roles: WRITERS,
    path: () => '/v1/rooms',
    json: ({ workspace: workspaceId }) => ({ name: 'r', visibility: 'public', workspaceId }),
  },
  { route: 'GET /v1/rooms', roles: ALL, path: (ids) => `/v1/rooms?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/rooms/:id', roles: ALL, path: room },
  { route: 'PATCH /v1/rooms/:id', roles: ADMINS, path: room, json: () => ({ name: 'x' }) },
  { route: 'DELETE /v1/rooms/:id', roles: ADMINS, path: room },
  { route: 'GET /v1/rooms/:id/members', roles: ALL, path: (ids) => `${room(ids)}/members` },
  {
    route: 'POST /v1/rooms/:id/members',
    roles: ADMINS,
    path: (ids) => `${room(ids)}/members`,
    json: ({ newcomer: principalId }) => ({ principalId, role: 'speaker' }),
    spends: true,
  },
  {
    route: 'PATCH /v1/rooms/:id/members/:principalId',
    roles: ADMINS,
    path: roomMember,
    json: () => ({ role: 'listener' }),
  },
  { route: 'DELETE /v1/rooms/:id/members/:principalId', roles: ADMINS, path: roomMember },
  {
    route: 'POST /v1/rooms/:id/messages',
    roles: WRITERS,
    path: (ids) => `${room(ids)}/messages`,
    json: () => ({ type: 'note', data: 1 }),
  },
  {
    route: 'POST /v1/agents',
    roles: ADMINS,
    path: () => '/v1/agents',
    json: ({ workspace: workspaceId }) => ({ name: 'a', kind: 'k', workspaceId }),
  },
  { route: 'GET /v1/leases/dead', roles: ALL, path: (ids) => `/v1/leases/dead?workspaceId=${ids.workspace}` },
  {
    route: 'POST /v1/leases/dead/retry',
    roles: WRITERS,
    path: () => '/v1/leases/dead/retry',
    json: (ids) => ({ items: [ids.item], workspaceId: ids.workspace }),
  },
  {
    route: 'PUT /v1/leases/types',
    roles: ADMINS,
    path: () => '/v1/leases/types',
    json: (ids) => ({ type: 'task', workspaceId: ids.workspace }),
  },
  {
    route: 'POST /v1/leases/:id/cancel',
    roles: WRITERS,
    path: (ids) => `/v1/leases/${ids.lease}/cancel`,
  },
  { route: 'GET /v1/agents', roles: ALL, path: (ids) => `/v1/agents?workspaceId=${ids.workspace}` },
  { route: 'GET /v1/agents/:id', roles: ALL, path: agent },
  { route: 'PATCH /v1/agents/:id', roles: ADMINS, path: agent, json: () => ({ name: 'x' }) },
  {
    route: 'PATCH /v1/agents/:id/metadata',
    roles: ADMINS,
    path: (ids) => `${agent(ids)}/metadata`,
    json: () => ({ x: 1 }),
  },
  { route: 'POST /v1/agents/:id/disable', roles: ADMINS, path: (ids) => `${agent(ids)}/disable` },
  { route: 'POST /v1/agents/:id/enable', roles: ADMINS, path: (ids) => `${agent(ids)}/enable` },
  { route: 'DELETE /v1/agents/:id', roles: ADMINS, path: agent },
  { route: 'POST /v1/agents/:id/secrets', roles: ADMINS, path: secrets, json: () => ({}) },
  { route: 'GET /v1/agents/:id/secrets', roles: ADMINS, path: secrets },
  {
    route: 'PATCH /v1/agents/:id/secrets/:credentialId',
    roles: ADMINS,
    path: (ids) => `${secrets(ids)}/${ids.credential}`,
    json: () => ({ expiresAt: null }),
  },
  {
    route: 'DELETE /v1/agents/:id/secrets/:credentialId',
    roles: ADMINS,
    path: (ids) => `${secrets(ids)}/${ids.credential}`,
  },
  {
    route: 'POST /v1/agents/enrolment-tokens',
    roles: ADMINS,
    path: () => '/v1/agents/enrolment-tokens',
    json: ({ workspace: workspaceId }) => ({ kind: 'k', workspaceId }),
  },
  {
    route: 'GET /v1/agents/enrolment-tokens',
    roles: ADMINS,
    path: (ids) => `/v1/agents/enrolment-tokens?workspaceId=${ids.workspace}`,
  },
  {
    route: 'DELETE /v1/agents/enrolment-tokens/:tokenId',
    roles: ADMINS,
    path: (ids) => `/v1/agents/enrolment-tokens/${ids.enrolmentToken}`,
  },
  { route: 'GET /v1/rooms/:id/messages', roles: ALL, path: (ids) => `${room(ids)}/messages` },
];
