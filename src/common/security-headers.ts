import type { NextFunction, Request, RequestHandler, Response } from 'express';
import helmet from 'helmet';

/**
 * Helmet's headers on every answer. They are the same each time, so helmet is asked once, at start-up, and not
 * for every request.
 */
export function securityHeaders(): RequestHandler {
  const headers: [string, string][] = [];
  const recorder = {
    setHeader: (name: string, value: string) => headers.push([name, value]),
    removeHeader: () => undefined,
  };
  helmet({ contentSecurityPolicy: { directives: { upgradeInsecureRequests: null } } })(
    {} as Request,
    recorder as unknown as Response,
    (error?: unknown) => {
      if (error) throw new Error('helmet refused its settings', { cause: error });
    },
  );
  if (headers.length === 0) throw new Error('helmet gave no headers');
  return (_: Request, response: Response, next: NextFunction): void => {
    for (const [name, value] of headers) response.setHeader(name, value);
    next();
  };
}
