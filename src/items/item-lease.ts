import {
  applyDecorators,
  type CanActivate,
  createParamDecorator,
  type ExecutionContext,
  Injectable,
  SetMetadata,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
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

const TAKES_LEASE = 'items:takes-lease';

/** Declares that a handler makes its change under the {@link Lease} that is named. */
export const TakesLease = (): MethodDecorator =>
  applyDecorators(
    SetMetadata(TAKES_LEASE, true),
    ApiHeader({ name: 'Lease', required: false, description: 'The lease under which the change is made.' }),
  );

/**
 * Refuses writes that name a lease where none is taken: to pass over it would be to write after it was lost.
 * @throws {ValidationFailed}
 */
@Injectable()
export class LeaseHeader implements CanActivate {
  constructor(private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const { headers, method } = context.switchToHttp().getRequest<Request>();
    const isRead = method === 'GET' || method === 'HEAD';
    if (headers['lease'] === undefined || isRead) return true;
    if (this.reflector.get<boolean | undefined>(TAKES_LEASE, context.getHandler())) return true;
    const detail = 'is taken by PATCH and DELETE of an item alone; nothing was written';
    throw new ValidationFailed([{ pointer: '/Lease', detail }]);
  }
}
