import { Injectable } from '@nestjs/common';
import { AgentLogins, type ProvenAgent } from '../agents/agent-logins.js';
import type { FormParameters } from '../common/form-body.js';
import { isId } from '../common/identifiers.js';
import { invalidClient, OAuthError } from './oauth-error.js';

/** A request to the token server: its form and its `Authorization` header. */
export interface OAuthRequest {
  readonly form: FormParameters;
  readonly authorization: string | undefined;
}

interface Secret {
  readonly clientId: string;
  readonly secret: string;
}

/** Says which agent calls the token server (RFC 6749, section 2.3). */
@Injectable()
export class ClientAuthentication {
  constructor(private readonly logins: AgentLogins) {}

  /** @throws {OAuthError} `invalid_client`, or `invalid_request` if it comes in several ways at once */
  async authenticate({ form, authorization }: OAuthRequest): Promise<ProvenAgent> {
    const inBody = form.get('client_secret');
    if (authorization !== undefined) {
      if (inBody !== undefined)
        throw new OAuthError('invalid_request', 'Authenticate by the header or in the body, not both');
      const basic = readBasic(authorization);
      const named = form.get('client_id');
      if (basic && named !== undefined && named !== basic.clientId)
        throw new OAuthError('invalid_request', 'client_id is not the one of the header');
      return this.bySecret(basic, true);
    }
    const clientId = form.get('client_id');
    const secret = clientId !== undefined && inBody !== undefined ? { clientId, secret: inBody } : undefined;
    return this.bySecret(secret, false);
  }

  private async bySecret(given: Secret | undefined, byHeader: boolean): Promise<ProvenAgent> {
    const clientId = given?.clientId.toLowerCase() ?? '';
    const agent = given && isId(clientId) && (await this.logins.bySecret(clientId, given.secret));
    if (!agent) throw invalidClient(byHeader);
    return agent;
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
