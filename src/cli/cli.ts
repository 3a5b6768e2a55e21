import 'reflect-metadata';
import { loadDotEnv } from '../database/settings.js';
import { runCommand } from './run.js';

// `npm run atrium -- COMMAND`; in a container: node dist/src/cli/cli.js COMMAND.
loadDotEnv();
// Whoever reads has seen enough: `… | head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});
process.exitCode = await runCommand(process.argv.slice(2), {
  variables: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
});
