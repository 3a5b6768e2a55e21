import type { Arena } from './arena.js';
import type { Fault } from './drill.js';
import type { Redis } from './redis.js';

function redisOf(arena: Arena): Redis {
  if (!arena.redis) throw new Error('This drill needs Redis');
  return arena.redis;
}

export const killRedis: Fault = async (arena) => {
  await arena.wait(300, 1_500);
  await redisOf(arena).kill();
  arena.struck('Redis was killed');
  await arena.wait(500, 1_500);
  await arena.settle();
  arena.writers.resume();
  await arena.wait(500, 1_500);
  await redisOf(arena).start();
  await arena.wait(500, 1_500);
};

export const pauseRedis: Fault = async (arena) => {
  await arena.wait(300, 1_500);
  redisOf(arena).pause();
  arena.struck('Redis was paused');
  await arena.wait(500, 3_000);
  await arena.settle();
  redisOf(arena).resume();
  arena.writers.resume();
};

export const restartRedis: Fault = async (arena) => {
  await arena.wait(300, 1_500);
  await redisOf(arena).terminate();
  await redisOf(arena).start();
  arena.struck('Redis was restarted');
  await arena.wait(300, 1_500);
  await arena.settle();
  arena.writers.resume();
};
