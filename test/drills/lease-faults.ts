import { checkLeases, type LeaseReport } from './lease-checker.js';
import { LeaseArena, TTL_SECONDS } from './lease-arena.js';
import type { Conduct } from './drill.js';

type LeaseFault = (arena: LeaseArena) => Promise<void>;

/** SIGKILL: agents end in the middle of what they do, and others come. */
const killAgents: LeaseFault = async (arena) => {
  const crew = arena.random.pick(arena.crews);
  arena.replace(crew);
  arena.struck(`killed ${crew.name}`);
};

/** SIGSTOP until their leases are over, and SIGCONT: they go on as if they held them. */
const pauseAgents: LeaseFault = async (arena) => {
  const crew = arena.random.pick(arena.crews);
  crew.child.kill('SIGSTOP');
  await arena.wait(1_000 * (TTL_SECONDS + 0.5), 1_000 * (TTL_SECONDS + 1.5));
  crew.child.kill('SIGCONT');
  arena.struck(`stopped ${crew.name} for longer than leases last`);
};

/** An hour ahead, or back: of some agents, and of an instance. */
const shiftClocks: LeaseFault = async (arena) => {
  const crews = [arena.random.pick(arena.crews), arena.random.pick(arena.crews)];
  const instance = arena.random.pick(arena.instances);
  for (const { child } of crews) child.kill('SIGWINCH');
  instance.shiftClock();
  arena.struck(`shifted the clocks of ${crews.map(({ name }) => name).join(', ')} and ${instance.name}`);
};

/** `kill -9` of an instance, and a start. */
const killInstance: LeaseFault = async (arena) => {
  const victim = arena.random.pick(arena.instances);
  await victim.kill();
  arena.struck(`killed ${victim.name}`);
  await arena.wait(0, 500);
  await victim.start();
};

const FAULTS = [killAgents, pauseAgents, shiftClocks, killInstance];
const ITEMS = { long: 10_000, short: 600 };

/** 64 agents do so many items while all of that happens to them; in the end each item is done, or dead for a reason. */
export const conductLeases: Conduct = async (ground, settings) => {
  const items = settings.items ?? (settings.isShort ? ITEMS.short : ITEMS.long);
  const deadline = performance.now() + 1_000 * settings.seconds;
  const arena = await LeaseArena.open(ground, settings, items);
  try {
    for (let n = 0; n < FAULTS.length || (performance.now() < deadline && (await arena.left()) > 0); n++) {
      await FAULTS[n % FAULTS.length]?.(arena);
      await arena.wait(100, 400);
    }
    await arena.settle();
    const report = checkLeases(await arena.evidence(items));
    refuseIdle(arena, report);
    const { violations, ...counts } = report;
    return { counts: { faults: arena.faults, ...counts }, violations, output: arena.output };
  } catch (error) {
    settings.log(arena.output.slice(-4_000));
    throw error;
  } finally {
    await arena.close();
  }
};

/** A drill that tried nothing shows nothing. */
function refuseIdle({ faults }: LeaseArena, { completed, expired, refused, violations }: LeaseReport): void {
  if (violations.length === 0 && Math.min(faults, completed, expired, refused) === 0)
    throw new Error(
      `leases tried nothing: ${faults} faults, ${completed} done, ${expired} expired, ${refused} refused`,
    );
}
