import type { DataSource } from 'typeorm';
import { isId } from '../common/identifiers.js';
import { CliError } from './cli-error.js';
import type { Page } from './directory.js';
import type { Row } from './output.js';

const STREAM = `s.id, w.name AS workspace, s.head, s.min_seq AS "minSeq", s.access_seq AS "accessSeq",
  s.ended_at AS "endedAt"`;
const STREAMS = 'streams s LEFT JOIN workspaces w ON w.id = s.id';

const LIST_STREAMS = `SELECT ${STREAM} FROM ${STREAMS} WHERE $1::uuid IS NULL OR s.id > $1 ORDER BY s.id LIMIT $2`;
const READ_STREAM = `SELECT ${STREAM}, (SELECT max(e.time) FROM events e WHERE e.stream_id = s.id AND e.seq = s.head) AS "lastEventAt"
  FROM ${STREAMS} WHERE s.id = $1`;
/** What the names of queues begin with that pg-boss keeps for itself. */
const INTERNAL = '__pgboss__';
const COUNT_QUEUES = `SELECT 'jobs' AS of, j.name AS queue,
  count(*) FILTER (WHERE j.state IN ('created', 'retry') AND j.start_after <= now())::int AS ready,
  count(*) FILTER (WHERE j.state IN ('created', 'retry') AND j.start_after > now())::int AS later,
  count(*) FILTER (WHERE j.state = 'active')::int AS active,
  count(*) FILTER (WHERE j.state = 'failed')::int AS dead
  FROM jobs.job j WHERE NOT starts_with(j.name, '${INTERNAL}') GROUP BY j.name
  UNION ALL
  (SELECT 'leases', l.workspace_id || ' ' || l.type,
  count(*) FILTER (WHERE l.state = 'ready' AND l.due_at <= now())::int,
  count(*) FILTER (WHERE l.state = 'ready' AND l.due_at > now())::int,
  count(*) FILTER (WHERE l.state = 'leased')::int,
  count(*) FILTER (WHERE l.state = 'dead')::int
  FROM lease_states l GROUP BY l.workspace_id, l.type ORDER BY 3 DESC, 2 LIMIT $1)`;
const FAILED_JOBS = `SELECT id, name AS queue, completed_on AS "failedAt", retry_count AS retries,
  left(COALESCE(output ->> 'message', output::text), 500) AS reason
  FROM jobs.job WHERE state = 'failed' ORDER BY completed_on DESC LIMIT $1`;

/** How much has been said, and how much work waits. Only reads. */
export class Overview {
  constructor(private readonly database: DataSource) {}

  /** Of every workspace. */
  streams({ limit, after }: Page): Promise<Row[]> {
    return this.database.query<Row[]>(LIST_STREAMS, [after ?? null, limit]);
  }

  /** @throws {CliError} if there is none */
  async stream(id: string): Promise<Row> {
    const rows = isId(id) ? await this.database.query<Row[]>(READ_STREAM, [id]) : [];
    if (rows.length === 0) throw new CliError(`There is no stream ${id}: streams list`);
    return rows[0];
  }

  /** Jobs of Atrium itself, by queue, and work that agents lease, by type. */
  queues(limit: number): Promise<Row[]> {
    return this.database.query<Row[]>(COUNT_QUEUES, [limit]);
  }

  /** Jobs that failed for good, the latest first. */
  failedJobs(limit: number): Promise<Row[]> {
    return this.database.query<Row[]>(FAILED_JOBS, [limit]);
  }
}
