-- Theme: look-ups by key.

SELECT venice.create_store('features', 'user_id bigint', 'clicks bigint, name text, embedding real[]');
SELECT venice.push('features', $$SELECT g, g * 10, 'user ' || g, ARRAY[g, g + 0.5]::real[] FROM generate_series(1, 100) g$$);

-- get gives the row of a key, or none.
SELECT * FROM features.get(7);
SELECT * FROM features.get(-1);
SELECT * FROM features.get(NULL);
SELECT clicks FROM features.get(user_id => 8);

-- batch_get answers in input order, every occurrence of a key, and leaves absent keys out.
SELECT ordinality, user_id, clicks FROM features.batch_get('{3, 1000, 3, NULL, 1}');
SELECT * FROM features.batch_get('{}');
SELECT * FROM features.batch_get(NULL);
SELECT count(*) FROM features.batch_get((SELECT array_agg(g) FROM generate_series(-50, 50) g));

-- They are what the wrapper says, inlined: no function of ours stands between the planner and the scan.
EXPLAIN (COSTS off) SELECT clicks FROM features.get(7);
EXPLAIN (COSTS off) SELECT f.clicks FROM generate_series(1, 3) g, features.get(g) f;
SELECT sum(clicks) FROM generate_series(1, 3) g, features.get(g);

-- Compound keys are parallel arrays of one length.
SELECT venice.create_store('pairs', 'a integer, b text', 'v integer');
SELECT venice.push('pairs', $$VALUES (1, 'x', 1), (1, 'y', 2), (2, 'x', 3)$$);
SELECT * FROM pairs.get(1, 'y');
SELECT * FROM pairs.get(2, 'y');
SELECT * FROM pairs.batch_get('{2, 1, 1}', '{x, x, z}');
SELECT * FROM pairs.batch_get('{1, 2}', '{x}');
SELECT * FROM pairs.batch_get('{1, 2}', NULL);

