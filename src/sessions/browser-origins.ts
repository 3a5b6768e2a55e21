import { Injectable } from '@nestjs/common';
import type { Request } from 'express';
import { AtriumConfig } from '../config/config.js';
import { ForeignOrigin } from './sessions.errors.js';

/**
 * Tells requests of our own web apps from those that another site makes a browser send. A browser says so
 * itself, by `Origin` (Fetch, section 3.2) or `Sec-Fetch-Site` (Fetch Metadata); scripts can set neither.
 */
@Injectable()
export class BrowserOrigins {
  private readonly listed: ReadonlySet<string>;
  private readonly own: string;

  constructor(config: AtriumConfig) {
    // A wildcard opens the API to bearers of tokens, never to whoever's cookie a browser has.
    this.listed = new Set(config.http.corsOrigins.filter((origin) => origin !== '*'));
    this.own = new URL(config.publicUrl).origin;
  }

  /**
   * Lets a request pass that comes from a listed origin or from this server's own. One that names neither is
   * of no browser, and nobody's cookie can be abused by it.
   * @throws {ForeignOrigin}
   */
  refuseForeign(request: Request): void {
    const { origin } = request.headers;
    if (origin !== undefined && this.listed.has(origin)) return;
    const site = request.get('sec-fetch-site');
    const isSame = site === undefined || site === 'same-origin';
    if (!isSame || (origin !== undefined && !this.isOwn(origin, request))) throw new ForeignOrigin();
  }

  private isOwn(origin: string, { headers }: Request): boolean {
    return origin === this.own || (URL.canParse(origin) && new URL(origin).host === headers.host);
  }
}
