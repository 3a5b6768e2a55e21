import { Global, Module } from '@nestjs/common';
import { Clock } from './clock.js';
import { Lifecycle } from './lifecycle.js';

/** What every module may use without asking. */
@Global()
@Module({ providers: [Clock, Lifecycle], exports: [Clock, Lifecycle] })
export class CommonModule {}
