// Preloaded into Atrium by `--profile`: profiles exactly the time that is counted.
import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector/promises';

const session = new Session();
session.connect();
await session.post('Profiler.enable');
await session.post('Profiler.setSamplingInterval', { interval: 500 });

process.on('message', async ({ profile, file }) => {
  if (profile === 'start') return session.post('Profiler.start');
  const { profile: found } = await session.post('Profiler.stop');
  writeFileSync(file, JSON.stringify(found));
  process.send({ written: file });
});
process.channel.unref();
