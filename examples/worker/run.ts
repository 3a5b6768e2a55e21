/** A worker for items of the type `word`: counts the letters. See README.md beside it. */
import { worker } from './worker.ts';

const { ATRIUM = 'http://localhost:3000', CLIENT_ID = '', CLIENT_SECRET = '' } = process.env;

const counting = worker({
  baseUrl: ATRIUM,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  type: 'word',
  concurrency: 4,
  handle(item) {
    console.log(`counting ${item.title}`);
    return { data: { letters: item.title.length } };
  },
  onError: (error, lease) => console.error(lease ? `${lease.item.title}: ${String(error)}` : String(error)),
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void counting.stop());
await counting.stopped;
