import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Request } from 'express';
import { FormParameters } from '../common/form-body.js';
import type { OAuthRequest } from './client-authentication.js';
import { OAuthError } from './oauth-error.js';

/** The paths that take forms. */
export const TAKES_FORM = /^\/oauth\/(?:token|device_authorization|introspect|revoke)\/?$/i;

/**
 * The request of a route that takes a form (RFC 6749, section 3.2).
 * @throws {OAuthError} `invalid_request` if it is none, or names a parameter twice
 */
export const Form = createParamDecorator((_: unknown, context: ExecutionContext): OAuthRequest => {
  const request = context.switchToHttp().getRequest<Request>();
  const form: unknown = request.body;
  if (!(form instanceof FormParameters))
    throw new OAuthError('invalid_request', 'Send a form: application/x-www-form-urlencoded');
  const { repeated } = form;
  if (repeated !== undefined) throw new OAuthError('invalid_request', 'A parameter came more than once');
  const { authorization, host } = request.headers;
  return { form, authorization, host };
});

/** By which name the token server was asked, as far as the request says. */
export const AskedHost = createParamDecorator(
  (_: unknown, context: ExecutionContext): string | undefined =>
    context.switchToHttp().getRequest<Request>().headers.host,
);
