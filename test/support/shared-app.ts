import { type Instance, startAtrium, type TestApp } from './app.js';

let app: Promise<TestApp> | undefined;
let second: Promise<Instance> | undefined;

/**
 * The instance that the spec files of a worker share, with its database: for specs whose people and workspaces are all
 * that they look at. A spec that asks for settings, stops an instance, breaks a connection, moves a clock, or looks at
 * what others have left in a table starts an Atrium of its own. `stop` stops what the spec has started besides.
 */
export async function sharedAtrium(): Promise<TestApp> {
  const shared = await (app ??= start());
  const others: Instance[] = [];
  return {
    ...shared,
    moveClock: ownOnly,
    startSecondInstance: async (overrides = {}) => {
      const instance = await shared.startSecondInstance(overrides);
      others.push(instance);
      return instance;
    },
    stop: async () => {
      for (const instance of others) await instance.stop();
    },
  };
}

/** Another instance on the shared one's database, which a worker's files share as well. */
export async function sharedSecondInstance(): Promise<Instance> {
  const shared = await (app ??= start());
  return { ...(await (second ??= shared.startSecondInstance())), moveClock: ownOnly, stop: ownOnly };
}

function ownOnly(): never {
  throw new Error('Others share it: start an Atrium of your own for that, by startAtrium');
}

async function start(): Promise<TestApp> {
  // In the process that runs everything, where a single file is run: see global-teardown.
  Object.assign(globalThis, { stopSharedAtrium: async () => (await app)?.stop() });
  // In a worker, which ends by itself once it listens to Jest no more, but for what is open.
  if (process.send)
    process.on('removeListener', (event) => {
      if (event === 'message' && process.listenerCount('message') === 0) process.exit();
    });
  return startAtrium();
}
