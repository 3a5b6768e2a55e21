import { OutcomeUnknown, type Problem, Unavailable } from '../common/problem.js';
import { DatabaseBusyError, isCancelled, isConnectionLoss, isLockTimeout, isOutOfRoom } from './errors.js';

/** What the caller is told when the database, not the request, is the trouble. */
export function databaseProblem(error: unknown): Problem | undefined {
  if (error instanceof DatabaseBusyError)
    return new Unavailable('Too busy; nothing was done. Try again.', error);
  if (isLockTimeout(error) || isCancelled(error))
    return new Unavailable('It took too long and was broken off; nothing was done. Try again.', error);
  if (isOutOfRoom(error))
    return new Unavailable('The database has no room for it; nothing was done. Try again later.', error);
  if (isConnectionLoss(error))
    return new OutcomeUnknown('The database did not answer; a write may or may not have been done.', error);
  return undefined;
}
