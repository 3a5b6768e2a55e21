import { setTimeout as delay } from 'node:timers/promises';

/** Only what never comes takes so long, on a busy machine, too. */
const PATIENCE_MS = 60_000;
const PAUSE_MS = 15;

/**
 * Asks again until the answer is something.
 * @returns the first answer that is neither `false` nor `undefined`
 * @throws when patience is at an end, naming what never came
 */
export async function until<T>(
  what: string,
  ask: () => T | false | undefined | Promise<T | false | undefined>,
  patienceMs = PATIENCE_MS,
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > deadline) throw new Error(`Still not so after ${patienceMs} ms: ${what}`);
    await delay(PAUSE_MS);
  }
}
