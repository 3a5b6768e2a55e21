import { Injectable } from '@nestjs/common';
import jwt from 'jsonwebtoken';
import type { KeyObject } from 'node:crypto';
import type { AgentClaims, Principal } from '../common/access.js';
import { Clock } from '../common/clock.js';
import { newId } from '../common/identifiers.js';
import { Unauthenticated } from '../common/problem.js';
import { AtriumConfig } from '../config/config.js';
import { TokenKeys } from './token-keys.js';

/** The `typ` of an access token (RFC 9068, section 2.1): no other kind of JWT is taken for one. */
const TYPE = 'at+jwt';

/** What every verification demands, over HTTP and over sockets. */
export const verificationOptions = (config: AtriumConfig, keys: TokenKeys) =>
  ({
    algorithms: keys.algorithms,
    // Agents' tokens name the token server as its metadata does (RFC 8414), people's what was configured.
    issuer: [config.tokens.issuer, ...config.issuers] as [string, ...string[]],
    audience: config.tokens.audience,
  }) satisfies jwt.VerifyOptions;

/** What an agent is given access tokens by. */
export interface AgentGrant {
  /** The agent. */
  readonly id: string;
  /** What ends all of its tokens. */
  readonly sessionId: string;
  readonly workspaceId: string;
  readonly clientId: string;
  readonly scopes: readonly string[];
  /** How long the token may live at most; null: as long as any. */
  readonly secondsLeft: number | null;
  /** By which of its names the token server was asked. */
  readonly issuer: string;
}

export interface AgentToken {
  readonly accessToken: string;
  readonly tokenId: string;
  readonly expiresIn: number;
}

/** Signs and reads access tokens: JWTs by RFC 9068 with `sub`, `sid`, `aud`, `iss`, `iat`, `exp`. */
@Injectable()
export class AccessTokens {
  constructor(
    private readonly config: AtriumConfig,
    private readonly keys: TokenKeys,
    private readonly clock: Clock,
  ) {}

  /** @returns a token for the principal of a session, and its life in seconds */
  sign(subject: string, sessionId: string): { accessToken: string; expiresIn: number } {
    const { issuer, audience, accessTtlSeconds } = this.config.tokens;
    const { algorithm, key, kid } = this.keys.signing;
    const issuedAt = Math.floor(this.clock.now() / 1_000);
    const accessToken = jwt.sign({ sid: sessionId, iat: issuedAt, exp: issuedAt + accessTtlSeconds }, key, {
      algorithm,
      header: { alg: algorithm, typ: TYPE, kid },
      subject,
      issuer,
      audience,
    });
    return { accessToken, expiresIn: accessTtlSeconds };
  }

  /** @returns a token for an agent (RFC 9068, section 2.2), its id and its life in seconds */
  signForAgent(grant: AgentGrant): AgentToken {
    const { id, sessionId, workspaceId, clientId, scopes, secondsLeft, issuer } = grant;
    const { audience, accessTtlSeconds } = this.config.tokens;
    const { algorithm, key, kid } = this.keys.signingForAgents;
    const expiresIn = Math.min(accessTtlSeconds, secondsLeft ?? Infinity);
    const issuedAt = Math.floor(this.clock.now() / 1_000);
    const tokenId = newId();
    const claims = {
      sid: sessionId,
      workspace: workspaceId,
      client_id: clientId,
      scope: scopes.join(' '),
      iat: issuedAt,
      exp: issuedAt + expiresIn,
    };
    const accessToken = jwt.sign(claims, key, {
      algorithm,
      header: { alg: algorithm, typ: TYPE, kid },
      jwtid: tokenId,
      subject: id,
      issuer,
      audience,
    });
    return { accessToken, tokenId, expiresIn };
  }

  /**
   * @returns whom the token speaks for
   * @throws {Unauthenticated} if it is forged, expired, of another kind or meant for somebody else
   */
  verify(token: string): Principal {
    let complete: jwt.Jwt;
    try {
      complete = jwt.verify(token, keyOf(token, this.keys), {
        ...verificationOptions(this.config, this.keys),
        complete: true,
        clockTimestamp: Math.floor(this.clock.now() / 1_000),
      });
    } catch (cause) {
      throw new Unauthenticated(undefined, cause);
    }
    return principalOf(complete);
  }
}

/**
 * The configured key that a token names.
 * @throws {Unauthenticated} if it names another
 */
export function keyOf(token: string, keys: TokenKeys): KeyObject {
  const key = keys.find(jwt.decode(token, { complete: true })?.header.kid);
  if (!key) throw new Unauthenticated();
  return key;
}

/**
 * The principal in a token whose signature, issuer, audience and time have been checked.
 * @throws {Unauthenticated} if it is not an access token
 */
export function principalOf(token: jwt.Jwt | null): Principal {
  if (!token) throw new Unauthenticated();
  const { header, payload } = token;
  if (header.typ?.toLowerCase() !== TYPE || typeof payload === 'string') throw new Unauthenticated();
  const { sub, sid, exp, client_id: clientId } = payload as Readonly<Record<string, unknown>>;
  if (typeof sub !== 'string' || typeof sid !== 'string' || typeof exp !== 'number')
    throw new Unauthenticated();
  const principal = { id: sub, sessionId: sid, expiresAt: exp * 1_000 };
  // Only agents come as clients of their own.
  if (clientId === undefined) return { kind: 'user', ...principal };
  return { kind: 'agent', ...principal, agent: agentClaims(payload) };
}

/** @throws {Unauthenticated} if one is missing */
function agentClaims(payload: Readonly<Record<string, unknown>>): AgentClaims {
  const { client_id: clientId, workspace: workspaceId, jti: tokenId, scope } = payload;
  if (
    typeof clientId !== 'string' ||
    typeof workspaceId !== 'string' ||
    typeof tokenId !== 'string' ||
    typeof scope !== 'string'
  )
    throw new Unauthenticated();
  return { clientId, workspaceId, tokenId, scopes: scope.split(' ').filter(Boolean) };
}
