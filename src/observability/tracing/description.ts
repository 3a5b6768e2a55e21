import { type Attributes, SpanKind } from '@opentelemetry/api';
import {
  ATTR_DB_QUERY_SUMMARY,
  ATTR_DB_QUERY_TEXT,
  ATTR_DB_SYSTEM_NAME,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_SCHEME,
  DB_SYSTEM_NAME_VALUE_POSTGRESQL,
} from '@opentelemetry/semantic-conventions';
import type { Delivery, Traced } from '../../common/traces.js';

/** What a span is called and says, by OpenTelemetry's conventions. */
export interface Description {
  readonly name: string;
  readonly kind: SpanKind;
  readonly attributes: Attributes;
}

/** Of texts of statements. */
const MOST_CHARACTERS = 512;

/** A span for a piece of work. */
export function describe(traced: Traced): Description {
  switch (traced.kind) {
    case 'statement':
      return describeStatement(traced.name, traced.text);
    case 'transaction':
      return { name: 'transaction', kind: SpanKind.INTERNAL, attributes: {} };
    case 'write':
      return {
        name: `write ${traced.statement}`,
        kind: SpanKind.INTERNAL,
        attributes: { 'atrium.statement': traced.statement },
      };
    case 'mail':
      return { name: 'send mail', kind: SpanKind.CLIENT, attributes: {} };
    case 'call':
      return describeCall(traced.method, traced.url);
  }
}

/** A named statement is told by its name, which is in the source; of others, the beginning of their text is. */
function describeStatement(name: string | undefined, text: string): Description {
  const query = name === undefined ? text.trim().slice(0, MOST_CHARACTERS) : undefined;
  const summary = name ?? /^\w+/.exec(query ?? '')?.[0].toUpperCase() ?? 'statement';
  return {
    name: summary,
    kind: SpanKind.CLIENT,
    attributes: {
      [ATTR_DB_SYSTEM_NAME]: DB_SYSTEM_NAME_VALUE_POSTGRESQL,
      [ATTR_DB_QUERY_SUMMARY]: summary,
      ...(query !== undefined && { [ATTR_DB_QUERY_TEXT]: query }),
    },
  };
}

/** Whom is asked, and not for what: an address may hold a code. */
function describeCall(method: string, { protocol, hostname, port }: URL): Description {
  return {
    name: method,
    kind: SpanKind.CLIENT,
    attributes: {
      [ATTR_HTTP_REQUEST_METHOD]: method,
      [ATTR_URL_SCHEME]: protocol.slice(0, -1),
      [ATTR_SERVER_ADDRESS]: hostname,
      [ATTR_SERVER_PORT]: Number(port) || (protocol === 'https:' ? 443 : 80),
    },
  };
}

/** Messaging, of which the conventions are not final: hence by name. */
export function describeDelivery({ id, type, subject, subscribers, lagMs }: Delivery): Description {
  return {
    name: 'deliver',
    kind: SpanKind.PRODUCER,
    attributes: {
      'messaging.system': 'atrium',
      'messaging.operation.name': 'deliver',
      'messaging.operation.type': 'send',
      'messaging.destination.template': `${subject.slice(0, subject.indexOf('/'))}/:id`,
      'messaging.destination.name': subject,
      'atrium.subscribers': subscribers,
      ...(id !== undefined && { 'messaging.message.id': id }),
      ...(type !== undefined && { 'atrium.event.type': type }),
      ...(lagMs !== undefined && { 'atrium.lag_ms': lagMs }),
    },
  };
}