-- Key types beyond numbers, and collations.
SELECT venice.create_store('by_uuid', 'id uuid', 'v integer');
SELECT venice.push('by_uuid', $$SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid, 1$$);
SELECT * FROM by_uuid.get('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
SELECT venice.create_store('by_varchar', 'id varchar(10)', 'v numeric(5,1)');
SELECT venice.push('by_varchar', $$VALUES ('one', 1.1), ('two', 2.2)$$);
SELECT * FROM by_varchar.get('two');
SELECT * FROM by_varchar.batch_get('{two,one}');

-- Parallel plans may call them.
SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT sum(f.clicks) FROM features.records r, features.get(r.user_id) f;
RESET ALL;

-- The internal functions check what the wrappers cannot get wrong.
SELECT * FROM venice_internal.get('features', 1, 2) AS r(clicks bigint);
SELECT * FROM venice_internal.get('features', 1::bigint) AS r(nosuchcolumn bigint);
SELECT * FROM venice_internal.get('features', 1::bigint) AS r(clicks integer);
SELECT * FROM venice_internal.get('features', 'x'::text) AS r(clicks bigint);
SELECT * FROM venice_internal.get(NULL, 1::bigint) AS r(clicks bigint);
SELECT * FROM venice_internal.batch_get('features', 1::bigint) AS r(ordinality bigint, clicks bigint);
SELECT venice_internal.get('features', 1::bigint);
SELECT * FROM venice_internal.batch_get('features', '{1}'::bigint[]) AS r(ordinality text, user_id bigint);

-- Of two statements that want other columns of one version, each gets its own.
SELECT * FROM venice_internal.get('features', 1::bigint) AS r(clicks bigint);
SELECT * FROM venice_internal.get('features', 1::bigint) AS r(name text);
SELECT * FROM venice_internal.get('features', 1::bigint) AS r(name text, clicks bigint);

-- Columns are found by name, with row security too, and whatever was dropped before them.
CREATE ROLE read_policy;
SELECT venice.create_store('narrowed', 'k integer', 'a integer, b text, c text');
SELECT venice.push('narrowed', $$VALUES (1, 10, 'bee', 'cee')$$);
ALTER TABLE narrowed.records DROP COLUMN a;
SELECT venice.rebuild_functions('narrowed');
ALTER TABLE narrowed.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON narrowed.records USING (true);
GRANT USAGE ON SCHEMA narrowed TO read_policy;
GRANT SELECT ON narrowed.records TO read_policy;
SET ROLE read_policy;
SELECT * FROM narrowed.get(1);
SELECT * FROM narrowed.batch_get('{1}');
RESET ROLE;
SELECT venice.drop_store('narrowed');
DROP ROLE read_policy;

-- A batch gives rows as the table has them, with NULLs in any places, and from before a column was added.
SELECT venice.create_store('holed', 'id integer', 'a boolean, b smallint, c text, d bigint, e real[], f char(3), g double precision, h numeric, i text,
    j integer, k date, l text, m boolean, n uuid, o text');
SELECT venice.push('holed', $$SELECT g, NULLIF(g & 1, 0)::boolean, NULLIF(g & 2, 0)::smallint, substr(repeat('c', g), 1, NULLIF(g & 4, 0)), NULLIF(g & 8, 0)::bigint,
    ARRAY[g, NULLIF(g & 16, 0)]::real[], NULLIF(g & 32, 0)::text::char(3), NULLIF(g & 64, 0)::float8, NULLIF(g & 128, 0)::numeric, repeat('i', NULLIF(g & 3, 0)),
    NULLIF(g & 6, 0), '2026-01-01'::date + NULLIF(g & 12, 0), repeat('l', NULLIF(g & 24, 0)), NULLIF(g & 48, 0)::boolean, NULL::uuid, repeat('o', NULLIF(g & 192, 0))
    FROM generate_series(0, 255) g$$);
CREATE FUNCTION holed_same() RETURNS TABLE (rows bigint, same boolean) LANGUAGE sql AS $$
    SELECT count(*), bool_and(got.ordinality = stored.id + 1 AND to_jsonb(got) - 'ordinality' = to_jsonb(stored))
    FROM holed.batch_get(ARRAY(SELECT * FROM generate_series(0, 255))) got JOIN holed.records stored USING (id) $$;
SELECT * FROM holed_same();
ALTER TABLE holed.records ADD COLUMN p text DEFAULT 'p';
SELECT venice.rebuild_functions('holed');
SELECT * FROM holed_same();
ALTER TABLE holed.records DROP COLUMN c;
SELECT venice.rebuild_functions('holed');
SELECT * FROM holed_same();
DROP FUNCTION holed_same;
SELECT venice.drop_store('holed');

-- rebuild_functions makes them anew, with the privileges they have.
CREATE ROLE read_somebody;
REVOKE EXECUTE ON FUNCTION features.get FROM PUBLIC;
GRANT EXECUTE ON FUNCTION features.get TO read_somebody;
SELECT venice.rebuild_functions('features');
SELECT has_function_privilege('read_somebody', 'features.get(bigint)', 'EXECUTE') AS granted, has_function_privilege('public', 'features.get(bigint)', 'EXECUTE') AS public;
CREATE VIEW uses_get AS SELECT * FROM features.get(1);
SELECT venice.rebuild_functions('features');

-- A swap that would change what it returns is refused while something depends on it: readers go on with the version they have.
SELECT venice.alter_store('features', value => 'clicks numeric, name text, embedding real[]');
SELECT venice.push('features', 'SELECT 1, 2.5, NULL, NULL');
SELECT clicks FROM uses_get;
DROP VIEW uses_get;
SELECT venice.push('features', 'SELECT 1, 2.5, NULL, NULL') IS NOT NULL AS pushed;
SELECT clicks FROM features.get(1);

-- Look-ups count.
SELECT pg_stat_force_next_flush();
SELECT reads > 0 AS reads, keys > 0 AS keys FROM venice.stat_store WHERE store = 'features';

SELECT venice.drop_store(store) FROM (VALUES ('features'), ('pairs'), ('by_uuid'), ('by_varchar')) v(store);
DROP ROLE read_somebody;
