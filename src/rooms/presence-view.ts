import type { Principal } from '../common/access.js';
import type { PresenceInput, PresenceRow } from './presence.sql.js';

/** One principal in a room, however many sockets and instances it is there with. */
export interface PresenceEntry {
  readonly principalId: string;
  readonly kind: 'user' | 'agent';
  /** How it is called, as of when it last entered or later; null if it has no name. */
  readonly name: string | null;
  /** Open connections, at least 1. */
  readonly connections: number;
  /** What it says of itself. */
  readonly state: object;
}

/** What has changed since it was last told. */
export interface PresenceChange {
  readonly joined: readonly PresenceEntry[];
  readonly left: readonly PresenceEntry[];
  readonly updated: readonly PresenceEntry[];
}

/** Principals that a room lists. Who comes when it is full is counted, and listed as soon as somebody leaves. */
const MAX_LISTED = 200;

interface Here {
  readonly kind: 'user' | 'agent';
  name: string | null;
  connections: number;
  state: object;
  stateAt: number;
}

const EMPTY = {};

/** Who is in one room: the sockets of this instance, and what the other instances told of theirs. */
export class PresenceView {
  private readonly here = new Map<string, Here>();
  private readonly dirty = new Set<string>();
  private elsewhere: readonly PresenceRow[] = [];
  /** What those who listen know, with the entry as text to compare. */
  private readonly told = new Map<string, { readonly entry: PresenceEntry; readonly text: string }>();
  private count = 0;
  private changes = 0;

  constructor(readonly room: string) {}

  /** How many principals are there, listed or not. */
  get total(): number {
    return this.count;
  }

  /** Counts what has changed: who has seen it at this number has seen all of it. */
  get version(): number {
    return this.changes;
  }

  /** @param name how it is called now */
  enter({ id, kind }: Principal, name: string | null): void {
    const entry = this.here.get(id);
    if (entry) Object.assign(entry, { name, connections: entry.connections + 1 });
    else this.here.set(id, { kind, name, connections: 1, state: EMPTY, stateAt: 0 });
    this.touch(id);
  }

  exit({ id }: Principal): void {
    const entry = this.here.get(id);
    if (!entry) return;
    entry.connections--;
    this.touch(id);
  }

  /** @param now milliseconds since the Unix epoch */
  setState({ id }: Principal, state: object, now: number): void {
    const entry = this.here.get(id);
    if (!entry) return;
    entry.state = state;
    entry.stateAt = now;
    this.touch(id);
  }

  /** Takes over what the other instances say now. */
  replaceElsewhere(rows: readonly PresenceRow[]): void {
    if (JSON.stringify(rows) === JSON.stringify(this.elsewhere)) return;
    this.elsewhere = rows;
    this.changes++;
  }

  /** What the others must be told of this instance, and need not be told again. */
  takeDirty(): PresenceInput[] {
    const taken = [...this.dirty].flatMap((id) => {
      const entry = this.here.get(id);
      if (!entry) return [];
      if (entry.connections === 0) this.here.delete(id);
      const { kind, connections, state, stateAt } = entry;
      return [{ room: this.room, principal_id: id, kind, connections, state, state_at: stateAt }];
    });
    this.dirty.clear();
    return taken;
  }

  /** Everybody of this instance must be told of again. */
  markAllDirty(): void {
    for (const id of this.here.keys()) this.dirty.add(id);
  }

  /** Everybody who is listed now. */
  list(): PresenceEntry[] {
    const everybody = this.merge();
    // Who is listed stays so; who comes takes the places that are left.
    const listed: PresenceEntry[] = [];
    for (const id of this.told.keys()) {
      const entry = everybody.get(id);
      if (entry) listed.push(entry);
    }
    for (const [id, entry] of everybody) {
      if (listed.length >= MAX_LISTED) break;
      if (!this.told.has(id)) listed.push(entry);
    }
    return listed;
  }

  /** What has changed since the last call; `undefined` if nothing has. */
  takeChange(): PresenceChange | undefined {
    const joined: PresenceEntry[] = [];
    const updated: PresenceEntry[] = [];
    const listed = this.list();
    const present = new Set<string>();
    for (const entry of listed) {
      const text = JSON.stringify(entry);
      const before = this.told.get(entry.principalId);
      if (!before) joined.push(entry);
      else if (before.text !== text) updated.push(entry);
      present.add(entry.principalId);
      this.told.set(entry.principalId, { entry, text });
    }
    const left: PresenceEntry[] = [];
    for (const [id, { entry }] of this.told) {
      if (present.has(id)) continue;
      left.push(entry);
      this.told.delete(id);
    }
    return joined.length + left.length + updated.length === 0 ? undefined : { joined, left, updated };
  }

  private touch(id: string): void {
    this.dirty.add(id);
    this.changes++;
  }

  private merge(): Map<string, PresenceEntry> {
    const merged = new Map<string, Here>();
    for (const [id, entry] of this.here) if (entry.connections > 0) merged.set(id, { ...entry });
    for (const row of this.elsewhere) {
      const state = { state: JSON.parse(row.state) as object, stateAt: Number(row.state_at) };
      const connections = Number(row.connections);
      const known = merged.get(row.principal_id);
      if (!known) {
        merged.set(row.principal_id, { kind: row.kind, name: row.name, connections, ...state });
      } else {
        known.connections += connections;
        if (state.stateAt > known.stateAt) Object.assign(known, state);
      }
    }
    this.count = merged.size;
    return new Map(
      [...merged].map(([principalId, { kind, name, connections, state }]) => [
        principalId,
        { principalId, kind, name, connections, state },
      ]),
    );
  }
}
