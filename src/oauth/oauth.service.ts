import { Injectable, Logger } from '@nestjs/common';
import { createHash } from 'node:crypto';
import { DataSource } from 'typeorm';
import { OneTimeTokens, type TokenPurpose } from '../accounts/one-time-tokens.js';
import { AuditTrail } from '../audit/audit-trail.js';
import type { Principal } from '../common/access.js';
import type { ClientInfo } from '../common/client-info.js';
import { newId } from '../common/identifiers.js';
import { Problem, ValidationFailed } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import type { SessionResponse, SignInChallenge } from '../sessions/sessions.dto.js';
import { SignInService } from '../sessions/sign-in.service.js';
import type { BrowserKey } from './browser-key.js';
import { IdentitiesService } from './identities.service.js';
import { IdentityAccounts } from './identity-accounts.js';
import { type ExchangeRequest, FlowStartResponse, type Redirection, type StartQuery } from './oauth.dto.js';
import { InvalidExchangeCode, InvalidOAuthState } from './oauth.errors.js';
import { Providers } from './providers.js';

/** The session in which a link was asked for. */
interface LinkOrder {
  readonly userId: string;
  readonly sessionId: string;
}

/** A sign-in under way; its token is the `state`. */
interface Flow {
  readonly provider: string;
  readonly returnTo: string;
  /** The hash of the key of the browser that started it. */
  readonly browser: string;
  readonly codeChallenge: string | null;
  /** Missing of a sign-in. */
  readonly link?: LinkOrder;
}

/** A sign-in that waits for the app to collect it. */
interface Collection extends Pick<Flow, 'provider' | 'browser' | 'codeChallenge'> {
  readonly identityId: string;
  readonly credentialsVersion: number;
}

const FLOW: TokenPurpose<Flow> = { name: 'oauth-flow', ttlSeconds: 600 };
const COLLECTION: TokenPurpose<Collection> = { name: 'oauth-exchange', ttlSeconds: 60 };
const FEDERATED = ['fed'];

/** Signing in with a provider: there, back, and the hand-over to the web app without a token in any address. */
@Injectable()
export class OAuthService {
  private readonly logger = new Logger(OAuthService.name);

  constructor(
    private readonly database: DataSource,
    private readonly providers: Providers,
    private readonly accounts: IdentityAccounts,
    private readonly identities: IdentitiesService,
    private readonly tokens: OneTimeTokens,
    private readonly signIn: SignInService,
    private readonly audit: AuditTrail,
    private readonly config: AtriumConfig,
  ) {}

  /**
   * Begins a sign-in or, for somebody who is logged in, the linking of an identity.
   * @throws {ValidationFailed} if `returnTo` is none of `OAUTH_RETURN_URLS`
   * @throws {import('./oauth.errors.js').ProviderNotFound}
   * @throws {import('./oauth.errors.js').ProviderUnavailable}
   */
  async start(
    provider: string,
    { returnTo, codeChallenge }: StartQuery,
    key: BrowserKey,
    principal?: Principal,
  ): Promise<FlowStartResponse> {
    // Before anything is written: a provider that is down costs no row.
    await this.providers.prepare(provider);
    const flow: Flow = {
      provider,
      returnTo: this.listed(returnTo),
      browser: key.hash,
      codeChallenge: codeChallenge ?? null,
      ...(principal && { link: { userId: principal.id, sessionId: principal.sessionId } }),
    };
    const state = await this.tokens.issue(FLOW, principal?.id ?? newId(), flow, { replace: false });
    return new FlowStartResponse(await this.providers.authorizationUrl(provider, key.secrets(state)));
  }

