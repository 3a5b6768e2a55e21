import type { Fault } from './drill.js';
import { removeGuest } from './settlers.js';

/** Breaks every connection of subscribers to an instance, under load: they resume at once. */
export const cutConnections: Fault = async (arena) => {
  const { name, front } = arena.random.pick(arena.instances);
  await arena.wait(50, 400);
  arena.struck(`cut ${front.cut()} connections to ${name}`);
};

/** Connections of subscribers stand for both ends, and lead nowhere. */
export const strandConnections: Fault = async (arena) => {
  const { name, front } = arena.random.pick(arena.instances);
  await arena.wait(300, 1_500);
  arena.struck(`${front.strand()} connections to ${name} are half open`);
  await arena.wait(500, 2_000);
  await arena.settle();
  arena.writers.resume();
};

/** A subscriber's process stands still, for longer than buffers last, and goes on. */
export const stopClient: Fault = async (arena) => {
  const { name, child } = arena.random.pick(arena.subscribers);
  await arena.wait(200, 800);
  child.kill('SIGSTOP');
  arena.struck(`stopped ${name}`);
  await arena.wait(4_000, 9_000);
  child.kill('SIGCONT');
  await arena.wait(500, 1_000);
};

/** Takes the guest out of one workspace after the other, while connections break; then nobody is left to take out. */
export const revoke: Fault = async (arena) => {
  for (const workspace of arena.people.workspaces) {
    await arena.wait(500, 1_500);
    const instance = arena.random.pick(arena.instances);
    if (arena.random.next() < 0.5) instance.front.cut();
    await arena.wait(0, 100);
    const status = await removeGuest(instance, arena.people, workspace);
    if (status === 204) arena.struck(`removed the guest from a workspace, by way of ${instance.name}`);
    else if (status !== 404) throw new Error(`removing the guest answered ${status}`);
    await arena.wait(300, 1_000);
  }
  await arena.settle();
  arena.writers.resume();
};
