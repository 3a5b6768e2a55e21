import { EventSource, type FetchLikeResponse } from 'eventsource';
import { type Message, Reader } from './reader.js';

/** Follows its one room by server-sent events, read by a public client; it resumes by `Last-Event-ID`. */
export class StreamReader extends Reader {
  private end: (() => void) | undefined;

  protected hangUp(): void {
    this.end?.();
  }

  protected async connect(at: string): Promise<number> {
    const [room] = this.cursors.keys();
    if (room === undefined) return 0;
    const after = this.cursors.get(room);
    const url = new URL(`/v1/events/stream?${new URLSearchParams({ room }).toString()}`, at);
    const source = new EventSource(url, {
      fetch: (_, { signal }) => this.ask(url, room, after, signal as AbortSignal),
    });
    let code = 0;
    for (const name of ['joined', 'event', 'left'])
      source.addEventListener(name, ({ data, lastEventId }) => {
        const message = JSON.parse(data as string) as Message;
        // What a client comes back with is the id, not what it finds in the data.
        this.take(name, { ...message, cursor: message.cursor && lastEventId }, after);
      });
    source.addEventListener('close', ({ data }) => {
      ({ code } = JSON.parse(data as string) as { code: number });
    });
    await new Promise<void>((resolve) => {
      this.end = resolve;
      source.addEventListener('error', () => resolve());
    });
    // It would come back by itself, to the same instance.
    source.close();
    return code;
  }

  private async ask(
    url: URL,
    room: string,
    after: string | undefined,
    signal: AbortSignal,
  ): Promise<FetchLikeResponse> {
    const answer = await fetch(url, {
      signal,
      headers: {
        Accept: 'text/event-stream',
        Authorization: `Bearer ${this.orders.token}`,
        ...(after !== undefined && { 'Last-Event-ID': after }),
      },
    });
    if (answer.status === 404) this.refused(room, 'not_found');
    const { body, status, redirected, headers } = answer;
    const heard = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        this.heard(); // comments too, of which nobody is told
        controller.enqueue(bytes);
      },
    });
    return { body: body?.pipeThrough(heard) ?? null, status, redirected, headers, url: answer.url };
  }
}
