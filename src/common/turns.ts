import { Unavailable } from './problem.js';

/** Lets what concerns one key happen one after another in this process; bounded in all. */
export class Turns {
  private readonly last = new Map<string, Promise<unknown>>();
  private waiting = 0;

  constructor(private readonly maxWaiting: number) {}

  /**
   * @returns what `work` answers, begun when all that was given for this key before has ended, however
   * @throws {Unavailable} when too many are waiting already; `work` was not begun
   */
  async take<T>(key: string, work: () => Promise<T>): Promise<T> {
    if (this.waiting >= this.maxWaiting) throw new Unavailable('Too busy; nothing was done. Try again.');
    this.waiting++;
    const before = this.last.get(key) ?? Promise.resolve();
    const mine = before.then(work, work);
    this.last.set(key, mine);
    try {
      return await mine;
    } finally {
      this.waiting--;
      if (this.last.get(key) === mine) this.last.delete(key);
    }
  }
}
