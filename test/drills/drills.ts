import { killRedis, pauseRedis, restartRedis } from './bus-faults.js';
import { cutConnections, revoke, stopClient, strandConnections } from './client-faults.js';
import {
  crashDatabase,
  holdTransaction,
  loseAnswers,
  strandDatabase,
  terminateBackends,
} from './database-faults.js';
import type { AnyDrill } from './drill.js';
import {
  HOLD_COMMITS,
  killAfterCommit,
  killAtRandom,
  killBeforeCommit,
  killInCommit,
  restartEach,
} from './instance-faults.js';
import { conductLeases } from './lease-faults.js';
import { outages } from './outages.js';
import { dropWhileAway, dropWhileReplaying, dropWhileStopped } from './retention-faults.js';

const HEARTBEAT_MS = 10_000;

/** Every drill, in the order in which a whole run does them. */
export const drills: readonly AnyDrill[] = [
  {
    name: 'kill-before-commit',
    about: 'kill -9 of an instance whose writes wait for the counter of a stream',
    seconds: 30,
    faults: [killBeforeCommit],
  },
  {
    name: 'kill-in-commit',
    about: 'kill -9 of an instance whose writes are in the middle of their COMMIT',
    seconds: 30,
    options: { arrange: [HOLD_COMMITS] },
    faults: [killInCommit],
  },
  {
    name: 'kill-after-commit',
    about: 'kill -9 of an instance whose writes are committed, before it knows: no answer, no wake-up',
    seconds: 30,
    faults: [killAfterCommit],
  },
  {
    name: 'kill-at-random',
    about: 'kill -9 of an instance at any moment, under full load',
    seconds: 60,
    options: { instances: 3, writesPerSecond: 200 },
    faults: [killAtRandom],
  },
  {
    name: 'rolling-restart',
    about: 'SIGTERM to each instance in turn, which drains and starts again',
    seconds: 30,
    options: { instances: 3, writesPerSecond: 200 },
    faults: [restartEach],
  },
  {
    name: 'postgres-crash',
    about: 'PostgreSQL stopped with -m immediate and started again',
    seconds: 30,
    faults: [crashDatabase],
  },
  {
    name: 'backends-terminated',
    about: 'all sessions in the database ended, the ones that listen as well',
    seconds: 30,
    faults: [terminateBackends],
  },
  {
    name: 'answers-lost',
    about: 'connections to the database break after a commit, before its answer',
    seconds: 30,
    faults: [loseAnswers],
  },
  {
    name: 'half-open-database',
    about: 'the connections of an instance to the database lead nowhere, without a word',
    seconds: 60,
    faults: [strandDatabase],
  },
  {
    name: 'long-transaction',
    about: 'a transaction that wrote elsewhere in the database stays open for all of the drill',
    seconds: 300,
    options: { writesPerSecond: 60 },
    faults: [holdTransaction],
  },
  {
    name: 'connections-cut',
    about: 'connections of subscribers break, over and over, under full load',
    seconds: 30,
    options: { writesPerSecond: 200 },
    faults: [cutConnections],
  },
  {
    name: 'half-open-clients',
    about: 'connections of subscribers lead nowhere, without a word',
    seconds: 30,
    faults: [strandConnections],
  },
  {
    name: 'client-stopped',
    about: 'SIGSTOP and SIGCONT of a subscriber, with events of 24 KB',
    seconds: 40,
    options: {
      subscribers: 2,
      writesPerSecond: 150,
      padding: 24_576,
      direct: true,
      heartbeatMs: HEARTBEAT_MS,
    },
    faults: [stopClient],
  },
  {
    name: 'revocation',
    about: 'a member is removed in mid-stream, while connections break',
    seconds: 1,
    options: { writesPerSecond: 200 },
    faults: [revoke],
  },
  {
    name: 'partition-dropped',
    about: 'the oldest partition of the events is dropped while a subscriber replays them',
    seconds: 60,
    options: { writesPerSecond: 150, padding: 49_152, direct: true, heartbeatMs: HEARTBEAT_MS },
    mayBeTooOld: true,
    faults: [dropWhileStopped, dropWhileAway, dropWhileReplaying],
  },
  {
    name: 'redis',
    about: 'Redis killed, paused and restarted',
    seconds: 30,
    options: { redis: true },
    faults: [killRedis, pauseRedis, restartRedis],
  },
  {
    name: 'leases',
    about: '64 agents do 10,000 items, while they are killed and stopped, clocks jump, and instances die',
    seconds: 60,
    conduct: conductLeases,
  },
  ...outages,
  {
    name: 'mixed',
    about: 'one fault of each kind after the other',
    seconds: 20,
    options: { arrange: [HOLD_COMMITS] },
    faults: [
      killInCommit,
      cutConnections,
      killAfterCommit,
      loseAnswers,
      terminateBackends,
      killBeforeCommit,
      restartEach,
      crashDatabase,
      revoke,
    ],
  },
];
