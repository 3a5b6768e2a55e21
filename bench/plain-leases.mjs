// Workers who claim items by hand, each with a connection of its own.

/** The whole of a claim, with the item that it is about, by one statement; it is told to nobody. */
const CLAIM = {
  name: 'claim',
  text: `UPDATE lease_states l SET state = 'leased', lease_id = gen_random_uuid(), agent_id = $1, fence = i.version,
      attempts = attempts + 1, due_at = now() + $4::int * interval '1 second', changed_at = now()
    FROM (
      SELECT item_id FROM lease_states
      WHERE workspace_id = $2 AND type = $3 AND state IN ('ready', 'leased') AND due_at <= now()
      ORDER BY priority DESC, due_at, item_id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) next JOIN items i ON i.id = next.item_id
    WHERE l.item_id = next.item_id
    RETURNING l.lease_id AS id, l.attempts, l.due_at, i.id AS item, i.type, i.title, i.data, i.version`,
};
/** The same as a transaction: the next one is locked, then written. */
const NEXT = {
  name: 'next',
  text: `SELECT i.id AS item, i.type, i.title, i.data, i.version FROM lease_states l JOIN items i ON i.id = l.item_id
    WHERE l.workspace_id = $1 AND l.type = $2 AND l.state IN ('ready', 'leased') AND l.due_at <= now()
    ORDER BY l.priority DESC, l.due_at, l.item_id LIMIT 1 FOR UPDATE OF l SKIP LOCKED`,
};
const TAKE = {
  name: 'take',
  text: `UPDATE lease_states SET state = 'leased', lease_id = gen_random_uuid(), agent_id = $1, fence = $3,
      attempts = attempts + 1, due_at = now() + $4::int * interval '1 second', changed_at = now()
    WHERE item_id = $2 RETURNING lease_id AS id, attempts, due_at`,
};
/** Whether the agent may, and what others are told: as rows with ids from a sequence, without the order of a stream. */
const MAY = {
  name: 'may',
  text: `SELECT role FROM memberships WHERE workspace_id = $1 AND principal_id = $2`,
};
const TELL = {
  name: 'tell',
  text: `INSERT INTO events (stream_id, seq, id, type, subject, principal_id, data)
    VALUES ($1, nextval('bench_told'), gen_random_uuid(), $2, $3, $4, $5::jsonb)`,
};
const COMPLETE = {
  name: 'complete',
  text: `UPDATE lease_states SET state = 'done', changed_at = now()
    WHERE lease_id = $1 AND state = 'leased' AND agent_id = $2 AND due_at > clock_timestamp() RETURNING item_id`,
};

/**
 * @param agentId for whom it claims
 * @param work of which `type` it takes, in which workspace, and for how long
 */
export function plainWorker(connection, agentId, { workspaceId, type, ttlSeconds }) {
  const query = async (statement, ...values) => (await connection.query({ ...statement, values })).rows;
  const may = async () => {
    const [member] = await query(MAY, workspaceId, agentId);
    if (member?.role !== 'agent') throw new Error('The agent may not: the run is void');
  };
  const tell = (event, item, data) =>
    query(
      TELL,
      workspaceId,
      event,
      `items/${item}`,
      agentId,
      JSON.stringify({ itemId: item, agentId, ...data }),
    );
  const take = async () => {
    const [found] = await query(NEXT, workspaceId, type);
    if (!found) throw new Error('There was nothing to claim: the run is void');
    const [lease] = await query(TAKE, agentId, found.item, found.version, ttlSeconds);
    return { ...found, ...lease };
  };
  const complete = async ({ id }) => {
    const [done] = await query(COMPLETE, id, agentId);
    if (!done) throw new Error('A claim was lost: the run is void');
  };
  const inTransaction = async (work) => {
    await connection.query('BEGIN');
    const answer = await work();
    await connection.query('COMMIT');
    return answer;
  };
  return {
    /** @returns nothing if there is nothing */
    claim: async () => (await query(CLAIM, agentId, workspaceId, type, ttlSeconds))[0],
    claimInTransaction: () => inTransaction(take),
    claimAndTell: () =>
      inTransaction(async () => {
        await may();
        const lease = await take();
        await tell('lease.claimed', lease.item, { id: lease.id, attempts: lease.attempts });
        return lease;
      }),
    complete,
    completeAndTell: (lease) =>
      inTransaction(async () => {
        await may();
        await complete(lease);
        await tell('lease.completed', lease.item, { id: lease.id });
      }),
  };
}
