/** An access token (RFC 6749, section 5.1). */
export class TokenResponse {
  /** A JWT (RFC 9068) for `Authorization: Bearer`. */
  access_token: string;
  token_type: 'Bearer';
  /** Seconds. */
  expires_in: number;
  /** What it may be used for; left out when it is nothing. */
  scope?: string;
  /** Of a device: trades once for new tokens. */
  refresh_token?: string;
}

/** What a token is worth (RFC 7662, section 2.2). */
export class IntrospectionResponse {
  active: boolean;
  token_type?: string;
  client_id?: string;
  /** UUID of the agent. */
  sub?: string;
  scope?: string;
  iss?: string;
  aud?: string;
  /** Seconds since the Unix epoch. */
  iat?: number;
  /** Seconds since the Unix epoch. */
  exp?: number;
  jti?: string;
}

/** What went wrong (RFC 6749, section 5.2). */
export class OAuthErrorBody {
  error: string;
  error_description: string;
}
