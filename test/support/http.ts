import { hasHeader, request } from './request.js';

/** An answer, read to its end. */
export interface Answer<Body = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON in it; `undefined` when there is none. */
  readonly body: Body;
}

/** The body of an error answer (RFC 9457). */
export interface ProblemAnswer {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly requestId: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

export interface CallOptions {
  /** Sent as `Authorization: Bearer`. */
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  /** Sent as it is, as `application/json` unless a header says otherwise. */
  readonly raw?: string | Uint8Array<ArrayBuffer> | ReadableStream;
}

type Call = <Body = ProblemAnswer>(path: string, options?: CallOptions) => Promise<Answer<Body>>;
type CallWithBody = <Body = ProblemAnswer>(
  path: string,
  json?: unknown,
  options?: CallOptions,
) => Promise<Answer<Body>>;

/** A client of one instance. What `Body` an answer has is the test's claim. */
export interface HttpClient {
  readonly get: Call;
  readonly delete: Call;
  readonly post: CallWithBody;
  readonly patch: CallWithBody;
  call<Body = ProblemAnswer>(method: string, path: string, options?: CallOptions): Promise<Answer<Body>>;
}

/** @param token who calls, unless a call says otherwise */
export function http({ url }: { readonly url: string }, token?: string): HttpClient {
  const call = async <Body>(
    method: string,
    path: string,
    options: CallOptions = {},
  ): Promise<Answer<Body>> => {
    const headers = { ...options.headers };
    const bearer = options.token ?? token;
    if (bearer !== undefined && !hasHeader(headers, 'authorization'))
      headers['Authorization'] = `Bearer ${bearer}`;
    const body = options.json === undefined ? options.raw : JSON.stringify(options.json);
    if (body !== undefined && !hasHeader(headers, 'content-type'))
      headers['Content-Type'] = 'application/json';
    return (await request(method, new URL(path, url), { headers, body })) as Answer<Body>;
  };
  return {
    call,
    get: (path, options) => call('GET', path, options),
    delete: (path, options) => call('DELETE', path, options),
    post: (path, json, options) => call('POST', path, { json, ...options }),
    patch: (path, json, options) => call('PATCH', path, { json, ...options }),
  };
}
