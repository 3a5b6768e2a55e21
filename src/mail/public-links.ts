import { Injectable } from '@nestjs/common';
import { AtriumConfig } from '../config/config.js';

/** Links for mails, built from `PUBLIC_URL` and nothing that a request says. */
@Injectable()
export class PublicLinks {
  constructor(private readonly config: AtriumConfig) {}

  /**
   * @param path of a page of the web app, `/verify-email`
   * @returns the link with the token in its fragment, which browsers send to no server and in no `Referer`
   */
  withToken(path: `/${string}`, token: string): string {
    return `${this.config.publicUrl}${path}#token=${encodeURIComponent(token)}`;
  }
}
