-- Theme: columns of a store change while it is read and written.
SET client_min_messages = notice;
CREATE FUNCTION generation(store name) RETURNS bigint LANGUAGE sql AS $$SELECT s.generation FROM venice.store s WHERE s.store_name = $1$$;
CREATE FUNCTION refusal(statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    RETURN 'done';
EXCEPTION WHEN OTHERS THEN
    RETURN SQLSTATE || ' ' || SQLERRM;
END$$;

-- A new column is there at once in every version that is complete, and no row is rewritten.
SELECT venice.create_store('evolved', 'id int', 'a int, x int', options => '{"cache": true, "history": true, "versions_to_keep": 9}');
SELECT venice.push('evolved', 'VALUES (1, 10, 0), (2, 20, 0)') IS NOT NULL AS pushed;
SELECT venice.push('evolved', 'VALUES (1, 11, 0), (2, 21, 0)') IS NOT NULL AS pushed;
CREATE VIEW evolved_view AS SELECT * FROM evolved.get(1);
CREATE FUNCTION evolved_caller(id int) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT g.a FROM evolved.get(id) g; END;
PREPARE one(int) AS SELECT a FROM evolved.get($1);
PREPARE every(int) AS SELECT * FROM evolved.get($1);
PREPARE packed(int) AS SELECT encode(evolved.get_packed($1), 'hex');
EXECUTE one(1);
EXECUTE one(1);
EXECUTE every(1);
EXECUTE packed(1);
EXECUTE packed(1);
SELECT 'evolved.get'::regproc::oid AS get_before, generation('evolved') AS generation_before, pg_relation_filenode('evolved.records') AS file_before \gset
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8');
SELECT 'evolved.get'::regproc = :get_before::oid AS same_function, generation('evolved') > :generation_before AS counted, pg_relation_filenode('evolved.records') = :file_before AS same_file;
SELECT * FROM evolved.get(1);
SELECT * FROM evolved.batch_get(ARRAY[2, 1]);
SELECT * FROM evolved_v1.records ORDER BY id;
SELECT * FROM evolved_v1.get(1);
SELECT column_name, position, pg_type FROM venice.columns WHERE store = 'evolved' ORDER BY position;

-- What had a plan, or depends on the function, goes on; so does what is in memory, with the new columns.
EXECUTE one(1);
EXECUTE packed(1);
EXECUTE packed(1);
SELECT id, r.* FROM generate_series(1, 2) id, evolved.get(id) r;
SELECT id, r.* FROM generate_series(1, 2) id, evolved.get(id) r;
SELECT refusal('EXECUTE every(1)');
TABLE evolved_view;
SELECT evolved_caller(2);
SELECT pg_get_viewdef('evolved_view') ~ 'get\(a, x\)' AS knows_two;

-- It is written at once, too, in every version and in the history; what was true before does not know of it.
SELECT evolved.put(3, 30, 0, 'three', 3.5);
SELECT evolved.put(1, 12);
SELECT evolved.update(2, '{"c": {"$add": 1}, "b": "two"}');
SELECT * FROM evolved.records ORDER BY id;
SELECT * FROM evolved_v1.records ORDER BY id;
SELECT id, a, b, c FROM evolved_history.rows ORDER BY arrival;

-- With the next push nothing changes, and nothing depends on what it would.
SELECT venice.push('evolved', $$VALUES (1, 13, 0, 'pushed', 1.5)$$) IS NOT NULL AS pushed;
SELECT 'evolved.get'::regproc = :get_before::oid AS same_function;
EXECUTE one(1);
TABLE evolved_view;
SELECT venice.rollback_version('evolved');
SELECT * FROM evolved.get(1);

-- A function of which the arguments change is another one: where somebody's depends on it, it stays, and fills in what it does not know.
CREATE FUNCTION evolved_writer(id int) RETURNS void LANGUAGE sql BEGIN ATOMIC SELECT evolved.put(id, 1, 0, 'w', 1); END;
\set VERBOSITY terse
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8, d int NOT NULL DEFAULT 7');
\set VERBOSITY default
SELECT refusal('SELECT evolved.put(8, d => 8)');
SELECT evolved_writer(9);
SELECT * FROM evolved.get(9);
DROP FUNCTION evolved_writer;
DROP VIEW evolved_view;
DROP FUNCTION evolved_caller;
SELECT venice.rebuild_functions('evolved');
SELECT evolved.put(9, 2, d => 8);
SELECT * FROM evolved.get(9);

-- Rows of a single column are no rows to a function: with two of them it is another one, and where something depends on it
-- nothing changes.
SELECT venice.create_store('single', 'id int', 'a int');
SELECT single.put(1, 1);
PREPARE single_one AS SELECT a FROM single.get(1);
EXECUTE single_one;
CREATE VIEW single_view AS SELECT * FROM single.get(1);
SELECT venice.alter_store('single', value => 'a int, b int');
SELECT * FROM single.records;
SELECT column_name FROM venice.columns WHERE store = 'single' ORDER BY position;
DROP VIEW single_view;
SELECT venice.alter_store('single', value => 'a int, b int');
EXECUTE single_one;
SELECT * FROM single.get(1);
SELECT venice.drop_store('single');

-- Privileges stay as they are, those of a renewed function too; and the functions know of their types.
CREATE TYPE evolve_mood AS ENUM ('low', 'high');
CREATE ROLE evolve_reader;
REVOKE EXECUTE ON FUNCTION evolved.get FROM PUBLIC;
REVOKE EXECUTE ON FUNCTION evolved.put FROM PUBLIC;
GRANT EXECUTE ON FUNCTION evolved.get, evolved.put TO evolve_reader;
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8, d int NOT NULL DEFAULT 7, e evolve_mood');
SELECT has_function_privilege('evolve_reader', 'evolved.get'::regproc::oid, 'EXECUTE') AS reads, has_function_privilege('evolve_reader', 'evolved.put'::regproc::oid, 'EXECUTE') AS writes,
       has_function_privilege('public', 'evolved.put'::regproc::oid, 'EXECUTE') AS everybody;
SELECT DISTINCT objid::regproc::text AS function FROM pg_depend WHERE classid = 'pg_proc'::regclass AND refobjid = 'evolve_mood'::regtype AND objid::regproc::text LIKE 'evolved.%' ORDER BY 1;

-- What a table could only have if its rows were looked at waits for the next version: other types, places and defaults, and
-- new columns whose default is none of that kind.
CREATE DOMAIN evolve_positive AS int CHECK (VALUE > 0);
SELECT venice.create_store('waiting', 'id int', 'a int, b int NOT NULL');
SELECT venice.push('waiting', 'VALUES (1, 2147483647, 1)') IS NOT NULL AS pushed;
SELECT venice.alter_store('waiting', value => 'a bigint, at_once int, b int, at timestamptz DEFAULT now(), p evolve_positive');
SELECT * FROM waiting.get(1);
SELECT venice.alter_store('waiting', '{"fillfactor": 90}', value => 'a bigint, b int, at_once int, at timestamptz DEFAULT now(), p evolve_positive');
SELECT refusal($$SELECT waiting.update(1, '{"a": 2147483648}')$$);
SELECT refusal($$SELECT waiting.update(1, '{"a": {"$add": 1}}')$$);
SELECT refusal($$SELECT waiting.update(1, '{"at": "2020-01-01"}')$$);
SELECT venice.incremental_push('waiting', 'VALUES (2, 2, 3, 4)') IS NOT NULL AS pushed;
SELECT * FROM waiting.get(2);
SELECT venice.push('waiting', 'VALUES (1, 2147483648, NULL::int, 5, now(), 1)') IS NOT NULL AS pushed;
SELECT a, at_once, b, at IS NOT NULL AS at, p FROM waiting.get(1);

-- A push that SQL fills has the columns that it had when it began, and those that came since when it is built.
SELECT venice.create_store('filled', 'id int', 'a int');
SELECT schema FROM venice.start_push('filled');
INSERT INTO filled_v1.records VALUES (1, 1);
SELECT venice.alter_store('filled', value => 'a int, b int DEFAULT 5');
INSERT INTO filled_v1.records VALUES (2, 2);
SELECT filled.put(3, 3, 3);
SELECT venice.end_push('filled');
SELECT * FROM filled.records ORDER BY id;
SELECT * FROM filled.get(1);
SELECT schema FROM venice.start_push('filled');
SELECT venice.alter_store('filled', value => 'a int, b int DEFAULT 5, c text');
SELECT venice.end_push('filled', swap => false);
SELECT venice.alter_store('filled', value => 'a int, b int DEFAULT 5, c text, d int');
SELECT venice.swap_version('filled', 2);
SELECT * FROM filled.get(3);

-- A feature that is added to a view is served at once, as NULL.
SELECT venice.create_entity('evolve_user', 'id bigint');
CREATE TABLE evolve_facts (id bigint, at timestamptz, n int, m int);
SELECT venice.create_source('evolve_facts', relation => 'evolve_facts', event_time => 'at');
SELECT venice.create_feature_view('evolve_stats', '{evolve_user}', 'evolve_facts', 'n');
SELECT venice.push('evolve_stats', 'VALUES (1, 1, now())') IS NOT NULL AS pushed;
SELECT venice.alter_feature_view('evolve_stats', features => 'n, m');
SELECT * FROM evolve_stats.get(1);

-- It is undone with its transaction, in which it is as after it; a query that is going on in it keeps it from being done.
BEGIN;
SELECT evolved.put(9, 3);
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8, d int NOT NULL DEFAULT 7, e evolve_mood, f int');
SELECT evolved.put(10, f => 10);
SELECT id, r.* FROM generate_series(9, 10) id, evolved.get(id) r;
ROLLBACK;
SELECT * FROM evolved.get(9);
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8, d int NOT NULL DEFAULT 7, e evolve_mood');
BEGIN;
DECLARE open_cursor CURSOR FOR SELECT * FROM evolved.records;
FETCH open_cursor;
SELECT venice.alter_store('evolved', value => 'a int, x int, b text DEFAULT ''none'', c float8, d int NOT NULL DEFAULT 7, e evolve_mood, f int');
ROLLBACK;
SELECT * FROM evolved.get(9);

DEALLOCATE ALL;
TRUNCATE evolved_history.rows;
SELECT venice.drop_feature_view('evolve_stats');
SELECT venice.drop_source('evolve_facts');
SELECT venice.drop_entity('evolve_user');
DROP TABLE evolve_facts;
SELECT venice.drop_store(store, force => true) FROM (VALUES ('evolved'), ('waiting'), ('filled')) v(store);
DROP ROLE evolve_reader;
DROP DOMAIN evolve_positive;
DROP TYPE evolve_mood;
DROP FUNCTION generation, refusal;
