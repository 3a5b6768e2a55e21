import { Agent, type IncomingMessage, request as httpRequest } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';

/** An answer, read to its end. */
export interface ReadAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** The JSON in it; `undefined` when there is none. */
  readonly body: unknown;
}

/** What goes out. */
export interface Outgoing {
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array | ReadableStream | undefined;
}

/** Connections stay open until the other end ends them, which instances under test do only when they stop. */
const agent = new Agent({ keepAlive: true });
const decoder = new TextDecoder();

/** Sends a request, with a fraction of the work that `fetch` makes of it, and reads the answer. Follows no redirect. */
export function request(method: string, url: URL, { headers, body }: Outgoing): Promise<ReadAnswer> {
  return new Promise((resolve, reject) => {
    const isWhole = body !== undefined && !(body instanceof ReadableStream);
    const outgoing = httpRequest(url, {
      method,
      agent,
      headers: {
        Accept: '*/*',
        'User-Agent': 'node',
        ...(isWhole && { 'Content-Length': String(Buffer.byteLength(body)) }),
        ...headers,
      },
    });
    outgoing.on('error', reject);
    outgoing.on('response', (incoming) => {
      const parts: Buffer[] = [];
      incoming.on('data', (part: Buffer) => parts.push(part));
      incoming.on('error', reject);
      incoming.on('end', () => resolve(readAnswer(incoming, decoder.decode(Buffer.concat(parts)))));
    });
    if (body instanceof ReadableStream)
      pipeline(Readable.fromWeb(body as NodeReadableStream), outgoing).catch(reject);
    else outgoing.end(body);
  });
}

function readAnswer(incoming: IncomingMessage, text: string): ReadAnswer {
  const { statusCode = 0, rawHeaders } = incoming;
  const isJson = text !== '' && /[/+]json\b/.test(incoming.headers['content-type'] ?? '');
  let headers: Headers | undefined;
  let parsed: unknown;
  return {
    status: statusCode,
    // This and the body are made only for whoever looks.
    get headers() {
      if (headers) return headers;
      headers = new Headers();
      for (let i = 0; i < rawHeaders.length; i += 2)
        headers.append(rawHeaders[i] ?? '', rawHeaders[i + 1] ?? '');
      return headers;
    },
    text,
    get body() {
      if (isJson) parsed ??= JSON.parse(text);
      return parsed;
    },
  };
}

/** Whether there is a header of this name, which is in lower case. */
export const hasHeader = (headers: Readonly<Record<string, string>>, name: string): boolean =>
  Object.keys(headers).some((each) => each.toLowerCase() === name);
