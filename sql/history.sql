-- What a store keeps of its past: the table, and what each swap appends to it.
\set VERBOSITY terse
CREATE ROLE history_reader;
CREATE ROLE history_column_reader;

-- A store has a history when it is told to, partitioned by event time, with partitions ahead of now and one for the rest.
SELECT venice.create_store('past', 'k int', 'v text, w float8', options => '{"history": true, "history_partition": "1 month"}');
SELECT attname, format_type(atttypid, atttypmod) AS type, attnotnull FROM pg_attribute
 WHERE attrelid = 'past_history.rows'::regclass AND attnum > 0 ORDER BY attnum;
SELECT pg_get_partkeydef('past_history.rows'::regclass), count(*) AS partitions FROM pg_inherits WHERE inhparent = 'past_history.rows'::regclass;
SELECT pg_get_indexdef(indexrelid) FROM pg_index WHERE indrelid = 'past_history.rows'::regclass ORDER BY 1;
SELECT obj_description('past_history'::regnamespace, 'pg_namespace');

-- A swap appends what differs from the version before: keys that are new, that have other values, that are gone.
CREATE VIEW past_rows AS SELECT k, v, w, _deleted, rank() OVER (ORDER BY arrival >> 20) AS swap FROM past_history.rows;
SELECT venice.push('past', $$VALUES (1, 'a', 1.0), (2, 'b', 2)$$);
SELECT venice.push('past', $$VALUES (1, 'a', 1.0), (2, 'c', 2), (3, NULL, 3)$$);
SELECT venice.push('past', $$VALUES (1, 'a', 1.0), (3, NULL, 3::float8)$$);
SELECT k, v, w, _deleted FROM past_rows ORDER BY swap, k;
-- and nothing where nothing differs.
SELECT venice.push('past', 'TABLE past.records');
SELECT count(*) FROM past_rows;
-- Going back is a change like any other, true from now on.
SELECT venice.rollback_version('past', 2);
SELECT k, v, w, _deleted FROM past_rows WHERE swap = (SELECT max(swap) FROM past_rows) ORDER BY k;
-- The newest row of each key is what the store answers.
SELECT DISTINCT ON (k) k, v, w, _deleted FROM past_history.rows ORDER BY k, event_time DESC, created_time DESC NULLS LAST, arrival DESC;
DROP VIEW past_rows;

-- A push that is undone leaves nothing in the history.
BEGIN;
SELECT venice.push('past', $$VALUES (9, 'i', 9)$$);
ROLLBACK;
SELECT count(*) FROM past_history.rows WHERE k = 9;

-- Arrivals tell in which order rows came, within a transaction too.
INSERT INTO past_history.rows (k, event_time) SELECT 100 + i, '2020-01-01 UTC' FROM generate_series(1, 3) AS i;
SELECT k, arrival - lag(arrival) OVER (ORDER BY k) AS after, arrival > (SELECT max(arrival) FROM past_history.rows WHERE k < 100) AS last
  FROM past_history.rows WHERE k > 100 ORDER BY k;
-- A server that the history was restored on goes on behind what is there.
UPDATE venice.arrival_base SET system_identifier = 0;
UPDATE past_history.rows SET arrival = 1::bigint << 60 WHERE k = 101;
INSERT INTO past_history.rows (k, event_time) VALUES (104, '2020-01-01 UTC'), (105, '2020-01-01 UTC');
SELECT count(*) FROM past_history.rows WHERE k IN (104, 105) AND arrival > 1::bigint << 60;
INSERT INTO past_history.rows (k, event_time) VALUES (106, '2020-01-01 UTC');
SELECT a.arrival > b.arrival AS later FROM past_history.rows a, past_history.rows b WHERE a.k = 106 AND b.k = 105;
DELETE FROM venice.arrival_base WHERE system_identifier = 0;

-- New columns of the store are the history's at once, wider types too; a name that it needs itself gets an underscore.
SELECT venice.alter_store('past', value => 'v text, w float8, arrival int');
SELECT venice.push('past', $$VALUES (1, 'a', 1.0, 7)$$);
SELECT venice.alter_store('past', value => 'v text, w float8, arrival bigint');
SELECT venice.push('past', $$VALUES (1, 'a', 1.0, 1::bigint << 40)$$);
SELECT v, arrival, _arrival > 0 AS ours FROM past_history.rows WHERE k = 1 AND arrival IS NOT NULL ORDER BY _arrival;

