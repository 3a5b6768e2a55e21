import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startAtrium, type TestApp } from '../support/app.js';
import type { ItemAnswer } from '../support/people.js';
import { until } from '../support/until.js';

const README = resolve(import.meta.dirname, '../../README.md');
/** What the README says a newcomer's server listens on, and all that is changed of what it says to type. */
const ADDRESS = 'localhost:3000';
const WATCH = 'watch.mjs';

interface Block {
  readonly language: string;
  readonly code: string;
}

/** The fenced blocks of one section, as they are written. */
function blocksOf(markdown: string, heading: string): Block[] {
  const section = markdown.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language = '', code = '']) => ({
    language,
    code,
  }));
}

/** A terminal: one shell that is given one block after another, so that variables and jobs live on. */
class Terminal {
  private readonly shell: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<void>;
  private text = '';
  private entered = 0;

  constructor(folder: string, path: string) {
    // Not bash: what the plain shell understands, every shell does.
    this.shell = spawn('sh', ['-u'], { cwd: folder, detached: true, env: { PATH: path, HOME: folder } });
    for (const output of [this.shell.stdout, this.shell.stderr])
      output.setEncoding('utf8').on('data', (text: string) => (this.text += text));
    this.ended = new Promise((done) => this.shell.once('close', () => done()));
  }

  /** Types something and waits for the prompt. What was shown meanwhile is the answer. */
  async enter(code: string): Promise<string> {
    const from = this.text.length;
    const prompt = `\u001e${++this.entered}\u001e`;
    this.shell.stdin.write(`${code}\nprintf '\\036${this.entered}\\036'\n`);
    await this.shows((text) => text.includes(prompt));
    return this.text.slice(from).replace(prompt, '');
  }

  /** Waits until what has been shown since the start is as asked. */
  shows(isRight: (text: string) => boolean): Promise<true> {
    return until('the terminal shows it', () => isRight(this.text)).catch((error: unknown) => {
      throw new Error(`The terminal shows:\n${this.text}`, { cause: error });
    });
  }

  /** The records in the events that the watchers have printed so far. */
  events(type: string): ItemAnswer[] {
    const lines = [...this.text.matchAll(/(\w+\.\w+) (\{.*\})$/gm)].filter(([, name]) => name === type);
    return lines.map(([, , json = '']) => JSON.parse(json) as ItemAnswer);
  }

  async close(): Promise<void> {
    const { pid } = this.shell;
    if (this.shell.exitCode === null && pid !== undefined) process.kill(-pid, 'SIGKILL');
    await this.ended;
  }
}

/** The JSON object that an output consists of, whatever a watcher printed around it. */
const firstObject = (output: string): unknown =>
  JSON.parse(/\{"(?:id|data|type)".*?\}(?=[\w.]+ \{|\n|$)/s.exec(output)?.[0] ?? 'null');

function hasCurl(): boolean {
  try {
    execFileSync('curl', ['--version']);
    return true;
  } catch {
    return false;
  }
}

describe("The README's first session, typed as it is written", () => {
  let app: TestApp;
  let folder: string;
  let terminal: Terminal;
  let blocks: Block[];
  let next = 0;

  beforeAll(async () => {
    app = await startAtrium();
    folder = await mkdtemp(join(tmpdir(), 'atrium-readme-'));
    if (!hasCurl()) {
      const standIn = resolve(import.meta.dirname, 'curl.mjs');
      await writeFile(join(folder, 'curl'), `#!/bin/sh\nexec node '${standIn}' "$@"\n`);
      await chmod(join(folder, 'curl'), 0o755);
    }
    const path = [folder, dirname(process.execPath), process.env.PATH].join(delimiter);
    terminal = new Terminal(folder, path);
    blocks = blocksOf(await readFile(README, 'utf8'), 'A first session');
  });

  afterAll(async () => {
    await terminal.close();
    await rm(folder, { recursive: true, force: true });
    await app.stop();
  });

  const take = (language: string): string => {
    const block = blocks[next++];
    expect(block?.language).toBe(language);
    return block?.code.replaceAll(ADDRESS, new URL(app.url).host) ?? '';
  };
  const cursor = () => readFile(join(folder, 'cursor'), 'utf8');

  it('speaks to the server of the section before, everywhere', () => {
    const addresses = blocks.flatMap(({ code }) => code.match(/localhost:\d+/g) ?? []);
    expect(addresses.length).toBeGreaterThan(1);
    expect(new Set(addresses)).toEqual(new Set([ADDRESS]));
  });

  it('registers and creates an item', async () => {
    await terminal.enter(take('bash'));
    const [item] = await app.sql<{ id: string; data: unknown; version: number }>('SELECT * FROM items');
    expect(item).toMatchObject({ data: { done: false }, version: 1 });
    expect(await terminal.enter('echo "$ITEM" "$TOKEN"')).toMatch(new RegExp(`^${item?.id} eyJ\\S+\n$`));
  });

  it('keeps the cursor', async () => {
    await terminal.enter(take('bash'));
    expect(await cursor()).toMatch(/^\w+-1\n$/);
  });

  it('watches the item change live', async () => {
    await writeFile(join(folder, WATCH), take('js'));
    const output = await terminal.enter(take('bash'));
    expect(firstObject(output)).toMatchObject({ data: { done: true }, version: 2 });
    await terminal.shows((text) => text.includes('"recovered":true'));
    await terminal.shows(() => terminal.events('item.updated').length > 0);
    expect(terminal.events('item.updated')).toMatchObject([
      { title: 'Write the report', data: { done: true }, version: 2 },
    ]);
    await until('the cursor has moved on', async () => (await cursor()).endsWith('-2'));
  });

  it('answers the same change with 412 the second time', async () => {
    const [, change = ''] = blocks[next - 1].code.replaceAll(ADDRESS, new URL(app.url).host).split('\n\n');
    expect(change).toContain('If-Match');
    expect(firstObject(await terminal.enter(change))).toMatchObject({
      status: 412,
      code: 'version_mismatch',
    });
  });

  it('resumes with exactly what was missed', async () => {
    await terminal.enter(take('bash'));
    await terminal.shows((text) => text.split('"recovered":true').length === 3);
    await terminal.shows(() => terminal.events('item.updated').length > 1);
    expect(terminal.events('item.updated').map(({ title, version }) => [title, version])).toEqual([
      ['Write the report', 2],
      ['Send the report', 3],
    ]);
    await until('the cursor has moved on', async () => (await cursor()).endsWith('-3'));
  });

  it('lists, and ends with nothing left running', async () => {
    const output = await terminal.enter(take('bash'));
    const list = firstObject(output);
    expect(list).toMatchObject({ data: [{ title: 'Send the report', version: 3 }], nextCursor: null });
    expect(await terminal.enter('wait; jobs')).not.toContain('Running');
    expect(next).toBe(blocks.length);
  });
});
