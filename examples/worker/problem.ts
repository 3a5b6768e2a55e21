import { HTTPError } from 'ky';

/** A request that was refused, with what the server says of it (RFC 9457). */
export class Problem extends Error {
  override readonly name = 'Problem';
  readonly status: number;
  /** Stable: `lease_lost`. Of the token server, the error of RFC 6749: `invalid_client`. */
  readonly code: string;

  constructor(status: number, code: string, detail: string, cause?: unknown) {
    super(detail, { cause });
    this.status = status;
    this.code = code;
  }

  /** Makes one of what the server answered; what is not an answer stays as it is. */
  static from(error: Error): Error {
    if (!(error instanceof HTTPError)) return error;
    const { status } = error.response;
    const said = (typeof error.data === 'object' ? error.data : {}) as Record<string, string | undefined>;
    const code = said.code ?? said.error ?? 'unknown';
    const detail = said.detail ?? said.error_description ?? `the server answered ${status}`;
    return new Problem(status, code, `${code}: ${detail}`, error);
  }

  /** Whether asking again could never help: whoever asks is not known, or may not. */
  get isFinal(): boolean {
    return [400, 401, 403, 404, 422].includes(this.status);
  }
}