-- A store drops its history with itself, and the history's option is no way to lose rows.
SELECT venice.alter_store('past', '{"history": false}');
SELECT venice.drop_store('past');
SELECT to_regnamespace('past_history');

-- A store that has rows begins its history with them, and who could read a column of it can read that of the history.
SELECT venice.create_store('past', 'k int', 'v text, w float8, created_time text');
GRANT USAGE ON SCHEMA past TO history_reader, history_column_reader;
GRANT SELECT ON past.records TO history_reader;
GRANT SELECT (k, w) ON past.records TO history_column_reader;
SELECT venice.push('past', $$VALUES (1, 'a', 1.0, 'x'), (2, 'b', 2, 'y')$$);
SELECT venice.alter_store('past', '{"history": true}');
SELECT k, v, w, created_time, h.event_time = (SELECT swapped_time FROM venice.versions WHERE store = 'past' AND state = 'current') AS since_swap
  FROM past_history.rows h ORDER BY k;
SET ROLE history_reader;
SELECT count(*) FROM past_history.rows WHERE v <> '';
SET ROLE history_column_reader;
SELECT k, w, _created_time IS NOT NULL AS known, _deleted FROM past_history.rows ORDER BY k;
SELECT v FROM past_history.rows;
RESET ROLE;
TRUNCATE past_history.rows;
SELECT venice.alter_store('past', '{"history": false}');
SELECT to_regnamespace('past_history');
-- Row security is not copied: nobody but the owner reads the history until he says who may.
ALTER TABLE past.records ENABLE ROW LEVEL SECURITY;
SELECT venice.alter_store('past', '{"history": true}');
SELECT has_schema_privilege('history_reader', 'past_history', 'USAGE');

-- Owners change together, partitions too.
SELECT venice.alter_store('past', '{"owner": "history_reader"}');
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'past_history'::regnamespace;
SELECT venice.alter_store('past', '{"owner": null}');
SELECT venice.drop_store('past');

-- A partition has a width that partitions can have.
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history_partition": "1 month 1 day"}');
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history_partition": "59 minutes"}');
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history_retention": "0"}');

-- A view that somebody has made of the history keeps the store from being dropped, unless by force.
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history": true, "history_partition": "6 hours"}');
SELECT count(*) FROM pg_class WHERE relnamespace = 'past_history'::regnamespace AND relname ~ '^rows_\d{8}_\d{6}$|^rows_\d{8}$' AND relkind = 'r';
CREATE VIEW past_view AS SELECT v FROM past_history.rows;
SELECT venice.drop_store('past');
SET client_min_messages = warning;
SELECT venice.drop_store('past', force => true);
RESET client_min_messages;
SELECT to_regnamespace('past_history'), to_regclass('past_view');

-- A history that somebody has dropped, or taken away by its owner, is missed, and made anew when that is wanted.
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history": true}');
DROP SCHEMA past_history CASCADE;
SELECT venice.push('past', 'VALUES (1, 1)');
SELECT venice.alter_store('past', '{"history": true}');
SELECT k, v FROM past_history.rows;
ALTER SCHEMA past_history OWNER TO history_reader;
SELECT venice.push('past', 'VALUES (1, 2)');
SELECT k, v FROM past_history.rows;
SELECT venice.alter_store('past', '{"history": true}');
DROP SCHEMA past_history CASCADE;
SELECT venice.drop_store('past');
-- It is where the store's rows are.
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE history_space LOCATION '';
SELECT venice.create_store('past', 'k int', 'v int', options => '{"history": true, "tablespace": "history_space"}');
SELECT venice.create_store('past_too', 'k int', 'v int', options => '{"history": true, "tablespace": "pg_default"}');
SELECT relnamespace::regnamespace, spcname, count(*) FROM pg_class LEFT JOIN pg_tablespace s ON s.oid = reltablespace
 WHERE relnamespace IN ('past_history'::regnamespace, 'past_too_history'::regnamespace) AND relkind IN ('p', 'r') GROUP BY 1, 2 ORDER BY 1::text, 2;
