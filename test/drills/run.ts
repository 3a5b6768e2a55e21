/**
 * `npm run drill`: faults under load, and the checker's judgement; docs/drills.md has the options. Exits with 0 if
 * every promise held, and with `--mutants` if every mutant was caught.
 */
import 'reflect-metadata';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { builtMain } from '../support/build.js';
import { Arena, type ArenaSettings, Unsettled } from './arena.js';
import { check } from './checker.js';
import type { AnyDrill, Drill, Outcome } from './drill.js';
import { drills } from './drills.js';
import { Ground } from './ground.js';
import { breed, type Mutant, mutants } from './mutants.js';
import { Random } from './random.js';
import { Redis } from './redis.js';
import { HaProxy } from './haproxy.js';
import { rollingRestart } from './rolling-restart.js';

const { values: options } = parseArgs({
  options: {
    /** Names, of drills or of mutants. */
    only: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string' },
    /** Of the callers behind HAProxy. */
    requests: { type: 'string' },
    mutants: { type: 'boolean', default: false },
    /** How much there is to do in drills of leases. */
    items: { type: 'string' },
    /** What the gate runs: all kinds of fault once, and some mutants. */
    short: { type: 'boolean', default: false },
    /** A folder for the records. */
    keep: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});
/** How long what is left may take to arrive, in ms: also past connections that have to be found dead first. */
const PATIENCE_MS = 30_000;
const MUTANT_PATIENCE_MS = 6_000;
const SHORT = { drills: ['mixed'], mutants: ['no-sweep', 'read-before-subscribe'] };
/** Of a drill that has a time of its own otherwise. */
const SHORT_SECONDS = 5;
/** A short run begins nothing more after this. */
const SHORT_MS = 90_000;
const SHOWN = 10;
const ROLLING = 'behind-haproxy';
const ROLLING_REQUESTS = { short: 2_500, long: 50_000 };

function chosen<Named extends { readonly name: string }>(
  all: readonly Named[],
  names = options.only?.split(',').filter((name) => name !== ROLLING),
): readonly Named[] {
  const unknown = names?.filter((name) => !all.some((each) => each.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Error(`There is no ${unknown.join()}; there are ${all.map(({ name }) => name).join()}`);
  return all.filter(({ name }) => names?.includes(name) ?? true);
}

async function runDrill(ground: Ground, drill: AnyDrill, own: Partial<ArenaSettings> = {}): Promise<Outcome> {
  const started = performance.now();
  const settings: ArenaSettings = {
    name: drill.name,
    random: new Random(Number(options.seed)),
    seconds: Number(options.seconds ?? drill.seconds),
    main: await builtMain(),
    patienceMs: PATIENCE_MS,
    log: (line) => console.log(`  ${((performance.now() - started) / 1_000).toFixed(1)} s: ${line}`),
    items: options.items === undefined ? undefined : Number(options.items),
    isShort: options.short,
    ...own,
  };
  if (!('conduct' in drill)) return runInArena(ground, drill, settings);
  const seconds = options.short && !options.seconds ? SHORT_SECONDS : settings.seconds;
  const outcome = await drill.conduct(ground, { ...settings, seconds });
  if (options.keep) keep(options.keep, join(ground.folder, settings.name), outcome.output);
  return outcome;
}

async function runInArena(ground: Ground, drill: Drill, settings: ArenaSettings): Promise<Outcome> {
  const arena = await Arena.open(ground, settings, drill.options ?? {});
  try {
    arena.writers.resume();
    await arena.wait(800);
    await strike(arena, drill).catch((error: unknown) => {
      if (!(error instanceof Unsettled)) throw error;
      arena.note(error.message);
    });
    const report = check({ ...(await arena.evidence()), mayBeTooOld: drill.mayBeTooOld });
    if (arena.faults === 0 || report.ok === 0 || report.deliveries === 0)
      throw new Error(`${drill.name} tried nothing: ${arena.faults} faults, ${report.ok} writes`);
    if (drill.mayBeTooOld && report.resyncs === 0 && report.violations.length === 0)
      throw new Error(`${drill.name} tried nothing: nobody missed what was dropped`);
    const { violations, ...counts } = report;
    return { counts, violations, output: arena.output };
  } finally {
    await arena.writers.stop();
    if (options.keep) keep(options.keep, arena.folder, arena.output);
    await arena.close();
  }
}

/** Each fault once, and on in turn while there is time. In the end everything has arrived. */
async function strike(arena: Arena, { faults }: Drill): Promise<void> {
  for (const fault of faults) await fault(arena);
  for (let n = 0; arena.goesOn; n++) await faults[n % faults.length]?.(arena);
  await arena.settle();
}

function keep(folder: string, records: string, output: string): void {
  mkdirSync(folder, { recursive: true });
  cpSync(records, join(folder, basename(records)), { recursive: true });
  writeFileSync(join(folder, basename(records), 'instances.log'), output);
}

async function drillHolds(ground: Ground, drill: AnyDrill): Promise<boolean> {
  if ('options' in drill && drill.options?.redis && !Redis.isInstalled) {
    console.log(`${drill.name}: left out, there is no redis-server here`);
    return true;
  }
  console.log(`${drill.name} (seed ${options.seed}): ${drill.about}`);
  const { violations, counts } = await runDrill(ground, drill);
  const text = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(`  ${text.join(', ')}, violations ${violations.length}`);
  for (const { promise, evidence } of violations.slice(0, SHOWN))
    console.log(`  BROKEN: ${promise}: ${evidence}`);
  return violations.length === 0;
}

async function isCaught(ground: Ground, mutant: Mutant): Promise<boolean> {
  console.log(`mutant ${mutant.name} (seed ${options.seed}): ${mutant.about}`);
  const [drill] = chosen(drills, [mutant.drill]);
  if (!drill) throw new Error(`There is no drill ${mutant.drill}`);
  const { violations, counts } = await runDrill(ground, arranged(drill, mutant), {
    name: `mutant-${mutant.name}`,
    seconds: Number(options.seconds ?? mutant.seconds),
    main: breed(mutant, await builtMain(), (folder) => ground.discard(folder)),
    patienceMs: MUTANT_PATIENCE_MS,
    isShort: true,
  });
  const [first] = violations;
  console.log(
    first
      ? `  caught: ${'lost' in counts ? `lost ${counts.lost}, duplicated ${counts.duplicated}, ` : ''}violations ${violations.length}, such as: ${first.promise}: ${first.evidence}`
      : '  NOT CAUGHT',
  );
  return violations.length > 0;
}

function arranged(drill: AnyDrill, { arrange }: Mutant): AnyDrill {
  if ('conduct' in drill || arrange === undefined) return drill;
  return { ...drill, options: { ...drill.options, arrange: [...(drill.options?.arrange ?? []), arrange] } };
}

/** Not a fault but the everyday: nobody may notice. */
async function rolls(ground: Ground): Promise<boolean> {
  if (!HaProxy.isInstalled) {
    console.log(`${ROLLING}: left out, there is no haproxy here`);
    return true;
  }
  const usual = options.short ? ROLLING_REQUESTS.short : ROLLING_REQUESTS.long;
  const requests = Number(options.requests ?? usual);
  console.log(`${ROLLING}: two instances behind HAProxy are replaced under ${requests} requests`);
  const { failed, stops, ...counts } = await rollingRestart(ground, await builtMain(), requests);
  const text = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  const stopped = stops.map(({ code, ms }) => `${code} after ${(ms / 1_000).toFixed(1)} s`);
  console.log(`  ${text.join(', ')}, failed ${failed.length}, stops: ${stopped.join(', ')}`);
  for (const failure of failed.slice(0, SHOWN)) console.log(`  BROKEN: ${failure}`);
  return (
    failed.length === 0 &&
    counts.lost === 0 &&
    counts.duplicated === 0 &&
    stops.every(({ code }) => code === 0)
  );
}

async function main(): Promise<boolean> {
  if (options.list) {
    console.log(`${ROLLING.padEnd(24)}two instances behind HAProxy are replaced: nobody notices`);
    for (const { name, about } of drills) console.log(`${name.padEnd(24)}${about}`);
    for (const { name, about } of mutants) console.log(`${`mutant ${name}`.padEnd(32)}${about}`);
    return true;
  }
  const { short } = options;
  const listed = { drills: short ? SHORT.drills : undefined, mutants: short ? SHORT.mutants : undefined };
  const isNamed = options.only?.split(',').includes(ROLLING) ?? true;
  const tasks = [
    ...(options.mutants ? [] : chosen(drills, listed.drills)).map(
      (drill) => (ground: Ground) => drillHolds(ground, drill),
    ),
    ...(options.mutants || short ? chosen(mutants, listed.mutants) : []).map(
      (mutant) => (ground: Ground) => isCaught(ground, mutant),
    ),
    ...(isNamed && !options.mutants ? [rolls] : []),
  ];
  const ground = await Ground.prepare();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void ground.clear().finally(() => process.exit(130)));
  let good = true;
  const begun = performance.now();
  try {
    for (const task of tasks) {
      const started = performance.now();
      if (short && started - begun > SHORT_MS) {
        console.log('Out of time, the machine is busy: the rest is left out.');
        break;
      }
      good = (await task(ground)) && good;
      console.log(`  ${Math.round((performance.now() - started) / 1_000)} s`);
    }
  } finally {
    await ground.clear();
  }
  return good;
}

process.exitCode = 1;
process.exit((await main()) ? 0 : 1);
