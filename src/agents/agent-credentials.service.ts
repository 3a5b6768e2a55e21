import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Forbidden } from '../common/problem.js';
import { Representation } from '../common/representation.js';
import { rfc3339 } from '../common/rfc3339.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import type { NewEvent } from '../events/event-appends.js';
import { type Appended, AppendingTransactions } from '../events/appending-transactions.js';
import { KeptAnswers } from '../idempotency/kept-answers.js';
import type { Caller } from '../workspaces/requires.js';
import { AgentGrants } from './agent-grants.js';
import { lockAgent } from './agent-lock.js';
import type { AgentRow } from './agents.dto.js';
import { AgentNotFound } from './agents.errors.js';
import {
  CREDENTIAL_ADDED,
  CREDENTIAL_REMOVED,
  CREDENTIAL_UPDATED,
  credentialEvent,
} from './agents.events.js';
import { hashOfSecret, newClientSecret } from './client-secrets.js';
import {
  type AddCredentialRequest,
  type AddedCredentialResponse,
  type CredentialList,
  type CredentialResponse,
  type CredentialRow,
  toCredentialResponse,
  type UpdateCredentialRequest,
} from './credentials.dto.js';
import { CredentialNotFound, TooManyCredentials } from './credentials.errors.js';
import {
  DELETE_CREDENTIAL,
  END_AFTER,
  INSERT_CREDENTIAL,
  LIST_CREDENTIALS,
  LOCK_CREDENTIALS,
  ROTATION,
  SET_END,
} from './credentials.sql.js';
import { readPublicKey } from './public-keys.js';

/** How many good credentials an agent may have. */
const MAX_CREDENTIALS = 10;
const DEFAULT_OVERLAP_SECONDS = 3_600;

/** A credential under the agent's lock. */
type LockedCredential = CredentialRow & {
  readonly ended: boolean | null;
  /** From its beginning to its end, in seconds; null: there is no end. */
  readonly lifetime: number | null;
};

/** By what agents prove who they are: added, rotated with an overlap, ended. */
@Injectable()
export class AgentCredentials {
  constructor(
    private readonly statements: PipelinedStatements,
    private readonly appending: AppendingTransactions,
    private readonly grants: AgentGrants,
    private readonly audit: AuditTrail,
    private readonly kept: KeptAnswers,
  ) {}

  /**
   * When the credential ends by which this agent's token was given, once it is time to go over to another: it was
   * replaced, or two thirds of its life are over. To be told on the heartbeat.
   * @returns RFC 3339, UTC; null as long as there is nothing to do
   */
  async rotateBy({ id, sessionId }: Principal): Promise<string | null> {
    const [row] = await this.statements.run<{ expires_at: string }>(ROTATION, [id, sessionId]);
    return row ? rfc3339(row.expires_at) : null;
  }

  /**
   * @throws {AgentNotFound}
   * @throws {Forbidden} for members who do not manage agents
   */
  async list(caller: Caller<'agents:manage'>, id: string): Promise<CredentialList> {
    const rows = await this.statements.run<CredentialRow & { allowed: 't' | 'f' }>(LIST_CREDENTIALS, [
      id,
      caller.id,
    ]);
    const [first] = rows;
    if (!first) throw new AgentNotFound();
    if (first.allowed !== 't') throw new Forbidden();
    const found = (first.id as string | null) === null ? [] : rows;
    return { data: found.map(toCredentialResponse), nextCursor: null };
  }

  /**
   * Adds a secret, or a public key. What it replaces ends after the overlap. An agent that does so itself replaces
   * one of its own, and the new one lives no longer than that did.
   * @throws as {@link lockAgent}
   * @throws {CredentialNotFound} for what is to be replaced
   * @throws {TooManyCredentials}
   * @throws {import('../common/problem.js').ValidationFailed} if the key is none
   */
  async add(
    caller: Caller<'agents:manage'>,
    id: string,
    request: AddCredentialRequest,
    client: ClientInfo,
  ): Promise<Representation<AddedCredentialResponse>> {
    const publicKey = request.publicKey && readPublicKey(request.publicKey);
    const clientSecret = publicKey ? undefined : newClientSecret();
    const work = async (manager: EntityManager) => {
      const agent = await lockAgent(manager, caller, id);
      const all = await manager.query<LockedCredential[]>(LOCK_CREDENTIALS, [id]);
      const replaced = all.find((each) => each.id === request.replaces?.toLowerCase() && !each.ended);
      if (request.replaces !== undefined && !replaced) throw new CredentialNotFound();
      if (caller.agent && !replaced)
        throw new Forbidden('An agent replaces a credential of its own: name it in replaces.');
      const good = all.filter(({ ended }) => !ended).length;
      if (good >= MAX_CREDENTIALS) throw new TooManyCredentials(MAX_CREDENTIALS);
      const [row] = await manager.query<CredentialRow[]>(INSERT_CREDENTIAL, [
        newId(),
        id,
        publicKey ? 'key' : 'secret',
        request.name ?? null,
        clientSecret === undefined ? null : hashOfSecret(clientSecret),
        publicKey === undefined ? null : JSON.stringify(publicKey),
        caller.id,
        lifetimeOf(request, caller, replaced),
      ]);
      const events = [credentialEvent(CREDENTIAL_ADDED, caller.id, agent, row)];
      if (replaced) {
        const overlap = request.overlapSeconds ?? DEFAULT_OVERLAP_SECONDS;
        const [[ending]] = await manager.query<[CredentialRow[], number]>(END_AFTER, [replaced.id, overlap]);
        await this.grants.endWith(manager, ending);
        events.push(credentialEvent(CREDENTIAL_UPDATED, caller.id, agent, ending));
      }
      const facts = { credentialId: row.id, kind: row.kind, replaces: replaced?.id ?? null };
      await this.record('agent.credential-added', caller, agent, facts, client, manager);
      return { answer: row, events };
    };
    const represent = ({ answer }: Appended<CredentialRow>) =>
      Representation.of<AddedCredentialResponse>(
        {
          ...toCredentialResponse(answer),
          clientId: id,
          ...(clientSecret !== undefined && { clientSecret }),
        },
        { secret: true },
      );
    return represent(await this.appending.run(work, this.kept.last(caller, represent)));
  }

