import { createRequire } from 'node:module';
import circus from 'jest-circus/runner';

const require = createRequire(import.meta.url);
/** What a file says to the framework by `jest.retryTimes` and `jest.setTimeout`, in its world. */
const SETTINGS = [
  'LOG_ERRORS_BEFORE_RETRY',
  'RETRY_IMMEDIATELY',
  'RETRY_TIMES',
  'TEST_TIMEOUT_SYMBOL',
  'WAIT_BEFORE_RETRY',
].map((name) => Symbol.for(name));
const HANDLERS = Symbol.for('EVENT_HANDLERS');
/** Where the framework keeps what it knows of a file's tests, each time it is evaluated. */
const isState = (key) => key.description === 'JEST_STATE_SYMBOL';

/**
 * Jest's own runner. It evaluates Jest's framework and `expect` anew for every file, within the file's world, which takes
 * longer than many a file's tests; here a worker loads them once, as Node does, and only the framework's state is new.
 */
export default function run(globalConfig, config, environment, runtime, ...rest) {
  const { global } = environment;
  runtime.requireInternalModule = (path) => {
    forgetLastFile(path);
    for (const key of SETTINGS)
      Object.defineProperty(global, key, {
        configurable: true,
        set(value) {
          globalThis[key] = value;
        },
      });
    const framework = require(path);
    const initialize = (options) =>
      framework.initialize({
        ...options,
        setGlobalsForRuntime: (globals) =>
          options.setGlobalsForRuntime({ ...globals, expect: expectOf(globals.expect, global) }),
      });
    return { ...framework, initialize };
  };
  return circus.default(globalConfig, config, environment, runtime, ...rest);
}

function forgetLastFile(path) {
  delete require.cache[path];
  for (const key of [HANDLERS, ...SETTINGS]) delete globalThis[key];
  for (const key of Object.getOwnPropertySymbols(globalThis).filter(isState)) delete globalThis[key];
}

/** As `expect`, which knows `String` and the like only as its own. */
function expectOf(expect, global) {
  const own = new Map(
    [String, Number, Boolean, BigInt, Symbol, Function, Object, Array].map((type) => [
      global[type.name],
      type,
    ]),
  );
  const any = (type) => expect.any(own.get(type) ?? type);
  const wrapped = (...args) => expect(...args);
  Object.defineProperties(wrapped, Object.getOwnPropertyDescriptors(expect));
  return Object.assign(wrapped, { any, not: expect.not });
}
