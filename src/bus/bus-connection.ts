/** What a connection tells of. */
export interface BusHandlers {
  /** A text that some instance has sent, this one included. */
  heard(text: string): void;
  /** The connection has broken; told once or more often, also while it opens. */
  lost(error: Error): void;
}

/** One way to every instance and back. It is used until it breaks, never mended. */
export interface BusConnection {
  /** Resolves when everything that is sent from now on will be heard. */
  open(): Promise<void>;
  /** Sends ASCII text to every instance, this one included; resolves when it is on its way. */
  send(text: string): Promise<void>;
  /** Lets go, whatever is under way. Never rejects. */
  close(): Promise<void>;
}

/** Makes connections of one kind. */
export type BusDriver = (handlers: BusHandlers) => BusConnection;
