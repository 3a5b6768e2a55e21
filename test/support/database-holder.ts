/** A process that uses the embedded server in the folder named by its argument until its channel closes. */
import { once } from 'node:events';
import { startEmbedded } from '../../src/database/embedded.js';

const left = once(process, 'disconnect');
const server = await startEmbedded({ dataDir: process.argv[2] ?? '', log: () => undefined });
process.send?.({ url: server.url });
await left;
await server.stop();