SELECT venice.drop_store('past'), venice.drop_store('past_too');
DROP TABLESPACE history_space;
RESET allow_in_place_tablespaces;
-- Options change together with the owner.
SELECT venice.create_store('past', 'k int', 'v int');
SELECT venice.alter_store('past', '{"owner": "history_reader", "history": true}');
SELECT DISTINCT relowner::regrole FROM pg_class WHERE relnamespace = 'past_history'::regnamespace;
SELECT venice.drop_store('past');

-- A view of what a push will replace has its store keep the past: of a store, or where it asks for a copy.
SELECT venice.create_entity('past_entity', 'k int');
CREATE TABLE past_events (k int, v int, at timestamptz, loaded timestamptz);
SELECT venice.create_source('past_events', relation => 'past_events', event_time => 'at', created_time => 'loaded');
SELECT venice.create_store('past', 'k int', 'v int');
SELECT venice.create_source('past_store', store => 'past');
SELECT venice.create_feature_view('past_of_store', '{past_entity}', 'past_store');
SELECT venice.create_feature_view('past_copied', '{past_entity}', 'past_events', options => '{"history": "copy"}');
SELECT store, options ->> 'history' AS history FROM venice.stores WHERE store IN ('past', 'past_copied') ORDER BY 1;
SELECT to_regclass('past_history.rows'), to_regclass('past_copied_history.rows');
-- It is needed then.
SELECT venice.alter_store('past', '{"history": false}');
-- A relation with event times is read in place, and says which index it wants, unless it has one.
SELECT venice.create_feature_view('past_in_place', '{past_entity}', 'past_events');
\set VERBOSITY default
SELECT venice.create_feature_view('past_in_place', '{past_entity}', 'past_events', options => '{"view_version": 2}');
SELECT venice.alter_feature_view('past_in_place', features => 'v', new_version => true);
\set VERBOSITY terse
CREATE INDEX ON past_events (k, at DESC);
SELECT venice.alter_feature_view('past_in_place', features => 'v', new_version => true);
SELECT to_regclass('past_in_place_history.rows');
-- Nothing else can be asked for, nor by a view that has no store.
SELECT venice.create_feature_view('past_wrong', '{past_entity}', 'past_events', options => '{"history": "rows"}');
SELECT venice.create_feature_view('past_wrong', '{past_entity}', 'past_events', online => false, options => '{"history": "copy"}');
SELECT venice.create_feature_view('past_wrong', '{past_entity}', 'past_events', offline => false, options => '{"history": "copy"}');

-- By a push, a value goes to its own event time; where that would hide it behind what the store had, to the time of the swap.
SELECT venice.push('past_copied', $$VALUES (1, 10, '2026-01-01 10:00+00'::timestamptz), (2, 20, '2026-01-01 10:00+00'), (3, 30, NULL)$$);
SELECT venice.push('past_copied', $$VALUES (1, 11, '2026-01-01 11:00+00'::timestamptz), (2, 19, '2026-01-01 09:00+00')$$);
SELECT venice.push('past_copied', $$VALUES (1, 11, '2026-01-01 12:00+00'::timestamptz), (2, 19, '2026-01-01 09:00+00'), (3, 31, '2026-01-01 12:00+00')$$);
SELECT k, v, _deleted, CASE WHEN event_time < '2026-02-01' THEN event_time AT TIME ZONE 'UTC' END AS event_time, event_time = created_time AS at_swap
  FROM past_copied_history.rows ORDER BY arrival >> 20, k;
-- Whatever happened, the newest row of a key is what the store answers.
CREATE FUNCTION past_differs() RETURNS SETOF record LANGUAGE sql AS $$
    SELECT COALESCE(r.k, h.k), r.v, h.v FROM past_copied.records r FULL JOIN (
        SELECT * FROM (SELECT DISTINCT ON (k) k, v, _deleted FROM past_copied_history.rows
                        ORDER BY k, event_time DESC, created_time DESC NULLS LAST, arrival DESC) l WHERE NOT _deleted) h USING (k)
     WHERE r.v IS DISTINCT FROM h.v $$;
