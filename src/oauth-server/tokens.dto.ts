/** An access token (RFC 6749, section 5.1). */
export class TokenResponse {
  /** A JWT (RFC 9068) for `Authorization: Bearer`. */
  access_token: string;
  token_type: 'Bearer';
  /** Seconds. */
  expires_in: number;
  /** What it may be used for; left out when it is nothing. */
  scope?: string;
}

/** What went wrong (RFC 6749, section 5.2). */
export class OAuthErrorBody {
  error: string;
  error_description: string;
}
