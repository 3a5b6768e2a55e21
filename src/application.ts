import { type DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { AGENTS_TAKE_JSON_PATCH } from './agents/agent-patches.js';
import { AppModule } from './app.module.js';
import { tellMethods } from './common/allowed-methods.js';
import { answerBrokenRequests, requireHost } from './common/client-error.js';
import { OverloadWatch, refuseOverload } from './common/overload.js';
import { jsonBody } from './common/body.js';
import { formBody } from './common/form-body.js';
import { AtriumHttpAdapter } from './common/http-adapter.js';
import { Lifecycle } from './common/lifecycle.js';
import { ProblemFilter } from './common/problem.filter.js';
import { requestId } from './common/request-id.js';
import { securityHeaders } from './common/security-headers.js';
import { ValidationPipe } from './common/validation.pipe.js';
import type { AtriumConfig } from './config/config.js';
import { databaseProblem } from './database/database-problem.js';
import { IMPORT_BODIES } from './items/item-import-bodies.js';
import { TAKES_JSON_PATCH } from './items/item-patches.js';
import { logsOf } from './observability/logging/logs.js';
import { logBrokenRequest, requestLog, type RequestTraced } from './observability/logging/request-log.js';
import { Metrics } from './observability/metrics/metrics.js';
import { TAKES_FORM } from './oauth-server/oauth-request.js';
import { demandUpgrade } from './rooms/handshake.js';
import { RoomsAdapter } from './rooms/rooms.adapter.js';
import { serveReference } from './reference.js';

/** What a browser's script may read of an answer, besides the safelisted. */
const EXPOSED_HEADERS = [
  'ETag',
  'Idempotency-Replayed',
  'Link',
  'Location',
  'RateLimit',
  'RateLimit-Policy',
  'Retry-After',
  'Stream-Cursor',
  'Upload-Complete',
  'Upload-Limit',
  'Upload-Offset',
  'X-Request-Id',
];

/**
 * Builds the application, ready to listen. `config.database.url` must be set by now.
 * The caller closes it.
 * @param root what it consists of: Atrium, or Atrium with more around it
 */
export async function createApplication(
  config: AtriumConfig,
  root: DynamicModule = AppModule.register(config),
): Promise<NestExpressApplication> {
  const logs = logsOf(config);
  const traced = await recordRequests(config);
  const adapter = new AtriumHttpAdapter(config.http.headersTimeoutMs);
  const app = await NestFactory.create<NestExpressApplication>(root, adapter, {
    bodyParser: false,
    logger: logs,
    // A failed start is the caller's to clean up after.
    abortOnError: false,
  });
  app.disable('x-powered-by');
  app.disable('etag'); // versions are the only entity tags
  app.set('trust proxy', config.http.trustedProxies);
  const lifecycle = app.get(Lifecycle);
  app.use((_: Request, response: Response, next: NextFunction) => {
    if (lifecycle.draining) response.setHeader('Connection', 'close');
    next();
  });
  app.use(requestId);
  const { http: counted } = app.get(Metrics);
  app.use(requestLog(logs, { traced, ended: counted && ((...ended) => counted.ended(...ended)) }));
  app.use(securityHeaders());
  app.use(requireHost);
  const { overloadDelayMs } = config.http;
  if (overloadDelayMs > 0) {
    const watch = new OverloadWatch(adapter.paced, overloadDelayMs);
    app.use(refuseOverload(watch, () => counted?.wasShed()));
    app.getHttpServer().once('close', () => watch.stop());
  }
  answerBrokenRequests(app.getHttpServer(), (id, status) => logBrokenRequest(logs, id, status));
  app.use(tellMethods);
  app.use(demandUpgrade);
  const open = config.http.corsOrigins.includes('*');
  app.enableCors({
    origin: open ? '*' : [...config.http.corsOrigins],
    // Cookies go with requests of listed web apps; a wildcard is for callers with a token.
    credentials: !open && config.http.corsOrigins.length > 0,
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: 600,
  });
  const jsonPatches = [TAKES_JSON_PATCH, AGENTS_TAKE_JSON_PATCH];
  const { bodyLimitBytes, bodyTimeoutMs } = config.http;
  const json = jsonBody(bodyLimitBytes, bodyTimeoutMs, jsonPatches, IMPORT_BODIES);
  app.use(formBody(TAKES_FORM, bodyTimeoutMs, json));
  app.useWebSocketAdapter(new RoomsAdapter(app));
  app.useGlobalPipes(new ValidationPipe());
  app.useGlobalFilters(new ProblemFilter(databaseProblem));
  if (config.apiDocs) serveReference(app);
  return app;
}

/** Begins to record traces, before there is anything to record. The SDK is loaded only for that. */
async function recordRequests({ tracing }: AtriumConfig): Promise<RequestTraced | undefined> {
  if (!tracing) return undefined;
  const { startRecording } = await import('./observability/tracing/recording.js');
  const { requestSpans } = await import('./observability/tracing/request-spans.js');
  return requestSpans(startRecording(tracing), tracing.followsParents);
}
