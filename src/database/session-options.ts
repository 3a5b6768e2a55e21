/**
 * What every session of Atrium runs with, whatever the server's or the caller's (`PGOPTIONS`) defaults:
 * times read the same everywhere.
 */
export const SESSION_OPTIONS = '-c TimeZone=UTC -c DateStyle=ISO,YMD';

/**
 * Milliseconds that a request waits for one of a pool's connections, opened for it or let go by others, before it is
 * answered that there is none.
 */
export const POOL_WAIT_MS = 5_000;

/** Milliseconds to wait for a connection before the database counts as unreachable. */
export const CONNECT_TIMEOUT_MS = 10_000;
