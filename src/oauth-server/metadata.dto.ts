/** What the token server can do (RFC 8414, section 2). */
export class ServerMetadata {
  issuer: string;
  token_endpoint: string;
  device_authorization_endpoint: string;
  introspection_endpoint: string;
  revocation_endpoint: string;
  jwks_uri: string;
  /** Besides, `items:write:type=T` for each type. */
  scopes_supported: string[];
  /** None: there is no authorization endpoint. */
  response_types_supported: string[];
  grant_types_supported: string[];
  token_endpoint_auth_methods_supported: string[];
  token_endpoint_auth_signing_alg_values_supported: string[];
  introspection_endpoint_auth_methods_supported: string[];
  introspection_endpoint_auth_signing_alg_values_supported: string[];
  revocation_endpoint_auth_methods_supported: string[];
  revocation_endpoint_auth_signing_alg_values_supported: string[];
}
