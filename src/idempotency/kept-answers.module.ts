import { Module } from '@nestjs/common';
import { KeptAnswers } from './kept-answers.js';

/** For modules that come before the guard of repeated requests: by themselves they put no guard in its order. */
@Module({ providers: [KeptAnswers], exports: [KeptAnswers] })
export class KeptAnswersModule {}
