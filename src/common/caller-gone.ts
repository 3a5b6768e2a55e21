import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { Response } from 'express';

/** Aborted when the connection of the request is closed before it is answered: for what waits for something. */
export const CallerGone = createParamDecorator((_: unknown, context: ExecutionContext): AbortSignal => {
  const gone = new AbortController();
  const response = context.switchToHttp().getResponse<Response>();
  response.once('close', () => {
    if (!response.writableEnded) gone.abort();
  });
  return gone.signal;
});
