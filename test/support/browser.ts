import type { Answer, ProblemAnswer } from './http.js';
import { request } from './request.js';

interface BrowserOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly json?: unknown;
}

/** What a `Set-Cookie` header says. */
export interface SetCookie {
  readonly name: string;
  readonly value: string;
  /** In lower case, `httponly` and the like; without a value they are `''`. */
  readonly attributes: Readonly<Record<string, string>>;
}

/** Reads the `Set-Cookie` headers of an answer. */
export function setCookies({ headers }: { readonly headers: Headers }): SetCookie[] {
  return headers.getSetCookie().map((header) => {
    const [pair = '', ...rest] = header.split(/; */);
    const [name = '', value = ''] = pair.split('=');
    const attributes = rest.map((attribute) => {
      const [key = '', text = ''] = attribute.split('=');
      return [key.toLowerCase(), text] as const;
    });
    return { name, value: decodeURIComponent(value), attributes: Object.fromEntries(attributes) };
  });
}

/** A browser with a cookie jar, showing a page of the instance's own origin unless told otherwise. */
export class Browser {
  readonly cookies = new Map<string, string>();

  constructor(private readonly app: { readonly url: string }) {}

  /** What pages send along: the origin they are of, and how it relates to ours. */
  get page(): Record<string, string> {
    return { Origin: this.app.url, 'Sec-Fetch-Site': 'same-origin' };
  }

  async call<Body = ProblemAnswer>(
    method: string,
    path: string,
    { headers, json }: BrowserOptions = {},
  ): Promise<Answer<Body>> {
    const answer = await request(method, new URL(path, this.app.url), {
      headers: {
        ...(headers ?? this.page),
        ...(this.cookies.size > 0 ? { Cookie: this.header } : {}),
        ...(json === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: json === undefined ? undefined : JSON.stringify(json),
    });
    this.keep(answer);
    return answer as Answer<Body>;
  }

  post<Body = ProblemAnswer>(path: string, options?: BrowserOptions): Promise<Answer<Body>> {
    return this.call<Body>('POST', path, options);
  }

  private get header(): string {
    return [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
  }

  private keep(response: { readonly headers: Headers }): void {
    for (const { name, value, attributes } of setCookies(response)) {
      const expires = attributes.expires;
      if (expires !== undefined && Date.parse(expires) <= Date.now() && attributes['max-age'] === undefined)
        this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
  }
}
