/** A session that the caller has ended: a cookie of it is cleared, and nothing is answered. */
export class SessionEnded {
  constructor(readonly sessionId: string) {}
}
