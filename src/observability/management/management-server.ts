import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AtriumConfig } from '../../config/config.js';
import { LOG_LEVELS, type LogLevel } from '../../config/log-levels.js';
import type { LogLevelSettings } from '../logging/log-levels.js';
import { Logs } from '../logging/logs.js';
import { Metrics } from '../metrics/metrics.js';

const MOST_BYTES = 8_192;
const PATIENCE_MS = 5_000;
const MODULE_NAME = /^[\w.-]{1,64}$/;

/** What an operator's request is answered with. */
interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly text: string;
}

/**
 * The operators' own port, never the public one: what is counted, and how much is logged. Whoever reaches it may use
 * it, so it listens on this machine alone unless told otherwise, and takes a change only as JSON, which no page of
 * another site can send without asking.
 */
@Injectable()
export class ManagementServer implements OnApplicationBootstrap, OnApplicationShutdown {
  private readonly logger = new Logger('Management');
  private server: Server | undefined;

  constructor(
    private readonly config: AtriumConfig,
    private readonly metrics: Metrics,
    private readonly logs: Logs,
  ) {}

  /** Where it listens; `undefined` if it does not. */
  get port(): number | undefined {
    return (this.server?.address() as AddressInfo | null | undefined)?.port;
  }

  async onApplicationBootstrap(): Promise<void> {
    const { management } = this.config;
    if (!management) return;
    this.server = createServer((request, response) => void this.handle(request, response));
    this.server.requestTimeout = PATIENCE_MS;
    this.server.headersTimeout = PATIENCE_MS;
    this.server.listen(management.port, management.host);
    await once(this.server, 'listening');
    this.logger.log(`Management at ${management.host}:${this.port}`);
  }

  /** Later than the drain, so that it can be watched to its end. */
  async onApplicationShutdown(): Promise<void> {
    if (!this.server) return;
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }

  private async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: Answer;
    try {
      answer = await this.answer(request);
    } catch (error) {
      this.logger.error(error);
      answer = { status: 500, text: 'Something went wrong; see the log.\n' };
    }
    response.writeHead(answer.status, {
      'Content-Type': answer.type ?? 'text/plain; charset=utf-8',
      'Cache-Control': 'no-store',
    });
    response.end(request.method === 'HEAD' ? undefined : answer.text);
  }

  private async answer(request: IncomingMessage): Promise<Answer> {
    const path = (request.url ?? '').split('?', 1)[0];
    const reads = request.method === 'GET' || request.method === 'HEAD';
    if (path === '/metrics' && reads)
      return { status: 200, type: this.metrics.contentType, text: await this.metrics.text() };
    if (path === '/log-levels' && reads) return this.levels();
    if (path === '/log-levels' && request.method === 'PUT') return this.setLevels(request);
    return { status: 404, text: 'GET /metrics, GET or PUT /log-levels\n' };
  }

  private levels(): Answer {
    const text = `${JSON.stringify(this.logs.levels.settings)}\n`;
    return { status: 200, type: 'application/json; charset=utf-8', text };
  }

  private async setLevels(request: IncomingMessage): Promise<Answer> {
    if (!/^application\/json\b/.test(request.headers['content-type'] ?? ''))
      return { status: 415, text: 'Send application/json.\n' };
    const settings = readLevels(await bodyOf(request));
    if (!settings)
      return { status: 400, text: `Send {"default", "modules"?}; levels are ${LOG_LEVELS.join(', ')}.\n` };
    this.logs.levels.set(settings);
    this.logger.warn(`Levels of the log: ${JSON.stringify(settings)}`);
    return this.levels();
  }
}

/** @returns empty if it is longer than anything that would do */
async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const part of request.setEncoding('utf8')) {
    text += part as string;
    if (text.length > MOST_BYTES) return '';
  }
  return text;
}

function readLevels(text: string): LogLevelSettings | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const { default: level, modules = {}, ...others } = value;
  // What is left out is logged as all else: a name that is wrong would take back what was set.
  if (!isLevel(level) || !isObject(modules) || Object.keys(others).length > 0) return undefined;
  const entries = Object.entries(modules).filter(isModuleLevel);
  if (entries.length < Object.keys(modules).length) return undefined;
  return { default: level, modules: Object.fromEntries(entries) };
}

const isLevel = (value: unknown): value is LogLevel => LOG_LEVELS.some((level) => level === value);

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isModuleLevel = (entry: [string, unknown]): entry is [string, LogLevel] =>
  MODULE_NAME.test(entry[0]) && isLevel(entry[1]);
