/**
 * What every session of Atrium runs with, whatever the server's or the caller's (`PGOPTIONS`) defaults:
 * times read the same everywhere.
 */
export const SESSION_OPTIONS = '-c TimeZone=UTC -c DateStyle=ISO,YMD';

/** Milliseconds to wait for a connection before the database counts as unreachable. */
export const CONNECT_TIMEOUT_MS = 10_000;