SELECT * FROM past_differs() AS (k int, online int, offline int);
SELECT venice.rollback_version('past_copied');
SELECT * FROM past_differs() AS (k int, online int, offline int);
SELECT venice.swap_version('past_copied', 3);
SELECT * FROM past_differs() AS (k int, online int, offline int);
SELECT venice.push('past_copied', $$VALUES (1, 12, '2026-01-01 13:00+00'::timestamptz), (2, 21, '2025-01-01 10:00+00'), (3, 31, NULL)$$);
SELECT venice.push('past_copied', $$VALUES (1, 13, '2026-01-01 14:00+00'::timestamptz), (2, 21, '2025-01-01 11:00+00'), (3, 32, '2025-01-01 10:00+00')$$);
SELECT * FROM past_differs() AS (k int, online int, offline int);
SELECT venice.push('past_copied', 'SELECT * FROM past_copied.records WHERE false');
SELECT venice.push('past_copied', $$VALUES (1, 10, '2026-01-01 10:00+00'::timestamptz)$$);
SELECT * FROM past_differs() AS (k int, online int, offline int);
DROP FUNCTION past_differs;

-- To share a feature is to share its past, until row security says who sees what.
CREATE FUNCTION past_readable() RETURNS TABLE (relation regclass, attribute name) LANGUAGE sql AS $$
    SELECT attrelid::regclass, attname FROM pg_attribute
     WHERE attrelid IN ('past_copied.records'::regclass, 'past_copied_history.rows'::regclass) AND attnum > 0
       AND has_column_privilege('history_reader', attrelid, attname, 'SELECT') ORDER BY attrelid::regclass::text COLLATE "C", attnum $$;
SELECT venice.grant_feature('past_copied:v', 'history_reader');
SELECT * FROM past_readable();
SELECT venice.revoke_feature('past_copied:v', 'history_reader');
SELECT * FROM past_readable();
SELECT has_schema_privilege('history_reader', 'past_copied_history', 'USAGE');
GRANT SELECT ON past_copied_history.rows TO history_reader;
SELECT venice.revoke_feature('past_copied:v', 'history_reader');
REVOKE SELECT ON past_copied_history.rows FROM history_reader;
ALTER TABLE past_copied.records ENABLE ROW LEVEL SECURITY;
SELECT venice.grant_feature('past_copied:v', 'history_reader');
SELECT * FROM past_readable();
SELECT venice.revoke_feature('past_copied:v', 'history_reader');
DROP FUNCTION past_readable;

-- Views go with their stores, and these with their histories; that of a store of its own stays.
SELECT venice.drop_feature_view('past_copied');
SELECT venice.drop_feature_view('past_of_store');
SELECT to_regclass('past_history.rows'), to_regclass('past_copied_history.rows');
SELECT venice.drop_feature_view('past_in_place');
SELECT venice.drop_source('past_store'), venice.drop_source('past_events'), venice.drop_entity('past_entity');
SELECT venice.drop_store('past');
DROP TABLE past_events;

-- Keys are compared by their own operators, and values by their bytes, whatever their types.
CREATE SCHEMA past_types;
CREATE TYPE past_types.pair AS (a int, b text);
CREATE DOMAIN past_types.positive AS int NOT NULL CHECK (VALUE > 0);
SELECT venice.create_store('past', 'k past_types.pair, n numeric', 'j json, d past_types.positive, p point, a int[]', options => '{"history": true}');
SELECT venice.push('past', $$VALUES (ROW(1, 'x')::past_types.pair, 1.0, '{"a": 1}'::json, 1::past_types.positive, point '(1,2)', '{1}'::int[]), (ROW(2, 'y'), 1, '[]', 2, NULL, NULL)$$);
SELECT venice.push('past', $$VALUES (ROW(1, 'x')::past_types.pair, 1.00, '{"a": 1}'::json, 1::past_types.positive, point '(1,2)', '{1}'::int[])$$);
SELECT venice.push('past', $$VALUES (ROW(1, 'x')::past_types.pair, 1.00, '{"a":1}'::json, 1::past_types.positive, point '(1,2)', '{1}'::int[])$$);
SELECT k, n, j, d, p, a, _deleted FROM past_history.rows ORDER BY arrival;
SELECT venice.drop_store('past');
DROP SCHEMA past_types CASCADE;

DROP ROLE history_reader, history_column_reader;
