import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Which types of items agents work on, and how far the work on each item is. */
export class Leases1765000000000 implements MigrationInterface {
  readonly name = 'Leases1765000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE lease_types (
        workspace_id uuid NOT NULL
          CONSTRAINT lease_types_workspace_id_fkey REFERENCES workspaces (id) ON DELETE CASCADE,
        type text COLLATE "C" NOT NULL,
        concurrency integer,
        attempts integer NOT NULL DEFAULT 5,
        claims bigint NOT NULL DEFAULT 0,
        CONSTRAINT lease_types_pkey PRIMARY KEY (workspace_id, type)
      )`);
    await runner.query(`
      CREATE TABLE lease_states (
        item_id uuid CONSTRAINT lease_states_pkey PRIMARY KEY,
        workspace_id uuid NOT NULL,
        type text COLLATE "C" NOT NULL,
        priority integer NOT NULL DEFAULT 0,
        labels jsonb NOT NULL DEFAULT '{}',
        state text NOT NULL DEFAULT 'ready',
        due_at timestamptz NOT NULL DEFAULT now(),
        attempts integer NOT NULL DEFAULT 0,
        lease_id uuid,
        agent_id uuid,
        fence integer,
        reason text,
        changed_at timestamptz NOT NULL DEFAULT now(),
        CONSTRAINT lease_states_state_check CHECK (state IN ('ready', 'leased', 'done', 'dead'))
      )`);
    await runner.query(`
      CREATE INDEX lease_states_claim_idx ON lease_states (workspace_id, type, priority DESC, due_at, item_id)
      WHERE state IN ('ready', 'leased')`);
    await runner.query(
      `CREATE UNIQUE INDEX lease_states_lease_id_key ON lease_states (lease_id) WHERE state = 'leased'`,
    );
    await runner.query(
      `CREATE INDEX lease_states_agent_id_idx ON lease_states (agent_id) WHERE state = 'leased'`,
    );
    await runner.query(`
      CREATE INDEX lease_states_leased_idx ON lease_states (workspace_id, type, due_at) WHERE state = 'leased'`);
    await runner.query(
      `CREATE INDEX lease_states_dead_idx ON lease_states (workspace_id, item_id) WHERE state = 'dead'`,
    );
    await this.functions(runner);
    await runner.query(`
      CREATE TRIGGER items_lease_insert AFTER INSERT ON items REFERENCING NEW TABLE AS added
      FOR EACH STATEMENT EXECUTE FUNCTION lease_new_items()`);
    await runner.query(`
      CREATE TRIGGER items_lease_wish BEFORE UPDATE OF data ON items
      FOR EACH ROW WHEN (OLD.data->'lease' IS DISTINCT FROM NEW.data->'lease')
      EXECUTE FUNCTION lease_changed_wish()`);
    await runner.query(`
      CREATE TRIGGER items_lease_type AFTER UPDATE OF type ON items
      FOR EACH ROW WHEN (OLD.type IS DISTINCT FROM NEW.type) EXECUTE FUNCTION lease_changed_type()`);
    await runner.query(`
      CREATE TRIGGER items_lease_delete BEFORE DELETE ON items
      FOR EACH ROW EXECUTE FUNCTION lease_deleted_item()`);
  }

  private async functions(runner: QueryRunner): Promise<void> {
    // What an item says of the work on it is its writer's own text: what makes no sense counts as not said.
    await runner.query(`
      CREATE FUNCTION lease_wish(data jsonb, OUT priority integer, OUT labels jsonb, OUT due_at timestamptz)
      LANGUAGE plpgsql STABLE AS $$
      DECLARE
        wish jsonb := data->'lease';
      BEGIN
        priority := 0;
        labels := '{}';
        due_at := now();
        IF jsonb_typeof(wish) IS DISTINCT FROM 'object' THEN RETURN; END IF;
        IF jsonb_typeof(wish->'priority') = 'number' THEN
          priority := round(least(greatest((wish->>'priority')::numeric, -1000), 1000));
        END IF;
        IF jsonb_typeof(wish->'labels') = 'object' THEN labels := wish->'labels'; END IF;
        IF wish->>'notBefore' ~ '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d(:\\d\\d(\\.\\d+)?)?(Z|[+-]\\d\\d:\\d\\d)$' THEN
          BEGIN
            due_at := greatest(now(), (wish->>'notBefore')::timestamptz);
          EXCEPTION WHEN data_exception THEN NULL;
          END;
        END IF;
      END $$`);
    // At the end of the writer's statement, which holds the counter of the stream by then: so does whoever makes a
    // type one that agents work on. One of the two sees the other.
    await runner.query(`
      CREATE FUNCTION lease_new_items() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO lease_states AS l (item_id, workspace_id, type, priority, labels, due_at)
        SELECT a.id, a.workspace_id, a.type, w.priority, w.labels, w.due_at
        FROM added a
        JOIN lease_types t ON t.workspace_id = a.workspace_id AND t.type = a.type
        CROSS JOIN LATERAL lease_wish(a.data) w
        ON CONFLICT (item_id) DO UPDATE SET type = excluded.type, priority = excluded.priority,
          labels = excluded.labels, due_at = excluded.due_at, state = 'ready', attempts = 0;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE FUNCTION lease_changed_wish() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        UPDATE lease_states l SET priority = w.priority, labels = w.labels,
          due_at = CASE WHEN l.state = 'ready'
            AND OLD.data->'lease'->'notBefore' IS DISTINCT FROM NEW.data->'lease'->'notBefore'
            THEN w.due_at ELSE l.due_at END
        FROM lease_wish(NEW.data) w WHERE l.item_id = NEW.id;
        RETURN NEW;
      END $$`);
    await runner.query(`
      CREATE FUNCTION lease_changed_type() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF EXISTS (SELECT FROM lease_types t WHERE t.workspace_id = NEW.workspace_id AND t.type = NEW.type) THEN
          INSERT INTO lease_states AS l (item_id, workspace_id, type, priority, labels, due_at)
          SELECT NEW.id, NEW.workspace_id, NEW.type, w.priority, w.labels, w.due_at FROM lease_wish(NEW.data) w
          ON CONFLICT (item_id) DO UPDATE SET type = excluded.type;
        ELSE
          DELETE FROM lease_states l WHERE l.item_id = NEW.id;
        END IF;
        RETURN NULL;
      END $$`);
    await runner.query(`
      CREATE FUNCTION lease_deleted_item() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        DELETE FROM lease_states l WHERE l.item_id = OLD.id;
        RETURN OLD;
      END $$`);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const trigger of ['insert', 'wish', 'type', 'delete'])
      await runner.query(`DROP TRIGGER items_lease_${trigger} ON items`);
    for (const name of ['new_items', 'changed_wish', 'changed_type', 'deleted_item'])
      await runner.query(`DROP FUNCTION lease_${name}()`);
    await runner.query(`DROP FUNCTION lease_wish(jsonb)`);
    await runner.query(`DROP TABLE lease_states`);
    await runner.query(`DROP TABLE lease_types`);
  }
}
