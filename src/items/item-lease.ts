import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import { ApiHeader } from '@nestjs/swagger';
import type { Request } from 'express';
import { isId } from '../common/identifiers.js';
import { ValidationFailed } from '../common/problem.js';

/**
 * The lease that the request names (header `Lease`): the change is made if the caller holds it, or not at all.
 * @throws {ValidationFailed} if it is no id
 */
export const Lease = createParamDecorator((_: unknown, context: ExecutionContext): string | undefined => {
  const { lease } = context.switchToHttp().getRequest<Request>().headers;
  if (lease === undefined) return undefined;
  const id = String(lease).toLowerCase();
  if (!isId(id)) throw new ValidationFailed([{ pointer: '/Lease', detail: 'must be the id of a lease' }]);
  return id;
});

/** {@link Lease} in the reference. */
export const ApiLease = (): MethodDecorator =>
  ApiHeader({ name: 'Lease', required: false, description: 'The lease under which the change is made.' });
