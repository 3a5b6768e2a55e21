import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';

// Nothing has begun yet. The first process of a container, though, is not ended by a signal that it does not listen for.
const endAtOnce = (): never => process.exit(0);
process.on('SIGTERM', endAtOnce).on('SIGINT', endAtOnce);

// Compiled code is kept between starts: a third of the start-up otherwise goes into compiling it.
enableCompileCache();
if (existsSync('.env')) process.loadEnvFile('.env');

const { serve } = await import('./serve.js');
const serving = serve(process.env);
// It listens itself by now.
process.off('SIGTERM', endAtOnce).off('SIGINT', endAtOnce);
await serving;
