import 'reflect-metadata';
import { TestEnvironment } from 'jest-environment-node';
import { createRequire } from 'node:module';

/** As Node has it, and the application in production: Jest raises it for all that its workers load natively, too. */
const { stackTraceLimit } = Error;

/** Node's own way to load modules, for transform.mjs. */
export default class NativeEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.requireNatively = createRequire(import.meta.url);
    // Decorators leave their metadata where the framework, which lives outside of Jest, looks for it.
    this.global.Reflect = Reflect;
    // To `expect`, which a worker loads once (runner.mjs), an error or a date of a file is none otherwise.
    for (const type of [Error, Date]) Object.setPrototypeOf(this.global[type.name].prototype, type.prototype);
    Error.stackTraceLimit = stackTraceLimit;
  }
}
