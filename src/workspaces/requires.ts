import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import {
  ACCESS,
  type AuthenticatedRequest,
  type Principal,
  type RequiredPermission,
} from '../common/access.js';
import type { Permission } from './permissions.js';

/** Whoever calls a route that {@link Requires} a permission, with that permission for the statement to judge. */
export interface Caller<P extends Permission = Permission> extends Principal {
  readonly permission: P;
  /** Whether the route may also be called about oneself without the permission. */
  readonly orSelf: boolean;
}

/**
 * Says what the caller of a route must be allowed to do in the workspace that it is about. Nothing is asked here:
 * the service hands the permission to the statement that reads or writes the record, so there is no moment
 * between the check and the act. Who is no member learns 404, who lacks the permission 403.
 *
 * The handler's first parameter is the {@link CurrentCaller}, and the compiler holds it, and the service's method
 * behind it, to this very permission.
 * @param options `orSelf`: members may do it to themselves in any role
 */
export const Requires =
  <P extends Permission>(permission: P, options: { readonly orSelf?: boolean } = {}) =>
  <Handler extends (caller: Caller<P>, ...rest: never[]) => unknown>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Handler>,
  ): void => {
    SetMetadata<string, RequiredPermission>(ACCESS, { permission, ...options })(target, name, descriptor);
  };

/** The caller of a route that {@link Requires} a permission. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { user, required } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!required) throw new Error('This route has a caller, but does not say what it requires of it');
  return { ...user, permission: required.permission as Permission, orSelf: required.orSelf === true };
});
