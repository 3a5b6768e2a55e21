import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { RequestTimeout } from './client-error.js';
import { timely } from './timely.js';

const TYPE = 'application/x-www-form-urlencoded';
const LIMIT_BYTES = 65_536;

/** What a form has sent (`application/x-www-form-urlencoded`): texts by name. */
export class FormParameters {
  private readonly parameters: URLSearchParams;

  constructor(text: string) {
    this.parameters = new URLSearchParams(text);
  }

  /** The first name that came more than once. */
  get repeated(): string | undefined {
    const names = new Set<string>();
    for (const name of this.parameters.keys()) {
      if (names.has(name)) return name;
      names.add(name);
    }
    return undefined;
  }

  /** A parameter without a value counts as left out (RFC 6749, section 3.1). */
  get(name: string): string | undefined {
    return this.parameters.get(name) || undefined;
  }
}

/**
 * Reads forms into `request.body`, as {@link FormParameters}, on the paths that take them and nothing else. What is no
 * form, or too long, leaves the body undefined: the handler says in its own words what it wants.
 * @param timeoutMs how long one may take to arrive
 * @param otherwise reads the bodies of all other paths
 */
export function formBody(paths: RegExp, timeoutMs: number, otherwise: RequestHandler): RequestHandler {
  const read = timely(express.raw({ limit: LIMIT_BYTES, type: () => true }), timeoutMs);
  return (request: Request, response: Response, next: NextFunction): void => {
    if (request.method !== 'POST' || !paths.test(request.path))
      return void otherwise(request, response, next);
    const [type = ''] = (request.headers['content-type'] ?? '').toLowerCase().split(';');
    void read(request, response, (error?: unknown) => {
      if (error instanceof RequestTimeout) return next(error);
      const { body } = request as { body: unknown };
      const isForm = !error && type.trim() === TYPE && Buffer.isBuffer(body);
      request.body = isForm ? new FormParameters(body.toString('utf8')) : undefined;
      next();
    });
  };
}