  /** Sets when a credential ends. One whose end has come loses its tokens at once. @throws as {@link remove} */
  async update(
    caller: Caller<'agents:manage'>,
    id: string,
    credentialId: string,
    { expiresAt }: UpdateCredentialRequest,
    client: ClientInfo,
  ): Promise<CredentialResponse> {
    let tell: (() => void) | undefined;
    const { answer } = await this.appending.run(async (manager) => {
      const { agent, credential } = await this.lock(manager, caller, id, credentialId);
      const [[row]] = await manager.query<[LockedCredential[], number]>(SET_END, [credentialId, expiresAt]);
      // One that comes back after its end gives tokens under another name: those of before have ended.
      if (row.ended || credential.ended) tell = await this.grants.end(manager, [id], credentialId);
      else await this.grants.endWith(manager, row);
      await this.record(
        'agent.credential-updated',
        caller,
        agent,
        { credentialId, expiresAt },
        client,
        manager,
      );
      return { answer: row, events: [credentialEvent(CREDENTIAL_UPDATED, caller.id, agent, row)] };
    });
    tell?.();
    return toCredentialResponse(answer);
  }

  /**
   * Ends a credential with all that it gave: its tokens and sockets end at every instance within a second.
   * @throws as {@link lockAgent}
   * @throws {CredentialNotFound}
   */
  async remove(
    caller: Caller<'agents:manage'>,
    id: string,
    credentialId: string,
    client: ClientInfo,
  ): Promise<void> {
    let tell: (() => void) | undefined;
    await this.appending.run(async (manager) => {
      const { agent, credential } = await this.lock(manager, caller, id, credentialId);
      const removal = await this.removal(manager, caller.id, agent, credential, client);
      tell = removal.tell;
      return { answer: undefined, events: [removal.event] };
    });
    tell?.();
  }

  /** Removes a credential of a locked agent, in the caller's transaction, whose events this one joins. */
  async removal(
    manager: EntityManager,
    by: string,
    agent: AgentRow,
    credential: CredentialRow,
    client: ClientInfo,
  ): Promise<{ event: NewEvent; tell: () => void }> {
    const tell = await this.grants.end(manager, [agent.id], credential.id);
    await manager.query(DELETE_CREDENTIAL, [credential.id]);
    const facts = { credentialId: credential.id, kind: credential.kind };
    await this.record('agent.credential-removed', { id: by }, agent, facts, client, manager);
    return { event: credentialEvent(CREDENTIAL_REMOVED, by, agent, credential), tell };
  }

  private async lock(
    manager: EntityManager,
    caller: Caller,
    id: string,
    credentialId: string,
  ): Promise<{ agent: AgentRow; credential: LockedCredential }> {
    const agent = await lockAgent(manager, caller, id);
    const all = await manager.query<LockedCredential[]>(LOCK_CREDENTIALS, [id]);
    const credential = all.find((each) => each.id === credentialId);
    if (!credential) throw new CredentialNotFound();
    return { agent, credential };
  }

  private async record(
    action: string,
    by: { readonly id: string },
    agent: AgentRow,
    facts: Readonly<Record<string, string | null>>,
    client: ClientInfo,
    manager: EntityManager,
  ): Promise<void> {
    const entry = { client, workspaceId: agent.workspace_id, principalId: by.id };
    await this.audit.record({ action, ...entry, detail: { agentId: agent.id, ...facts } }, manager);
  }
}

/** In seconds; null: without an end. */
function lifetimeOf(
  { expiresInSeconds }: AddCredentialRequest,
  { agent }: Caller,
  replaced: LockedCredential | undefined,
): number | null {
  const longest = (agent && replaced?.lifetime) ?? null;
  if (longest === null) return expiresInSeconds ?? null;
  return Math.min(expiresInSeconds ?? longest, longest);
}
