/** Thrown by a guard that has sent the answer itself: no handler runs and no problem is told. */
export class AlreadyAnswered extends Error {}
