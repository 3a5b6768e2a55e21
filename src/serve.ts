import { Logger } from '@nestjs/common';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Lifecycle } from './common/lifecycle.js';
import { reasonOf } from './common/reason.js';
import { type AtriumConfig, loadConfig } from './config/config.js';
import { ConfigurationError } from './config/configuration-error.js';
import { Logs, logsOf, shareLogs } from './observability/logging/logs.js';
import { type EmbeddedServer, startEmbedded } from './database/embedded.js';

/** How often, while draining, connections are closed on which nothing is asked any more. */
const IDLE_CHECK_MS = 50;

/** What letting go of the database may take, when everything else has ended or was cut. */
const LAST_MS = 2_000;

type Variables = Readonly<Record<string, string | undefined>>;

interface Running {
  readonly app: NestExpressApplication;
  readonly config: AtriumConfig;
  readonly postgres: EmbeddedServer | undefined;
  /** Kept because Node takes one on which nothing was asked yet, as browsers open them in advance, for busy. */
  readonly connections: ReadonlySet<Socket>;
}

/** Runs Atrium until a signal ends it, with exit code 0 if everything under way could be finished. */
export async function serve(variables: Variables): Promise<void> {
  const config = configure(variables);
  const logs = logsOf(config);
  watchOver(logs);
  const starting = start(config, variables);
  // Listened for from the beginning: what has been started by then is stopped, not left behind.
  stopOnSignal(starting, logs, config.http.drainTimeoutMs);
  try {
    greet(await starting);
  } catch (error) {
    const text = `Atrium could not start: ${reasonOf(error)}`;
    if (config.environment === 'production') logs.fatal(text, error, 'Atrium');
    else log(text);
    process.exit(1);
  }
}

/** All of it, or nothing: what fails takes down what was started before it. */
async function start(config: AtriumConfig, variables: Variables): Promise<Running> {
  let postgres: EmbeddedServer | undefined;
  let app: NestExpressApplication | undefined;
  try {
    postgres = config.database.url ? undefined : await startEmbedded({ dataDir: config.dataDir, log });
    const ready = postgres ? loadConfig({ ...variables, DATABASE_URL: postgres.url }) : config;
    shareLogs(config, ready);
    // Only now: it takes most of a start to load, and a configuration that cannot be is told at once.
    const { createApplication } = await import('./application.js');
    app = await createApplication(ready);
    const connections = connectionsOf(app.getHttpServer());
    await listen(app, ready);
    return { app, config: ready, postgres, connections };
  } catch (error) {
    await app?.close();
    await postgres?.stop();
    throw error;
  }
}

function connectionsOf(server: Server): ReadonlySet<Socket> {
  const connections = new Set<Socket>();
  server.on('connection', (socket) => {
    connections.add(socket);
    socket.once('close', () => connections.delete(socket));
  });
  return connections;
}

function configure(variables: Variables): AtriumConfig {
  try {
    return loadConfig(variables);
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    if (variables['NODE_ENV'] === 'production') logFatal(error.problems);
    else log(error.message);
    process.exit(78); // EX_CONFIG of sysexits.h
  }
}

/** In production, why there is no configuration is logged as all else is. */
function logFatal(problems: readonly string[]): void {
  const logs = new Logs({ environment: 'production', logLevels: { default: 'log', modules: {} } });
  for (const problem of problems)
    logs.fatal(`Atrium cannot start with this configuration: ${problem}`, 'Atrium');
}

async function listen(app: NestExpressApplication, { host, port }: AtriumConfig): Promise<void> {
  await (host === undefined ? app.listen(port) : app.listen(port, host));
}

/** Whatever ends the process, the log is written first; SIGUSR2 has everything logged, and again as before. */
function watchOver(logs: Logs): void {
  process.on('uncaughtException', (error) => {
    logs.fatal(error, 'Crash');
    process.exit(1);
  });
  process.on('exit', () => logs.flushSync());
  process.on('SIGUSR2', () => {
    const everything = logs.levels.toggleDebug();
    logs.warn(everything ? 'Everything is logged' : 'As much is logged as before', 'Log');
  });
}

/** Not ready, a grace, sockets closed, requests finished, the database let go; the second signal ends at once. */
function stopOnSignal(starting: Promise<Running>, logs: Logs, limitMs: number): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals): Promise<void> => {
    if (stopping) process.exit(130);
    stopping = true;
    const logger = new Logger('Shutdown');
    logger.log(`Stopping on ${signal}`);
    try {
      // A start waits for ten minutes, for migrations or for who applies them; whoever stops it has less time.
      const started = await Promise.race([starting, delay(limitMs, undefined, { ref: false })]);
      if (started) await drain(started);
      else logger.warn(`Was still starting after ${limitMs} ms: a migration under way is taken back`);
      logger.log('Stopped');
      await logs.end();
      process.exit(0);
    } catch (error) {
      logger.error(`Could not stop cleanly on ${signal}`, error);
      process.exit(1);
    }
  };
  process.on('SIGTERM', (signal) => void stop(signal));
  process.on('SIGINT', (signal) => void stop(signal));
}

async function drain({ app, config, postgres, connections }: Running): Promise<void> {
  const { drainGraceMs, drainTimeoutMs } = config.http;
  const logger = new Logger('Shutdown');
  const lifecycle = app.get(Lifecycle);
  lifecycle.drain();
  if (drainGraceMs > 0) await delay(drainGraceMs);
  const server = app.getHttpServer();
  lifecycle.close(drainTimeoutMs);
  const patience = setTimeout(() => {
    logger.warn(`What is not answered after ${drainTimeoutMs} ms is cut`);
    server.closeAllConnections();
  }, drainTimeoutMs).unref();
  // What does not end then never would.
  const last = setTimeout(() => {
    logger.error('Could not stop in time');
    process.exit(1);
  }, drainTimeoutMs + LAST_MS).unref();
  // A connection that was kept alive for a next request is idle once the one under way is answered.
  const idle = setInterval(() => {
    server.closeIdleConnections();
    for (const socket of connections) if (socket.bytesRead === 0) socket.destroy();
  }, IDLE_CHECK_MS).unref();
  await app.close();
  for (const timer of [patience, last, idle]) clearTimeout(timer);
  await postgres?.stop();
}

function greet({ app, config: { apiDocs, environment } }: Running): void {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const url = `http://localhost:${port}`;
  if (environment === 'production') {
    new Logger('Atrium').log(`Atrium serves ${url}`);
    return;
  }
  log(`Atrium serves ${url}`);
  if (apiDocs) log(`The reference is at ${url}/docs`);
  log('A first request, to copy:\n');
  log(
    `curl -X POST ${url}/v1/auth/register -H 'Content-Type: application/json' \\\n` +
      `  -d '{"email":"ada@example.com","password":"correct horse battery"}'\n`,
  );
}

function log(line: string): void {
  process.stdout.write(`${line}\n`);
}
