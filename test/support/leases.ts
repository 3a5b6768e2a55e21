import type { RunningAgent } from './agents.js';
import type { Answer, CallOptions, ProblemAnswer } from './http.js';
import type { ItemAnswer } from './people.js';

/** What an agent is told when it says that it is there, by POST or over its socket. */
export interface HeartbeatAnswer {
  readonly intervalSeconds: number;
  readonly leases: readonly { readonly id: string; readonly expiresAt: string }[];
  readonly lost: readonly string[];
  readonly rotateBy: string | null;
}

/** What a claim answers for each item. */
export interface LeaseAnswer {
  readonly id: string;
  readonly fence: number;
  readonly attempt: number;
  readonly expiresAt: string;
  readonly item: ItemAnswer;
}

/** How far the work on an item is. */
export interface WorkAnswer {
  readonly id: string;
  readonly itemId: string;
  readonly type: string;
  readonly agentId: string;
  readonly state: string;
  readonly attempt: number;
  readonly dueAt: string;
  readonly reason: string | null;
  readonly item?: ItemAnswer;
}

/** Claims items of one type. */
export async function claim(
  { http }: Pick<RunningAgent, 'http'>,
  type: string,
  more: Readonly<Record<string, unknown>> = {},
  options: CallOptions = {},
): Promise<readonly LeaseAnswer[]> {
  const { status, body, text } = await http.post<{ data: LeaseAnswer[] }>(
    '/v1/leases',
    { types: [type], ...more },
    options,
  );
  if (status !== 200) throw new Error(`claim answered ${status}: ${text}`);
  return body.data;
}

/** Ends a lease, or keeps it: `complete`, `fail`, `release`, `extend`, `cancel`. */
export const lease = <Body = WorkAnswer & ProblemAnswer>(
  { http }: Pick<RunningAgent, 'http'>,
  { id }: { readonly id: string },
  action: string,
  body?: unknown,
): Promise<Answer<Body>> => http.post<Body>(`/v1/leases/${id}/${action}`, body);
