import type { Connection } from './link.js';

/** What a connection tells of. */
export interface BusHandlers {
  /** A text that some instance has sent, this one included. */
  heard(text: string): void;
  /** The connection has broken; told once or more often, also while it opens. */
  lost(error: Error): void;
}

/** One way to every instance and back. What is sent once it is open will be heard. */
export interface BusConnection extends Connection {
  /** Sends ASCII text to every instance, this one included; resolves when it is on its way. */
  send(text: string): Promise<void>;
}

/** Makes connections of one kind. */
export type BusDriver = (handlers: BusHandlers) => BusConnection;