  /**
   * Ends a sign-in at the provider. Once `state` has proven that this browser started it, every outcome goes to
   * the address that was asked for then: `code` to be exchanged, `linked`, or `error` with a problem's code.
   * @param answer the query with which the browser came back
   * @throws {InvalidOAuthState}
   */
  async finish(
    provider: string,
    answer: URLSearchParams,
    key: BrowserKey,
    client: ClientInfo,
  ): Promise<Redirection> {
    const state = answer.get('state') ?? '';
    const flow = (await this.tokens.use(FLOW, state))?.data;
    if (flow?.browser !== key.hash || flow.provider !== provider) throw new InvalidOAuthState();
    try {
      const profile = await this.providers.profile(provider, answer, key.secrets(state));
      if (flow.link) {
        await this.accounts.link(provider, profile, flow.link, client);
        return backTo(flow, 'linked', provider);
      }
      const { user, identityId } = await this.accounts.open(provider, profile, client);
      const { browser, codeChallenge } = flow;
      const collection = {
        provider,
        browser,
        codeChallenge,
        identityId,
        credentialsVersion: user.credentialsVersion,
      };
      const code = await this.tokens.issue(COLLECTION, user.id, collection, { replace: false });
      return backTo(flow, 'code', code);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      await this.recordRefusal(error, flow, client);
      return backTo(flow, 'error', error.code);
    }
  }

  /**
   * Trades the code of the return address for a session, or for the challenge of a second factor.
   * @throws {InvalidExchangeCode}
   * @throws {import('../accounts/accounts.errors.js').InvalidCredentials} if the account is disabled
   */
  async exchange(
    { code, codeVerifier }: ExchangeRequest,
    key: BrowserKey,
    client: ClientInfo,
  ): Promise<SessionResponse | SignInChallenge> {
    const used = await this.tokens.use(COLLECTION, code);
    if (!used || !isOfThisApp(used.data, key, codeVerifier)) throw new InvalidExchangeCode();
    const { subject: userId, data } = used;
    const user = await this.identities.owner(this.database.manager, data.identityId, userId);
    if (user?.credentialsVersion !== data.credentialsVersion) throw new InvalidExchangeCode();
    await this.audit.record({
      action: 'identity.used',
      client,
      userId,
      principalId: userId,
      detail: { identityId: data.identityId, provider: data.provider },
    });
    return this.signIn.admit(user, FEDERATED, client);
  }

  /** Compared letter by letter: whatever a browser would make of another spelling does not matter. */
  private listed(returnTo: string | undefined): string {
    const { returnUrls } = this.config.oauth;
    const found = returnTo === undefined ? returnUrls[0] : returnUrls.find((url) => url === returnTo);
    if (found === undefined)
      throw new ValidationFailed([{ pointer: '/returnTo', detail: 'must be one of OAUTH_RETURN_URLS' }]);
    return found;
  }

  private async recordRefusal(problem: Problem, flow: Flow, client: ClientInfo): Promise<void> {
    const { provider, link } = flow;
    if (problem.cause !== undefined)
      this.logger.warn(
        `${problem.code} provider=${provider} requestId=${client.requestId}: ${told(problem.cause)}`,
      );
    await this.audit.record({
      action: 'identity.refused',
      client,
      userId: link?.userId,
      principalId: link?.userId,
      detail: { provider, code: problem.code },
    });
  }
}

/** An app that gave a challenge shows its verifier; any other is where the browser's key is. */
function isOfThisApp(
  { browser, codeChallenge }: Collection,
  key: BrowserKey,
  codeVerifier: string | undefined,
): boolean {
  if (codeChallenge === null) return codeVerifier === undefined && browser === key.hash;
  return (
    codeVerifier !== undefined &&
    createHash('sha256').update(codeVerifier).digest('base64url') === codeChallenge
  );
}

function backTo({ returnTo }: Flow, name: 'code' | 'linked' | 'error', value: string): Redirection {
  const url = new URL(returnTo);
  url.searchParams.set(name, value);
  return { url: url.href };
}

/** Messages only: an object of the library may hold tokens. */
const told = (cause: unknown): string => (cause instanceof Error ? cause.message : 'no more is known');
