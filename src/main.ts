import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';

// Compiled code is kept between starts: a third of the start-up otherwise goes into compiling it.
enableCompileCache();
if (existsSync('.env')) process.loadEnvFile('.env');

const { serve } = await import('./serve.js');
await serve(process.env);
