import { type Answer, http, type HttpClient, type ProblemAnswer } from './http.js';
import type { Person } from './people.js';

/** What the routes of agents answer. */
export interface AgentAnswer {
  readonly id: string;
  readonly workspaceId: string;
  readonly name: string;
  readonly kind: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly capabilities: readonly string[];
  readonly scopes: readonly string[];
  readonly status: string;
  readonly clientId: string;
  readonly lastSeenAt: string | null;
  readonly version: number;
  readonly createdAt: string;
  readonly createdBy: string;
  readonly updatedAt: string;
  readonly updatedBy: string;
}

export type CreatedAgentAnswer = AgentAnswer & { readonly clientSecret: string };

/** What the token server answers: tokens, or why not. */
export interface TokenAnswer {
  readonly access_token: string;
  readonly token_type: string;
  readonly expires_in: number;
  readonly scope?: string;
  readonly refresh_token?: string;
  readonly error?: string;
  readonly error_description?: string;
}

/** An agent at work. */
export interface RunningAgent {
  readonly agent: CreatedAgentAnswer;
  /** An access token with all of its scopes. */
  readonly token: string;
  readonly http: HttpClient;
}

/** Makes an agent, in the personal workspace unless told otherwise. */
export async function createAgent(
  owner: Pick<Person, 'http'>,
  input: Readonly<Record<string, unknown>> = {},
): Promise<CreatedAgentAnswer> {
  const request = { name: 'A worker', kind: 'worker', ...input };
  const { status, body, text } = await owner.http.post<CreatedAgentAnswer>('/v1/agents', request);
  if (status !== 201) throw new Error(`create answered ${status}: ${text}`);
  return body;
}

/** Sends a form. */
export const postForm = <Body = TokenAnswer>(
  { url }: { readonly url: string },
  path: string,
  form: Readonly<Record<string, string>>,
  headers: Readonly<Record<string, string>> = {},
): Promise<Answer<Body>> =>
  http({ url }).call<Body>('POST', path, {
    raw: new URLSearchParams(form).toString(),
    headers: { 'Content-Type': 'application/x-www-form-urlencoded', ...headers },
  });

/** Asks for an access token by the secret. */
export const clientCredentials = (
  app: { readonly url: string },
  { clientId, clientSecret }: Pick<CreatedAgentAnswer, 'clientId' | 'clientSecret'>,
  more: Readonly<Record<string, string>> = {},
): Promise<Answer<TokenAnswer>> =>
  postForm(app, '/oauth/token', {
    grant_type: 'client_credentials',
    client_id: clientId,
    client_secret: clientSecret,
    ...more,
  });

/** Makes an agent with these scopes and signs it in. */
export async function startAgent(
  app: { readonly url: string },
  owner: Pick<Person, 'http'>,
  scopes: readonly string[] = [],
  input: Readonly<Record<string, unknown>> = {},
): Promise<RunningAgent> {
  const agent = await createAgent(owner, { scopes, ...input });
  const { status, body, text } = await clientCredentials(app, agent);
  if (status !== 200) throw new Error(`the token server answered ${status}: ${text}`);
  return { agent, token: body.access_token, http: http(app, body.access_token) };
}

/** That an answer says a scope is missing, as RFC 6750 has it. */
export const lacksScope = ({ status, headers, text }: Answer<ProblemAnswer>): boolean =>
  status === 403 &&
  // An answer to HEAD has no body.
  (text === '' || (JSON.parse(text) as ProblemAnswer).code === 'insufficient_scope') &&
  /error="insufficient_scope"/.test(headers.get('www-authenticate') ?? '');
