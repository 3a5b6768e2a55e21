// Ends what a run of drills has started, once the run itself is over, however that ended: it is told of every
// process and folder, and goes to work when its channel closes.
import { readFileSync, rmSync } from 'node:fs';

const pids = new Set();
const folders = [];
let data;

process.on('message', (told) => {
  if (told.started) pids.add(told.started);
  if (told.ended) pids.delete(told.ended);
  if (told.folder) folders.push(told.folder);
  data = told.data ?? data;
});
// Ctrl-C is for the run.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => undefined);

function kill(pid, signal) {
  try {
    process.kill(pid, signal);
    return true;
  } catch {
    return false;
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 50));

/** PostgreSQL's lock file, as long as there is one. */
function postmaster() {
  try {
    return Number(readFileSync(`${data}/postmaster.pid`, 'utf8').split('\n')[0]);
  } catch {
    return undefined;
  }
}

process.on('disconnect', async () => {
  for (const pid of pids) kill(pid, 'SIGKILL');
  const deadline = Date.now() + 20_000;
  if (data)
    for (let pid = postmaster(); pid && Date.now() < deadline && kill(pid, 'SIGQUIT'); pid = postmaster())
      await pause();
  for (;;) {
    try {
      if (data) rmSync(data, { recursive: true, force: true });
      for (const folder of folders) rmSync(folder, { recursive: true, force: true });
      process.exit(0);
    } catch (error) {
      // The last sessions of the server are still writing.
      if (Date.now() > deadline) throw error;
      await pause();
    }
  }
});
