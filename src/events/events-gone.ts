/** The events after a position were to be read, and not all of them are kept any more. */
export class EventsGoneError extends Error {
  /** @param firstKept the lowest `seq` that is kept; one more than the head if none is */
  constructor(readonly firstKept: number) {
    super(`Events are kept from ${firstKept} on`);
    this.name = 'EventsGoneError';
  }
}
