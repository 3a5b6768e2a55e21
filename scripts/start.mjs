// `npm start`: builds, then serves in this very process, so that a signal reaches the application itself.
import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { createRequire } from 'node:module';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const nest = createRequire(import.meta.url).resolve('@nestjs/cli/bin/nest.js');

/** Runs `nest build`; resolves to the exit code. A signal that ends this process meanwhile ends the build first. */
function build() {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [nest, 'build'], { cwd: root, stdio: 'inherit' });
    let stoppedBy;
    const stop = (signal) => {
      stoppedBy ??= signal;
      child.kill(signal);
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
    child.once('error', failed);
    child.once('exit', (code, signal) => {
      process.off('SIGINT', stop).off('SIGTERM', stop);
      const endedBy = stoppedBy ?? signal;
      done(endedBy ? 128 + constants.signals[endedBy] : code);
    });
  });
}

const code = await build();
if (code !== 0) process.exit(code);
await import('../dist/src/main.js');
