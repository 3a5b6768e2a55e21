import type { MigrationInterface, QueryRunner } from 'typeorm';

const LANGUAGES = [
  'simple',
  ...['arabic', 'armenian', 'basque', 'catalan', 'danish', 'dutch', 'english', 'finnish', 'french', 'german'],
  ...['greek', 'hindi', 'hungarian', 'indonesian', 'irish', 'italian', 'lithuanian', 'nepali', 'norwegian'],
  ...['portuguese', 'romanian', 'russian', 'serbian', 'spanish', 'swedish', 'tamil', 'turkish', 'yiddish'],
]
  .map((language) => `'${language}'`)
  .join(', ');

/** Filters, orders and full text search of items, in each workspace's language. */
export class ItemLists1764600000000 implements MigrationInterface {
  readonly name = 'ItemLists1764600000000';

  async up(runner: QueryRunner): Promise<void> {
    // A list's order is the same on every server, and an index of it serves prefixes.
    await runner.query(`
      ALTER TABLE items
        ALTER COLUMN type TYPE text COLLATE "C",
        ALTER COLUMN title TYPE text COLLATE "C",
        ADD COLUMN search tsvector`);
    // While the language changes, items are indexed by one of several; the newest is the last.
    const language = `
      ALTER TABLE workspaces
        ADD COLUMN language text NOT NULL DEFAULT 'simple'
          CONSTRAINT workspaces_language_check CHECK (language IN (${LANGUAGES})),
        ADD COLUMN search_languages text[] NOT NULL DEFAULT '{simple}',
        ADD COLUMN language_changed_at timestamptz NOT NULL DEFAULT now()`;
    await runner.query(language);
    await runner.query(`
      CREATE INDEX workspaces_changing_language_idx ON workspaces (id) WHERE cardinality(search_languages) > 1`);

    await this.functions(runner);

    await runner.query(`UPDATE items SET search = item_search(workspace_id, 'simple', title, data)`);
    await runner.query(`CREATE INDEX items_workspace_id_type_id_idx ON items (workspace_id, type, id)`);
    await runner.query(
      `CREATE INDEX items_workspace_id_updated_at_id_idx ON items (workspace_id, updated_at, id)`,
    );
    await runner.query(`CREATE INDEX items_data_idx ON items USING gin (data jsonb_path_ops)`);
    await runner.query(`CREATE INDEX items_search_idx ON items USING gin (search)`);
    await runner.query(`
      CREATE TRIGGER items_search_insert BEFORE INSERT ON items
      FOR EACH ROW EXECUTE FUNCTION index_item_search()`);
    await runner.query(`
      CREATE TRIGGER items_search_update BEFORE UPDATE OF title, data ON items
      FOR EACH ROW WHEN (OLD.title IS DISTINCT FROM NEW.title OR OLD.data IS DISTINCT FROM NEW.data)
      EXECUTE FUNCTION index_item_search()`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TRIGGER items_search_update ON items`);
    await runner.query(`DROP TRIGGER items_search_insert ON items`);
    for (const index of [
      'items_search_idx',
      'items_data_idx',
      'items_workspace_id_updated_at_id_idx',
      'items_workspace_id_type_id_idx',
      'workspaces_changing_language_idx',
    ])
      await runner.query(`DROP INDEX ${index}`);
    await runner.query(`DROP FUNCTION index_item_search()`);
    await runner.query(`DROP FUNCTION item_search(uuid, text, text, jsonb)`);
    await runner.query(`DROP FUNCTION jsonb_texts(jsonb)`);
    await runner.query(`DROP FUNCTION jsonb_sort_key(jsonb)`);
    await runner.query(`DROP FUNCTION jsonb_time(jsonb)`);
    await runner.query(`
      ALTER TABLE workspaces DROP COLUMN language_changed_at, DROP COLUMN search_languages, DROP COLUMN language`);
    await runner.query(`
      ALTER TABLE items
        DROP COLUMN search,
        ALTER COLUMN title TYPE text COLLATE "default",
        ALTER COLUMN type TYPE text COLLATE "default"`);
  }

  private async functions(runner: QueryRunner): Promise<void> {
    // A text that is a time of RFC 3339, on a day that exists; else null.
    await runner.query(`
      CREATE FUNCTION jsonb_time(value jsonb) RETURNS timestamptz
      LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
      DECLARE
        t text := value #>> '{}';
      BEGIN
        IF jsonb_typeof(value) IS DISTINCT FROM 'string' OR length(t) > 40 OR t !~
          '^[1-9]\\d{3}-(0[1-9]|1[0-2])-(0[1-9]|[12]\\d|3[01])[Tt]([01]\\d|2[0-3]):[0-5]\\d:[0-5]\\d(\\.\\d{1,9})?([Zz]|[+-](0\\d|1[0-4]):[0-5]\\d)$'
        THEN
          RETURN NULL;
        END IF;
        IF substr(t, 9, 2)::int > 28 AND substr(t, 9, 2)::int > extract(day FROM
          make_date(substr(t, 1, 4)::int, substr(t, 6, 2)::int, 1) + interval '1 month' - interval '1 day')
        THEN
          RETURN NULL;
        END IF;
        RETURN t::timestamptz;
      END $$`);
    // What a list is ordered by, bounded, since cursors carry it: nothing, texts, numbers, booleans.
    await runner.query(`
      CREATE FUNCTION jsonb_sort_key(value jsonb) RETURNS jsonb
      LANGUAGE sql STABLE PARALLEL SAFE AS $$
        SELECT CASE jsonb_typeof(value)
          WHEN 'string' THEN to_jsonb(left(value #>> '{}', 200))
          WHEN 'number' THEN value
          WHEN 'boolean' THEN value
          ELSE 'null'
        END
      $$`);
    await runner.query(`
      CREATE FUNCTION jsonb_texts(value jsonb) RETURNS text
      LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
        SELECT COALESCE(string_agg(t #>> '{}', ' '), '')
        FROM jsonb_path_query(value, 'strict $.** ? (@.type() == "string")') t
      $$`);
    // Of what is too much for PostgreSQL's index, the beginning. The workspace is a word too, which no text can hold.
    await runner.query(`
      CREATE FUNCTION item_search(workspace_id uuid, language text, title text, data jsonb) RETURNS tsvector
      LANGUAGE plpgsql STABLE PARALLEL SAFE AS $$
      DECLARE
        config regconfig := ('pg_catalog.' || language)::regconfig;
        words tsvector := setweight(to_tsvector(config, title), 'A')
          || array_to_tsvector(ARRAY['in ' || workspace_id::text]);
      BEGIN
        IF pg_column_size(data) <= 200000 THEN
          BEGIN
            RETURN words || setweight(jsonb_to_tsvector(config, data, '["string"]'), 'B');
          EXCEPTION WHEN program_limit_exceeded THEN
            NULL;
          END;
        END IF;
        RETURN words || setweight(to_tsvector(config, left(jsonb_texts(data), 50000)), 'B');
      END $$`);
    await runner.query(`
      CREATE FUNCTION index_item_search() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        NEW.search := item_search(NEW.workspace_id,
          (SELECT language FROM workspaces WHERE id = NEW.workspace_id), NEW.title, NEW.data);
        RETURN NEW;
      END $$`);
  }
}
