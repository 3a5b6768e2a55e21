/** Between two steps, in ms. */
const STEP_MS = 50;
/** So few come back at once without doing harm. */
const LEAST = 50;

/**
 * Does something to each of many, evenly over a time, so that what follows from it, such as their coming back elsewhere,
 * does not happen all at once. A few are done at once.
 */
export async function spread<T>(all: Iterable<T>, overMs: number, act: (one: T) => void): Promise<void> {
  const each = [...all];
  const size = Math.max(LEAST, Math.ceil((each.length * STEP_MS) / Math.max(overMs, STEP_MS)));
  for (let at = 0; at < each.length; at += size) {
    if (at > 0) await new Promise((resolve) => setTimeout(resolve, STEP_MS));
    for (const one of each.slice(at, at + size)) act(one);
  }
}
