/** Values by key, or `null`: look at everything. */
export type Told = ReadonlyMap<string, string> | null;

/** What one instance tells the others at once, by channel. */
export interface Batch {
  /** The instance that tells. */
  readonly from: string;
  readonly told: ReadonlyMap<string, Told>;
}

/** What may wait per channel until it can be sent: entries, and characters of their values. */
const MAX_ENTRIES = 4_096;
const MAX_CHARACTERS = 2_097_152;

interface Waiting {
  entries: Map<string, string> | null;
  characters: number;
}

/**
 * What is to be told next. The same key is told once, with its last value; a channel with too much of it only says
 * that there is something.
 */
export class Outgoing {
  private channels = new Map<string, Waiting>();

  get isEmpty(): boolean {
    return this.channels.size === 0;
  }

  add(channel: string, key: string, value: string): void {
    let waiting = this.channels.get(channel);
    if (!waiting) this.channels.set(channel, (waiting = { entries: new Map(), characters: 0 }));
    const { entries } = waiting;
    if (!entries) return;
    waiting.characters += value.length - (entries.get(key)?.length ?? 0);
    entries.set(key, value);
    if (entries.size > MAX_ENTRIES || waiting.characters > MAX_CHARACTERS) waiting.entries = null;
  }

  /** All of it; then nothing waits. */
  take(): Map<string, Told> {
    const taken = new Map([...this.channels].map(([channel, { entries }]) => [channel, entries]));
    this.channels = new Map();
    return taken;
  }
}

const NOT_ASCII = /[\u007f-\uffff]/g;
const escaped = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A batch as one line of ASCII, which can be cut anywhere. */
export function writeBatch({ from, told }: Batch): string {
  const channels = [...told].map(([channel, entries]) => [channel, entries && [...entries]]);
  return JSON.stringify([from, channels]).replace(NOT_ASCII, escaped);
}

/** The batch in a text; `undefined` if it is none, whoever sent it. */
export function readBatch(text: string): Batch | undefined {
  const parsed = parse(text);
  if (!Array.isArray(parsed)) return undefined;
  const [from, channels] = parsed as unknown[];
  if (typeof from !== 'string' || !Array.isArray(channels)) return undefined;
  const told = new Map<string, Told>();
  for (const channel of channels as unknown[]) {
    if (!isPair(channel)) return undefined;
    const [name, entries] = channel;
    if (typeof name !== 'string') return undefined;
    if (entries !== null && !isEntries(entries)) return undefined;
    told.set(name, entries && new Map(entries));
  }
  return { from, told };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const isPair = (value: unknown): value is [unknown, unknown] => Array.isArray(value) && value.length === 2;

const isEntries = (value: unknown): value is [string, string][] =>
  Array.isArray(value) &&
  value.every((entry) => isPair(entry) && typeof entry[0] === 'string' && typeof entry[1] === 'string');
