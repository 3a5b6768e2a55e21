/**
 * `npm run drill`: faults under load, and the checker's judgement. `--only a,b` some drills, `--seed N` the same
 * chances again, `--seconds N` how long each goes on, `--keep FOLDER` the records, `--list` what there is.
 */
import 'reflect-metadata';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { builtMain } from '../support/build.js';
import { Arena } from './arena.js';
import { check, type Report } from './checker.js';
import type { Drill } from './drill.js';
import { drills } from './drills.js';
import { Ground } from './ground.js';
import { Random } from './random.js';
import { Redis } from './redis.js';

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 1_000_000) },
    seconds: { type: 'string' },
    keep: { type: 'string' },
    list: { type: 'boolean', default: false },
  },
});
const PATIENCE_MS = 30_000;
const SHOWN = 10;

function chosen(): Drill[] {
  const names = options.only?.split(',');
  const unknown = names?.filter((name) => !drills.some((drill) => drill.name === name)) ?? [];
  if (unknown.length > 0)
    throw new Error(
      `There is no drill ${unknown.join()}; there are ${drills.map(({ name }) => name).join()}`,
    );
  return drills.filter(({ name }) => names?.includes(name) ?? true);
}

async function runDrill(ground: Ground, drill: Drill): Promise<Report> {
  const arena = await Arena.open(
    ground,
    {
      name: drill.name,
      random: new Random(Number(options.seed)),
      seconds: Number(options.seconds ?? drill.seconds),
      main: await builtMain(),
      patienceMs: PATIENCE_MS,
      log: (line) => console.log(`  ${line}`),
    },
    drill.options ?? {},
  );
  try {
    arena.writers.resume();
    let round = 0;
    do await drill.faults[round % drill.faults.length]?.(arena);
    while (++round < drill.faults.length ? !arena.isLost : arena.goesOn);
    await arena.settle();
    const report = check({ ...(await arena.evidence()), mayBeTooOld: drill.mayBeTooOld });
    if (arena.faults === 0 || report.ok === 0 || report.deliveries === 0)
      throw new Error(`${drill.name} tried nothing: ${arena.faults} faults, ${report.ok} writes`);
    if (options.keep || report.violations.length > 0) keep(ground, drill.name, arena.output);
    return report;
  } catch (error) {
    keep(ground, drill.name, arena.output);
    throw error;
  } finally {
    await arena.close();
  }
}

function keep(ground: Ground, name: string, output: string): void {
  writeFileSync(join(ground.folder, name, 'instances.log'), output);
  if (!options.keep) return;
  mkdirSync(options.keep, { recursive: true });
  cpSync(join(ground.folder, name), join(options.keep, name), { recursive: true });
}

function print(report: Report): void {
  const { violations, ...counts } = report;
  const text = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  console.log(`  ${text.join(', ')}, violations ${violations.length}`);
  for (const { promise, evidence } of violations.slice(0, SHOWN))
    console.log(`  BROKEN: ${promise}: ${evidence}`);
  if (violations.length > SHOWN) console.log(`  … and ${violations.length - SHOWN} more`);
}

async function main(): Promise<boolean> {
  if (options.list) {
    for (const { name, about } of drills) console.log(`${name.padEnd(24)}${about}`);
    return true;
  }
  const list = chosen();
  const ground = await Ground.prepare();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.once(signal, () => void ground.clear().finally(() => process.exit(130)));
  let held = true;
  try {
    for (const drill of list) {
      if (drill.options?.redis && !Redis.isInstalled) {
        console.log(`${drill.name}: left out, there is no redis-server here`);
        continue;
      }
      const started = performance.now();
      console.log(`${drill.name} (seed ${options.seed}): ${drill.about}`);
      const report = await runDrill(ground, drill);
      print(report);
      console.log(`  ${Math.round((performance.now() - started) / 1_000)} s`);
      held &&= report.violations.length === 0;
    }
  } finally {
    await ground.clear();
  }
  return held;
}

process.exit((await main()) ? 0 : 1);
