import { SetMetadata } from '@nestjs/common';

const KEEPS_ANSWER = 'atrium:keeps-answer';

/**
 * Says that whatever a POST does is done in one transaction, and its answer kept in that one
 * ({@link import('./kept-answers.js').KeptAnswers}). So a request that was cut off is answered, or known not to be
 * done, and a repeat runs.
 */
export const KeepsAnswer = (): MethodDecorator => SetMetadata(KEEPS_ANSWER, true);

/** Whether a handler {@link KeepsAnswer}. */
export const keepsAnswer = (handler: object): boolean => Reflect.getMetadata(KEEPS_ANSWER, handler) === true;
