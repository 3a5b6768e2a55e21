import { randomUUID } from 'node:crypto';
import type { TestApp } from './app.js';
import { http, type HttpClient } from './http.js';

/** What `register`, `login` and `refresh` answer. */
export interface LoginAnswer {
  readonly user: UserAnswer;
  readonly accessToken: string;
  readonly tokenType: string;
  readonly expiresIn: number;
  readonly refreshToken: string;
}

export interface UserAnswer {
  readonly id: string;
  readonly email: string;
  readonly name: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
}

/** What the routes of items answer. */
export interface ItemAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly type: string;
  readonly title: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

/** What lists answer. */
export interface PageAnswer<Entry> {
  readonly data: readonly Entry[];
  readonly nextCursor: string | null;
}

/** A person who has registered. */
export interface Person {
  readonly user: UserAnswer;
  readonly password: string;
  /** The access token. */
  readonly token: string;
  readonly refreshToken: string;
  /** The personal workspace. */
  readonly workspaceId: string;
  /** Calls the instance at which the person registered. */
  readonly http: HttpClient;
}

export const PASSWORD = 'correct horse battery';

/** Registers somebody new. */
export async function registerUser(
  app: { readonly url: string },
  input: { readonly email?: string; readonly password?: string; readonly name?: string } = {},
): Promise<Person> {
  const request = { email: `${randomUUID()}@example.com`, password: PASSWORD, ...input };
  const { status, body, text } = await http(app).post<LoginAnswer>('/v1/auth/register', request);
  if (status !== 201) throw new Error(`register answered ${status}: ${text}`);
  const client = http(app, body.accessToken);
  const workspaces = await client.get<PageAnswer<{ id: string; personal: boolean }>>('/v1/workspaces');
  return {
    user: body.user,
    password: request.password,
    token: body.accessToken,
    refreshToken: body.refreshToken,
    workspaceId: workspaces.body.data.find(({ personal }) => personal)!.id,
    http: client,
  };
}

/** Creates an item that the test then works on. */
export async function createItem(
  person: Person,
  input: { title?: string; type?: string; data?: unknown; workspaceId?: string } = {},
): Promise<ItemAnswer> {
  const request = { title: 'A task', type: 'task', data: {}, ...input };
  const { status, body, text } = await person.http.post<ItemAnswer>('/v1/items', request);
  if (status !== 201) throw new Error(`create answered ${status}: ${text}`);
  return body;
}

/** Makes somebody a member; there is no route for it yet. */
export async function addMember(
  app: TestApp,
  workspaceId: string,
  person: Person,
  role: string,
): Promise<void> {
  await app.sql('INSERT INTO memberships (workspace_id, principal_id, role) VALUES ($1, $2, $3)', [
    workspaceId,
    person.user.id,
    role,
  ]);
}
