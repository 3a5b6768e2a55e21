import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { Bus } from '../bus/bus.js';
import { newId } from '../common/identifiers.js';
import { reasonOf } from '../common/reason.js';
import { StandingFault } from '../common/standing-fault.js';
import { PipelinedStatements } from '../database/pipelined-statements.js';
import {
  BEAT,
  BURY_DEAD,
  CHANGED_ROOMS,
  DEAD_SECONDS,
  FORGET,
  type PresenceInput,
  type PresenceRow,
  READ_PRESENCES,
  WITHDRAW,
  WRITE_PRESENCES,
} from './presence.sql.js';

/** Told of what other instances say. */
export interface PresenceListener {
  /** Something may have changed in these rooms, or in any. */
  onElsewhere(rooms: ReadonlySet<string> | 'all'): void;
  /** What this instance has said is forgotten and must be said again. */
  onForgotten(): void;
}

const CHANNEL = 'presence';
/** How often this instance says that it is there, and looks for what it was not told. */
const BEAT_MS = 5_000;
/** Old entries are removed at every so many beats. */
const FORGETTING_BEATS = 12;
/** Entries per statement. */
const MAX_BATCH = 500;

/**
 * Shares presence between instances: each writes what its own sockets do, all read. The bus makes it fast; the beat,
 * which finds what was not told and who has died, makes it right within 20 seconds of a crash.
 */
@Injectable()
export class PresenceStore implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Presence');
  private readonly fault = new StandingFault(this.logger, 'look who is in the rooms');
  /** Under which this instance stands in `instances` for as long as it is there. */
  readonly instanceId = newId();
  private readonly waiting = new Map<string, PresenceInput>();
  private listener: PresenceListener | undefined;
  private writing: Promise<void> | undefined;
  private timer: NodeJS.Timeout | undefined;
  private beating = false;
  private beats = 0;
  private beatenAt = 0;
  private withdrawn = false;

  constructor(
    private readonly statements: PipelinedStatements,
    private readonly bus: Bus,
  ) {
    bus.subscribe(CHANNEL, {
      told: (entries) => this.listener?.onElsewhere(new Set(entries.keys())),
      missed: () => this.listener?.onElsewhere('all'),
    });
  }

  /** There is one listener, which keeps what it hears. */
  listen(listener: PresenceListener): void {
    this.listener = listener;
  }

  async onApplicationBootstrap(): Promise<void> {
    await this.sayThere();
    this.timer = setInterval(() => void this.beat(), BEAT_MS).unref();
  }

  onApplicationShutdown(): void {
    clearInterval(this.timer);
  }

  /** Who is in these rooms, of these workspaces, through other instances, by room. */
  async read(rooms: readonly string[], workspaceIds: readonly string[]): Promise<Map<string, PresenceRow[]>> {
    const values = [this.instanceId, rooms, workspaceIds];
    const rows = await this.statements.run<PresenceRow>(READ_PRESENCES, values);
    return Map.groupBy(rows, ({ room }) => room);
  }

  /** Tells the others, in the background; what cannot be written now is tried again at the next beat. */
  write(entries: readonly PresenceInput[]): void {
    // The last of several about the same: only how it is now matters.
    for (const entry of entries) this.waiting.set(`${entry.room} ${entry.principal_id}`, entry);
    if (this.waiting.size > 0) this.writing ??= this.writeWaiting();
  }

  /** Takes everybody of this instance out, for good. */
  async withdraw(): Promise<void> {
    if (this.withdrawn) return;
    this.withdrawn = true;
    clearInterval(this.timer);
    await this.writing;
    try {
      const rows = await this.statements.run<{ room: string }>(WITHDRAW, [this.instanceId]);
      for (const { room } of rows) this.bus.publish(CHANNEL, room);
    } catch (error) {
      // Then the others notice that this instance is silent.
      this.logger.warn(`Cannot withdraw from the rooms: ${reasonOf(error)}`);
    }
  }

  private async writeWaiting(): Promise<void> {
    while (this.waiting.size > 0 && !this.withdrawn) {
      const batch = [...this.waiting].slice(0, MAX_BATCH);
      for (const [key] of batch) this.waiting.delete(key);
      try {
        const entries = JSON.stringify(batch.map(([, entry]) => entry));
        await this.statements.run(WRITE_PRESENCES, [this.instanceId, entries]);
      } catch (error) {
        for (const [key, entry] of batch) if (!this.waiting.has(key)) this.waiting.set(key, entry);
        this.logger.warn(`Cannot tell who is in the rooms: ${reasonOf(error)}`);
        break;
      }
      for (const [, { room }] of batch) this.bus.publish(CHANNEL, room);
    }
    this.writing = undefined;
  }

  private async sayThere(): Promise<void> {
    const asked = performance.now();
    const [row] = await this.statements.run<{ is_new: string }>(BEAT, [this.instanceId]);
    const silence = asked - this.beatenAt;
    // Who was silent for so long may have been taken for dead by the others.
    const mayBeBuried = row?.is_new === 'true' || silence > (DEAD_SECONDS * 1_000) / 2;
    if (this.beatenAt > 0 && mayBeBuried) this.listener?.onForgotten();
    this.beatenAt = asked;
  }

  private async beat(): Promise<void> {
    if (this.beating) return;
    this.beating = true;
    try {
      await this.sayThere();
      await this.statements.run(BURY_DEAD);
      const changed = await this.statements.run<{ room: string }>(CHANGED_ROOMS, [this.instanceId]);
      this.listener?.onElsewhere(new Set(changed.map(({ room }) => room)));
      if (++this.beats % FORGETTING_BEATS === 0) await this.statements.run(FORGET);
      this.write([]);
      this.fault.passed();
    } catch (error) {
      this.fault.failed(error);
    } finally {
      this.beating = false;
    }
  }
}
