import { SetMetadata } from '@nestjs/common';

const KEEPS_ANSWER = 'atrium:keeps-answer';
const MAY_RUN_AGAIN = 'atrium:may-run-again';

/**
 * Says that whatever a POST does is done in one transaction, and its answer kept in that one
 * ({@link import('./kept-answers.js').KeptAnswers}). So a request that was cut off is answered, or known not to be
 * done, and a repeat runs.
 */
export const KeepsAnswer = (): MethodDecorator => SetMetadata(KEEPS_ANSWER, true);

/**
 * Says that a POST which is done twice has done no more than once, or that the second is what its sender wants, such as
 * another mail in the place of one that may never have left. So one that was cut off is run again when it is repeated.
 */
export const MayRunAgain = (): MethodDecorator => SetMetadata(MAY_RUN_AGAIN, true);

/** Whether a handler {@link KeepsAnswer}. */
export const keepsAnswer = (handler: object): boolean => Reflect.getMetadata(KEEPS_ANSWER, handler) === true;

/** Whether a handler {@link MayRunAgain}. */
export const mayRunAgain = (handler: object): boolean => Reflect.getMetadata(MAY_RUN_AGAIN, handler) === true;
