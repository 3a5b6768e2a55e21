import { type Attributes, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_HTTP_ROUTE,
  ATTR_NETWORK_PROTOCOL_VERSION,
  ATTR_URL_SCHEME,
} from '@opentelemetry/semantic-conventions';
import type { Application } from 'express';
import type { RequestContext } from '../logging/request-context.js';
import { type RequestTraced, statusOf } from '../logging/request-log.js';
import { contextOf } from './propagation.js';
import type { Recorder } from './recorder.js';
import { followed } from './sampling.js';

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

type TrustProxy = (address: string | undefined, hop: number) => boolean;

/**
 * A span for each request, which says of it what the log says: ids that were checked, the pattern of the route. It is
 * part of the trace that the caller names (W3C Trace Context).
 * @param followsParents whether a proxy that is trusted decides for its requests what is recorded
 */
export function requestSpans(recorder: Recorder, followsParents: boolean): RequestTraced {
  return (known, request, response, next) => {
    const named = contextOf(request.headers);
    const trusted = followsParents && isTrusted(request.app, request.socket.remoteAddress);
    const method = METHODS.has(request.method) ? request.method : '_OTHER';
    const attributes = {
      [ATTR_HTTP_REQUEST_METHOD]: method,
      [ATTR_URL_SCHEME]: request.protocol,
      [ATTR_NETWORK_PROTOCOL_VERSION]: request.httpVersion,
    };
    const options = { kind: SpanKind.SERVER, attributes, startTime: known.startedAt };
    recorder.enter(method, options, trusted ? followed(named) : named, (span) => {
      known.joinTrace(span.spanContext().traceId);
      if (span.isRecording())
        response.once('close', () => {
          const status = statusOf(response);
          span.setAttributes(whatItWas(known, status));
          if (known.route !== undefined) span.updateName(`${method} ${known.route}`);
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        });
      next();
    });
  };
}

/** Whether whoever is connected is one of the proxies in front. */
const isTrusted = (app: Application, address: string | undefined): boolean =>
  (app.get('trust proxy fn') as TrustProxy)(address, 0);

function whatItWas(known: RequestContext, status: number): Attributes {
  const { requestId, principal, workspaceId, route } = known.logFields();
  return {
    [ATTR_HTTP_RESPONSE_STATUS_CODE]: status,
    [ATTR_HTTP_ROUTE]: route,
    'atrium.request_id': requestId,
    'atrium.principal': principal,
    'atrium.workspace_id': workspaceId,
    ...(status >= 500 && { [ATTR_ERROR_TYPE]: String(status) }),
  };
}
