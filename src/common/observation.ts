import { channel } from 'node:diagnostics_channel';

/**
 * Something that happens, for whoever counts or logs it: told by those who do it, who know of no listener. It costs a
 * look when nobody listens.
 */
export class Observation<Told extends object> {
  private readonly channel;

  /** @param name unique in the process: `atrium.socket.closed` */
  constructor(name: string) {
    this.channel = channel(name);
  }

  /** Whether it is worth putting together what to tell. */
  get isWanted(): boolean {
    return this.channel.hasSubscribers;
  }

  tell(told: Told): void {
    if (this.channel.hasSubscribers) this.channel.publish(told);
  }

  /** @returns what ends it */
  listen(listener: (told: Told) => void): () => void {
    const heard = (told: unknown): void => listener(told as Told);
    this.channel.subscribe(heard);
    return () => this.channel.unsubscribe(heard);
  }
}
