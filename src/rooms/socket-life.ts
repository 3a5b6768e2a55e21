import type { Principal } from '../common/access.js';
import { Observation } from '../common/observation.js';
import type { Handshake } from './handshake.js';

/** How a socket's life went. */
export interface SocketLife {
  readonly connectionId: string;
  readonly handshake: Handshake;
  /** Nobody, if it never said whose it was. */
  readonly principal: Principal | undefined;
  /** In whose rooms it was; `undefined` if in nobody's, or in those of several. */
  readonly workspaceId: string | undefined;
  /** 1006 if it vanished without a word (RFC 6455, section 7.1.5). */
  readonly code: number;
  readonly durationMs: number;
}

/** Told when a socket has closed, however. */
export const socketClosed = new Observation<SocketLife>('atrium.socket.closed');

/** Told of a handshake that was answered with a problem instead. */
export const handshakeRefused = new Observation<{ readonly handshake: Handshake; readonly status: number }>(
  'atrium.socket.refused',
);
