import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client } from 'pg';
import type { TestDatabase } from '../support/database.js';
import { http } from '../support/http.js';
import { logged } from '../support/log-lines.js';
import { compiledPath, root } from '../support/native/paths.mjs';
import type { OtlpReceiver, ReceivedSpan } from '../support/otlp.js';
import { type AtriumProcess, spawnAtrium } from '../support/process.js';
import { until } from '../support/until.js';
import { testVariables } from '../support/variables.js';

/** In a header of the receiver. */
export const SECRET = 'planted-in-a-header-of-the-receiver';

/** What an item says that cannot be written. */
export const FAULT = 'planted-fault';
const FAULTS = `
  CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF row_to_json(NEW)::text LIKE '%${FAULT}%' THEN RAISE EXCEPTION '${FAULT}'; END IF; RETURN NEW; END $$;
  CREATE TRIGGER fault BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION fault();
  CREATE TRIGGER fault BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION fault()`;

/** Two instances that record every trace, on a database in which some writes fail. */
export async function startTraced(database: TestDatabase, receiver: OtlpReceiver): Promise<AtriumProcess[]> {
  const client = new Client({ connectionString: database.url });
  await client.connect();
  await client.query(FAULTS);
  await client.end();
  const variables = {
    ...testVariables(database.url),
    LOG_LEVEL: 'log',
    MANAGEMENT_PORT: '0',
    DRAIN_TIMEOUT_MS: '1000',
    OTEL_EXPORTER_OTLP_ENDPOINT: `${receiver.url}/`,
    OTEL_EXPORTER_OTLP_TIMEOUT: '60000',
    OTEL_EXPORTER_OTLP_HEADERS: `x-key=${SECRET}%21`,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=staging',
    OTEL_SERVICE_NAME: 'the service under test',
  };
  const main = compiledPath(join(root, 'src/main.ts'));
  const processes = await Promise.all([spawnAtrium(variables, main), spawnAtrium(variables, main)]);
  return processes;
}

/** Waits until an instance knows of the other. */
export async function hearsOthers(atrium: AtriumProcess): Promise<void> {
  const { msg } = await logged(atrium, 'the management port', ({ module }) => module === 'Management');
  const url = `http://${msg.replace('Management at ', '')}`;
  await until('the instances know of each other', async () => {
    const { text } = await http({ url }).get('/metrics');
    return /^atrium_bus_peers 1$/m.test(text);
  });
}

/** A caller's place in a trace of its own. */
export const place = (flags = '01') => {
  const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
  return { traceId, spanId, traceparent: `00-${traceId}-${spanId}-${flags}` };
};

/** A span, what it brought about, and so on. */
export type Path = [ReceivedSpan, ReceivedSpan, ReceivedSpan, ...ReceivedSpan[]];

export const named = (name: string) => (span: ReceivedSpan) => span.name === name;
