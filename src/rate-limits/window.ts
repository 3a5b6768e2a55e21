/** All limits are per minute. */
export const WINDOW_MS = 60_000;
