-- Rows of get_historical_features are handed over as they are found where a query reads nothing else, and are the same rows.
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA pit_rows;
SET search_path = pit_rows, public;

CREATE TABLE past AS SELECT i % 2000 AS k, '2020-01-01'::timestamptz + i * 37 % 9973 * interval '1 minute' AS at, i AS v FROM generate_series(1, 60000) AS i;
CREATE INDEX ON past (k, at DESC);
CREATE TABLE spine AS SELECT i AS id, i % 2003 AS k, '2020-01-01'::timestamptz + i * 53 % 10007 * interval '1 minute' AS event_time FROM generate_series(1, 40000) AS i;
VACUUM ANALYZE past, spine;
SELECT venice.create_entity('number', 'k integer'), venice.create_source('past', relation => 'past', event_time => 'at');
SELECT venice.create_feature_view('by_number', '{number}', 'past', 'v', ttl => '3 days');
SELECT venice.historical_features_query('TABLE spine', '{by_number}', options => '{"plan": "probe"}') AS query \gset
SET max_parallel_workers_per_gather = 2;

-- Where it is all that a query, or a subquery, reads; not where rows may be wanted again, or as a whole.
EXPLAIN (COSTS OFF) SELECT sum(v) FROM (:query) AS f WHERE v > 7;
EXPLAIN (COSTS OFF) WITH f AS MATERIALIZED (:query) SELECT count(*) FROM f JOIN f AS g USING (id);
EXPLAIN (COSTS OFF) SELECT count(f) FROM venice.get_historical_features('TABLE spine', '{by_number}') AS f(id integer, k integer, event_time timestamptz, v integer);
EXPLAIN (COSTS OFF) SELECT count(*) FROM (:query) AS f JOIN spine USING (id);
EXPLAIN (COSTS OFF) DECLARE c CURSOR FOR :query;
CREATE TABLE inserted (id integer, k integer, event_time timestamptz, v integer);
EXPLAIN (COSTS OFF) INSERT INTO inserted :query;
EXPLAIN (COSTS OFF) :query UNION ALL :query;

-- The same rows, with workers and without, all at once and one by one.
INSERT INTO inserted :query;
CREATE TABLE helped AS :query;
SET max_parallel_workers = 0;
CREATE TABLE alone AS :query;
RESET max_parallel_workers;
CREATE TABLE looped (LIKE inserted);
SELECT format('DO $do$ DECLARE r record; BEGIN FOR r IN %s LOOP INSERT INTO looped VALUES (r.id, r.k, r.event_time, r.v); END LOOP; END $do$', :'query') AS loop \gset
:loop;
SELECT count(v) > 30000 AS many, count(*) FROM inserted;
SELECT count(*) AS different FROM ((TABLE inserted EXCEPT ALL TABLE helped) UNION ALL (TABLE helped EXCEPT ALL TABLE inserted)
    UNION ALL (TABLE alone EXCEPT ALL TABLE looped) UNION ALL (TABLE looped EXCEPT ALL TABLE helped)) AS d;

-- A spine that does not fit into memory is merged from few runs, or sorted by the server where it is many, with NULLs in it too.
CREATE TABLE gaps AS SELECT id, NULLIF(k, 7) AS k, NULLIF(event_time, '2020-01-01 00:53+00') AS event_time, repeat('x', id % 50) AS note FROM spine;
SELECT venice.historical_features_query('TABLE gaps', '{by_number}', options => '{"plan": "probe"}') AS gaps \gset
CREATE TABLE in_memory AS :gaps;
SET work_mem = '256kB';
CREATE TABLE merged AS :gaps;
SELECT regexp_replace(line, '.*Spilled: (.).*', '\1') <> '0' AS spilled FROM venice.explain_historical_features('TABLE gaps', '{by_number}') AS e(line) WHERE line LIKE '%Spilled%';
SET work_mem = '64kB';
CREATE TABLE by_server AS :gaps;
RESET work_mem;
SELECT count(v) > 30000 AS many, count(*) FROM merged;
SELECT count(*) AS different FROM ((TABLE in_memory EXCEPT ALL TABLE merged) UNION ALL (TABLE merged EXCEPT ALL TABLE by_server)) AS d;

-- Who has enough stops, and the workers go; a subquery that is run again has all rows again.
SELECT count(*) FROM (SELECT v FROM (:query) AS f LIMIT 20000) AS enough;
SELECT count(*) AS in_progress FROM venice.stat_progress_join WHERE pid = pg_backend_pid();
SELECT k, (SELECT count(*) FROM (:query) AS f WHERE f.k = s.k) FROM generate_series(1, 4) AS s(k);
PREPARE above AS SELECT count(*) FROM (:query) AS f WHERE v > $1;
EXECUTE above (100000);
EXECUTE above (0);

-- What the spine's query does is its own affair, even if a plan with workers could not do it.
CREATE SEQUENCE seen;
EXPLAIN (COSTS OFF) SELECT nextval('seen') FROM (:query) AS f;
CREATE TABLE log (id integer);
CREATE FUNCTION logged(id integer) RETURNS integer LANGUAGE plpgsql AS $$BEGIN INSERT INTO log VALUES (id); RETURN nextval('seen'); END$$;
SELECT venice.historical_features_query('SELECT *, logged(id) AS number FROM spine WHERE id <= 20000', '{by_number}', options => '{"plan": "probe"}') AS logging \gset
SELECT count(*), count(DISTINCT number) FROM (:logging) AS f;
SELECT count(*) FROM log;

-- Entries of an index whose rows are dead, or not there yet for anybody else, are passed by.
BEGIN;
UPDATE past SET v = -v WHERE k % 3 = 0;
INSERT INTO past SELECT k, at, 0 FROM past WHERE k % 7 = 0;
ROLLBACK;
UPDATE past SET v = v + 100000 WHERE k % 5 = 0;
UPDATE past SET at = at + interval '1 minute' WHERE k % 11 = 0;
DELETE FROM past WHERE k % 4 = 1 AND v % 3 = 0;
SELECT count(v) > 20000 AS many, count(*) FILTER (WHERE v IS DISTINCT FROM right_v) AS wrong FROM (:query) AS f
  LEFT JOIN LATERAL (SELECT p.v AS right_v FROM past AS p WHERE p.k = f.k AND p.at <= f.event_time AND p.at >= f.event_time - interval '3 days' ORDER BY p.at DESC LIMIT 1) AS p ON true;

-- Errors are those of the function; a function of the same name is what it is.
SELECT * FROM venice.get_historical_features('TABLE spine', '{by_number}') AS f(id integer, k integer, event_time timestamptz, v text);
CREATE ROLE pit_stranger;
REVOKE EXECUTE ON FUNCTION venice.get_historical_features FROM PUBLIC;
SET ROLE pit_stranger;
SELECT * FROM venice.get_historical_features('SELECT 1 AS id', '{}') AS f(id integer);
RESET ROLE;
GRANT EXECUTE ON FUNCTION venice.get_historical_features TO PUBLIC;
CREATE FUNCTION get_historical_features(spine text, features text[]) RETURNS SETOF record LANGUAGE sql PARALLEL SAFE COST 1000 AS 'SELECT 42';
SELECT * FROM get_historical_features('TABLE spine', '{by_number}') AS f(id integer);

-- Nothing stays behind.
SELECT venice.drop_feature_view('by_number'), venice.drop_source('past'), venice.drop_entity('number');
DROP SCHEMA pit_rows CASCADE;
DROP ROLE pit_stranger;
