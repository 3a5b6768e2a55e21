import 'reflect-metadata';
import { TestEnvironment } from 'jest-environment-node';
import { createRequire } from 'node:module';

/** Node's own way to load modules, for transform.mjs. */
export default class NativeEnvironment extends TestEnvironment {
  async setup() {
    await super.setup();
    this.global.requireNatively = createRequire(import.meta.url);
    // Decorators leave their metadata where the framework, which lives outside of Jest, looks for it.
    this.global.Reflect = Reflect;
  }
}
