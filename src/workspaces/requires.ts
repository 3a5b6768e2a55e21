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
}

/**
 * Says what the caller of a route must be allowed to do in the workspace that it is about. Nothing is asked here:
 * the service hands the permission to the statement that reads or writes the record, so there is no moment
 * between the check and the act. Who is no member learns 404, who lacks the permission 403.
 *
 * The handler's first parameter is the {@link CurrentCaller}, and the compiler holds it, and the service's method
 * behind it, to this very permission.
 */
export const Requires =
  <P extends Permission>(permission: P) =>
  <Handler extends (caller: Caller<P>, ...rest: never[]) => unknown>(
    target: object,
    name: string | symbol,
    descriptor: TypedPropertyDescriptor<Handler>,
  ): void => {
    SetMetadata<string, RequiredPermission>(ACCESS, { permission })(target, name, descriptor);
  };

/** The caller of a route that {@link Requires} a permission. */
export const CurrentCaller = createParamDecorator((_: unknown, context: ExecutionContext): Caller => {
  const { user, permission } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  return { ...user, permission: permission as Permission };
});
