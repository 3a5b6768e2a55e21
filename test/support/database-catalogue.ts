import { ask } from './database-embedded.js';

/** Everything a migration can make, one line each, as PostgreSQL itself describes it; its own history left out. */
const CATALOGUE = `
  WITH own AS (
    SELECT c.oid, c.relname, c.relkind, c.reloptions, c.relpersistence, c.relrowsecurity, n.nspname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND c.relname !~ '^migrations(_|$)'
  )
  SELECT line FROM (
    SELECT format('schema %s', nspname) AS line FROM pg_namespace
      WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
    UNION ALL SELECT format('extension %s', extname) FROM pg_extension
    UNION ALL SELECT format('relation %s.%s %s %s %s %s', nspname, relname, relkind, relpersistence, relrowsecurity, reloptions)
      FROM own
    UNION ALL SELECT format('column %s.%s %s not null %s default %s generated %s identity %s collation %s', own.relname,
        a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid),
        a.attgenerated, a.attidentity, a.attcollation::regcollation)
      FROM own JOIN pg_attribute a ON a.attrelid = own.oid AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
    UNION ALL SELECT format('constraint %s.%s %s', own.relname, conname, pg_get_constraintdef(k.oid))
      FROM pg_constraint k JOIN own ON own.oid = conrelid
    UNION ALL SELECT format('index %s', pg_get_indexdef(oid)) FROM own WHERE relkind IN ('i', 'I')
    UNION ALL SELECT format('view %s %s', relname, pg_get_viewdef(oid)) FROM own WHERE relkind IN ('v', 'm')
    UNION ALL SELECT format('trigger %s', pg_get_triggerdef(t.oid))
      FROM pg_trigger t JOIN own ON own.oid = tgrelid WHERE NOT tgisinternal
    UNION ALL SELECT format('function %s', pg_get_functiondef(p.oid))
      FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
      WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND p.prokind IN ('f', 'p')
        AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')
    UNION ALL SELECT format('type %s %s %s', t.typname, t.typtype,
        (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))
      FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
      WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND t.typtype IN ('e', 'd', 'r')
  ) lines ORDER BY line`;

/** What the database's schema is, comparable with `toEqual`. */
export async function catalogue(url: string): Promise<string[]> {
  return (await ask<{ line: string }>(url, CATALOGUE)).map(({ line }) => line);
}
