import { SetMetadata } from '@nestjs/common';
import type { Principal } from './access.js';
import { Problem } from './problem.js';

/**
 * What an agent may be allowed to do, by itself or, for `items:write`, for one type of items: `items:write:type=T`,
 * T percent-encoded as in a URL.
 */
export const AGENT_SCOPES = [
  'agents:read',
  'credentials',
  'items:read',
  'items:write',
  'leases',
  'rooms:publish',
  'rooms:read',
] as const;
export type AgentScope = (typeof AGENT_SCOPES)[number];

/** A scope that holds for items of one type. */
const OF_TYPE = 'items:write:type=';
/** What a URL may hold unescaped (RFC 3986, section 2.3), and escapes; all of it is allowed in a scope (RFC 6749). */
const ENCODED = /^(?:[A-Za-z0-9\-._~!*'():@+,;=/]|%[0-9A-Fa-f]{2}){1,900}$/;

/** Whether the text is a scope that there is. */
export function isScope(text: string): boolean {
  if ((AGENT_SCOPES as readonly string[]).includes(text)) return true;
  return text.startsWith(OF_TYPE) && typeOf(text) !== undefined;
}

/** Whether a principal that has `held` scopes may be given this one. */
export const covers = (held: readonly string[], scope: string): boolean =>
  held.includes(scope) ||
  (scope.startsWith(OF_TYPE) &&
    (held.includes('items:write') || held.some((each) => typeOf(each) === typeOf(scope))));

/** Whether a scope lets its holder do something of this kind at all. */
const grants = (scope: string, wanted: AgentScope): boolean =>
  scope === wanted || (wanted === 'items:write' && scope.startsWith(OF_TYPE));

/** The type of a scope that is for one. */
function typeOf(scope: string): string | undefined {
  if (!scope.startsWith(OF_TYPE)) return undefined;
  const encoded = scope.slice(OF_TYPE.length);
  if (!ENCODED.test(encoded)) return undefined;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return undefined;
  }
}

/** 403 `insufficient_scope` (RFC 6750, section 3.1): the agent is known, but was not given this. */
export class InsufficientScope extends Problem {
  /** @param scope what would do; nothing does when left out */
  constructor(scope?: string, detail?: string) {
    const needed = scope === undefined ? '' : `, scope="${scope}"`;
    super(
      403,
      'insufficient_scope',
      detail ??
        (scope === undefined
          ? 'Agents may not do this.'
          : `The access token does not have the scope ${scope}.`),
      { headers: { 'WWW-Authenticate': `Bearer realm="atrium", error="insufficient_scope"${needed}` } },
    );
  }
}

/** Whether the principal may do what a scope opens. People have no scopes, and may. */
export const hasScope = ({ agent }: Principal, scope: AgentScope): boolean =>
  agent?.scopes.some((each) => grants(each, scope)) ?? true;

/**
 * Refuses an agent whose token does not hold a scope. People have none, and pass.
 * @throws {InsufficientScope}
 */
export function requireScope(principal: Principal, scope: AgentScope): void {
  if (!hasScope(principal, scope)) throw new InsufficientScope(scope);
}

/** The types of items that the principal may write; `undefined`: all of them. */
export const writableTypes = ({ agent }: Principal): readonly string[] | undefined =>
  agent && typesWritableBy(agent.scopes);

/** The types of items that scopes let an agent write; `undefined`: all of them. */
export function typesWritableBy(scopes: readonly string[]): readonly string[] | undefined {
  if (scopes.includes('items:write')) return undefined;
  return scopes.flatMap((scope) => typeOf(scope) ?? []);
}

/** 403 `insufficient_scope`: an item of a type that the agent may not write, or would become one. */
export class TypeNotWritable extends InsufficientScope {
  constructor() {
    super('items:write', 'The access token does not have the scope to write items of this type.');
  }
}

/** Refuses an agent that may not write items of one of these types. @throws {TypeNotWritable} */
export function requireWritable(principal: Principal, ...types: readonly string[]): void {
  const writable = writableTypes(principal);
  if (writable && !types.every((type) => writable.includes(type))) throw new TypeNotWritable();
}

/** By what an agent may call a route. */
export interface AgentAccess {
  readonly scope?: AgentScope;
  /** Whether the route, whose `:id` is an agent's, needs no scope from that agent. */
  readonly self?: boolean;
  /** Whether the route is about the agent itself alone, with the scope. */
  readonly own?: boolean;
}

export const AGENT_ACCESS = 'atrium:agent-access';

/**
 * Lets agents call a route: those that hold the scope, or all of them when there is none. A route that does not say
 * this refuses every agent.
 */
export const OpenToAgents = (access: AgentAccess): MethodDecorator & ClassDecorator =>
  SetMetadata<string, AgentAccess>(AGENT_ACCESS, access);

/**
 * @param access what the route says
 * @param id the `:id` of its path
 * @throws {InsufficientScope} if that does not let the agent in
 */
export function admitAgent(principal: Principal, access: AgentAccess | undefined, id: unknown): void {
  if (!access) throw new InsufficientScope();
  const isItself = typeof id === 'string' && id.toLowerCase() === principal.id;
  if (access.self && isItself) return;
  if (access.scope !== undefined) requireScope(principal, access.scope);
  if ((access.own || (access.self && access.scope === undefined)) && !isItself)
    throw new InsufficientScope(undefined, 'An agent may do this to itself alone.');
}
