/**
 * A process of subscribers. Each follows its rooms at whatever instance it finds, writes down all that it is told,
 * and when it loses the connection resumes elsewhere from the last cursor it has seen. It judges nothing.
 */
import { Random } from './random.js';
import type { Reader, ReaderOrders } from './reader.js';
import { recorder } from './records.js';
import { SocketReader } from './socket-reader.js';
import { StreamReader } from './stream-reader.js';

/** What the process is told at first. */
export interface Orders {
  readonly file: string;
  readonly seed: number;
  /** Of the instances. */
  readonly urls: readonly string[];
  /** How often servers ping. */
  readonly heartbeatMs: number;
  readonly clients: readonly ClientOrders[];
}

export interface ClientOrders extends ReaderOrders {
  readonly by: 'socket' | 'stream';
}

/** How far each client is in each of its rooms; the answer to `positions`. */
export type Positions = Readonly<Record<string, Readonly<Record<string, number>>>>;

const KINDS = { socket: SocketReader, stream: StreamReader };

let readers: ReadonlyMap<string, Reader> = new Map();

function begin({ file, seed, urls, heartbeatMs, clients }: Orders): void {
  const record = recorder(file);
  const random = new Random(seed);
  readers = new Map(
    clients.map(({ by, ...each }) => [
      each.name,
      new KINDS[by](each, urls, heartbeatMs, random.fork(), record),
    ]),
  );
  for (const reader of readers.values()) void reader.run();
}

process.on('message', (message: Orders | 'positions' | 'away' | 'back') => {
  if (typeof message === 'object') begin(message);
  else if (message !== 'positions') for (const each of readers.values()) each.stayAway(message === 'away');
  else
    process.send?.(
      Object.fromEntries([...readers].map(([name, each]) => [name, each.positions])) satisfies Positions,
    );
});
// Its work is done when the drill is over.
process.on('disconnect', () => process.exit(0));
