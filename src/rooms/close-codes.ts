/** Why a socket was closed; each tells the client what to do. */
export const CloseCode = {
  /** A mistake on our side: reconnect (RFC 6455, section 7.4.1). */
  INTERNAL: 1011,
  /** Draining: reconnect with jitter. */
  RESTARTING: 1012,
  /** Bad or missing token: stop. */
  UNAUTHENTICATED: 4001,
  /** The session was revoked: stop. */
  REVOKED: 4003,
  /** Too slow: reconnect and resume from the cursor. */
  TOO_SLOW: 4200,
  /** No heartbeat: reconnect. */
  NO_HEARTBEAT: 4201,
  /** The token has expired: refresh, then reconnect. */
  TOKEN_EXPIRED: 4210,
  /** The client does not speak this protocol. */
  PROTOCOL_ERROR: 4400,
  /** Too many frames, or sockets: slow down, then reconnect. */
  TOO_MANY_FRAMES: 4429,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];
