import type { NextFunction, Request, RequestHandler, Response } from 'express';
import { RequestTimeout } from './client-error.js';

/**
 * Gives up on a body that does not come in time: whoever waits is told, and the connection is closed, since nobody knows
 * where on it the next request would begin.
 * @param read reads the body
 */
export const timely =
  (read: RequestHandler, timeoutMs: number): RequestHandler =>
  (request: Request, response: Response, next: NextFunction): void => {
    let over = false;
    const timer = setTimeout(() => {
      over = true;
      response.setHeader('Connection', 'close');
      response.once('finish', () => request.destroy());
      next(new RequestTimeout());
    }, timeoutMs);
    void read(request, response, (error?: unknown) => {
      clearTimeout(timer);
      if (!over) next(error);
    });
  };
