import { DataSource } from 'typeorm';
import { SESSION_OPTIONS } from '../../src/database/session-options.js';
import { EventArchives } from '../../src/events/event-archives.js';
import { EventPartitions, type Partition } from '../../src/events/event-partitions.js';
import type { Arena } from './arena.js';
import type { Fault } from './drill.js';

/** How long somebody is away, in ms: instances have forgotten by then what came at first, and must read it. */
const AWAY_MS = [4_000, 6_000] as const;

/** Somebody who was away before the events that are dropped, and what it does while they are. */
function dropOldest(
  what: string,
  meanwhile: (arena: Arena, child: Child, drop: Drop) => Promise<void>,
): Fault {
  return async (arena) => {
    const { name, child } = arena.random.pick(arena.subscribers);
    child.send('away');
    await arena.wait(...AWAY_MS);
    const oldest = await closeOldest(arena);
    await arena.wait(500, 1_500);
    await meanwhile(arena, child, () => dropAsServer(arena, oldest));
    arena.struck(`dropped ${oldest.name} while ${name} ${what}`);
    await arena.wait(500, 1_000);
    await arena.settle();
    arena.writers.resume();
    await arena.wait(300, 900);
  };
}

type Child = Arena['subscribers'][number]['child'];
type Drop = () => Promise<void>;

export const dropWhileAway = dropOldest('was away', async (arena, child, drop) => {
  await drop();
  await arena.wait(0, 500);
  child.send('back');
});

export const dropWhileReplaying = dropOldest('was replaying', async (arena, child, drop) => {
  child.send('back');
  await arena.wait(0, 600);
  await drop();
});

/** It has begun to replay, and what it was sent fills every buffer: the rest is to be read after the drop. */
export const dropWhileStopped = dropOldest('stood still in its replay', async (arena, child, drop) => {
  child.send('back');
  await arena.wait(150, 500);
  child.kill('SIGSTOP');
  try {
    await arena.wait(300, 1_000);
    await drop();
    await arena.wait(0, 500);
  } finally {
    child.kill('SIGCONT');
  }
});

/**
 * Has the oldest partition, into which everything goes, end now: as if its days were over.
 * @returns it, as it is from here on
 */
async function closeOldest(arena: Arena): Promise<Partition> {
  const found = await withPartitions(arena, (partitions) => partitions.list());
  const [oldest] = found.sort((a, b) => a.to - b.to);
  if (!oldest) throw new Error('events has no partition');
  const { name, from, to } = oldest;
  const client = await arena.ground.connect(arena.database);
  try {
    await client.query('BEGIN');
    await client.query('LOCK TABLE events IN ACCESS EXCLUSIVE MODE');
    const [row] = (
      await client.query<{ now: Date }>(
        `SELECT date_trunc('milliseconds', clock_timestamp()) + interval '1 ms' AS now`,
      )
    ).rows;
    const now = row?.now.getTime() ?? NaN;
    const next = `events_drill_${now}`;
    const least = from === -Infinity ? 'MINVALUE' : literal(from);
    for (const text of [
      `ALTER TABLE events DETACH PARTITION ${name}`,
      `ALTER TABLE events ATTACH PARTITION ${name} FOR VALUES FROM (${least}) TO (${literal(now)})`,
      `CREATE TABLE ${next} (LIKE events INCLUDING DEFAULTS INCLUDING STORAGE)`,
      `ALTER TABLE events ATTACH PARTITION ${next} FOR VALUES FROM (${literal(now)}) TO (${literal(to)})`,
    ])
      await client.query(text);
    await client.query('COMMIT');
    return { name, from, to: now };
  } finally {
    await client.end();
  }
}

const literal = (time: number): string => `'${new Date(time).toISOString()}'`;

/** What a round of the server does with a partition that is too old: note what is kept, and drop. */
async function dropAsServer(arena: Arena, oldest: Partition): Promise<void> {
  const dropped = await withPartitions(arena, (partitions) => partitions.drop(oldest));
  if (!dropped) throw new Error(`somebody else was at the partitions: ${oldest.name} is still there`);
}

async function withPartitions<T>(
  arena: Arena,
  work: (partitions: EventPartitions) => Promise<T>,
): Promise<T> {
  const url = arena.ground.url(arena.database);
  const source = new DataSource({ type: 'postgres', url, extra: { options: SESSION_OPTIONS } });
  await source.initialize();
  try {
    return await work(new EventPartitions(source, new EventArchives(source)));
  } finally {
    await source.destroy();
  }
}
