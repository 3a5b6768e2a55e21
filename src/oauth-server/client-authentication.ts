import { Injectable } from '@nestjs/common';
import { AgentLogins, type ProvenAgent } from '../agents/agent-logins.js';
import { ClientAssertions } from '../agents/client-assertions.js';
import type { FormParameters } from '../common/form-body.js';
import { isId } from '../common/identifiers.js';
import { AtriumConfig } from '../config/config.js';
import { invalidClient, OAuthError } from './oauth-error.js';

/** RFC 7523, section 2.2. */
const ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** The client of machines that are no agents yet: it has no secret. */
export const DEVICE_CLIENT = 'atrium-device';

/** A request to the token server: its form and its `Authorization` header. */
export interface OAuthRequest {
  readonly form: FormParameters;
  readonly authorization: string | undefined;
  /** By which name the token server was asked. */
  readonly host: string | undefined;
}

interface Secret {
  readonly clientId: string;
  readonly secret: string;
}

/** Says who calls the token server (RFC 6749, section 2.3): an agent, or the client of machines. */
@Injectable()
export class ClientAuthentication {
  private readonly audiences: readonly string[];

  constructor(
    private readonly logins: AgentLogins,
    private readonly assertions: ClientAssertions,
    { issuers }: AtriumConfig,
  ) {
    this.audiences = issuers.flatMap((issuer) => [issuer, `${issuer}/oauth/token`]);
  }

  /**
   * An agent, by its secret (`client_secret_basic`, `client_secret_post`) or a signature (`private_key_jwt`).
   * @throws {OAuthError} `invalid_client`, or `invalid_request` if it comes in several ways at once
   */
  async authenticate({ form, authorization }: OAuthRequest): Promise<ProvenAgent> {
    const ways = [authorization, form.get('client_secret'), form.get('client_assertion')];
    if (ways.filter((way) => way !== undefined).length > 1)
      throw new OAuthError('invalid_request', 'Authenticate in one way, not several');
    const agent = await this.prove(form, authorization);
    if (!agent) throw invalidClient(authorization !== undefined);
    const named = form.get('client_id');
    if (named !== undefined && named.toLowerCase() !== agent.id)
      throw new OAuthError('invalid_request', 'client_id is not whom the credential is of');
    return agent;
  }

  /** Whether the request comes, without any proof, from a machine that is not its own client. */
  isDevice({ form, authorization }: OAuthRequest): boolean {
    return authorization === undefined && form.get('client_id') === DEVICE_CLIENT;
  }

  /** @throws {OAuthError} `unauthorized_client` for an agent, `invalid_client` for nobody that is known */
  async requireDevice(request: OAuthRequest): Promise<void> {
    if (this.isDevice(request)) return;
    await this.authenticate(request);
    throw new OAuthError('unauthorized_client', `This is for the client ${DEVICE_CLIENT}`);
  }

  private prove(
    form: FormParameters,
    authorization: string | undefined,
  ): Promise<ProvenAgent | undefined> | undefined {
    const assertion = form.get('client_assertion');
    if (assertion !== undefined)
      return form.get('client_assertion_type') === ASSERTION_TYPE
        ? this.assertions.read(assertion, this.audiences)
        : undefined;
    if (authorization !== undefined) return this.bySecret(readBasic(authorization));
    const [clientId, secret] = [form.get('client_id'), form.get('client_secret')];
    return clientId !== undefined && secret !== undefined ? this.bySecret({ clientId, secret }) : undefined;
  }

  private bySecret(given: Secret | undefined): Promise<ProvenAgent | undefined> | undefined {
    const clientId = given?.clientId.toLowerCase() ?? '';
    return given && isId(clientId) ? this.logins.bySecret(clientId, given.secret) : undefined;
  }
}

/** Both parts are form-encoded before they are joined (RFC 6749, section 2.3.1). */
function readBasic(header: string): Secret | undefined {
  const encoded = /^Basic +([A-Za-z0-9+/_=-]+) *$/i.exec(header)?.[1];
  const text = Buffer.from(encoded ?? '', 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  try {
    const [clientId, secret] = [text.slice(0, colon), text.slice(colon + 1)].map((part) =>
      decodeURIComponent(part.replaceAll('+', ' ')),
    );
    return { clientId, secret };
  } catch {
    return undefined;
  }
}
