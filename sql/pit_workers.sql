-- Large spines: parallel workers find what the session alone finds, as the same user and under the same snapshot.
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA pit_workers;
SET search_path = pit_workers, public;

CREATE TABLE past (k integer, name text, at timestamptz, made timestamptz, v integer, w text);
INSERT INTO past SELECT i % 2000, 'name ' || i % 7, '2020-01-01'::timestamptz + i * 37 % 9973 * interval '1 minute', NULL, i, repeat(md5(i::text), CASE WHEN i % 100 = 0 THEN 100 ELSE 1 END)
  FROM generate_series(1, 60000) AS i;
CREATE INDEX ON past (k, at DESC, made DESC NULLS LAST) INCLUDE (v);
CREATE INDEX ON past (name, k, at DESC, made DESC NULLS LAST);
VACUUM ANALYZE past;
CREATE TABLE spine AS SELECT i AS id, NULLIF(i % 2003, 2001)::bigint AS k, 'name ' || i % 8 AS name,
       CASE WHEN i % 1000 > 0 THEN '2020-01-01'::timestamptz + i * 53 % 10007 * interval '1 minute' END AS event_time FROM generate_series(1, 40000) AS i;
ANALYZE spine;
SELECT venice.create_entity('number', 'k integer'), venice.create_entity('named', 'name text, k integer'), venice.create_source('past', relation => 'past', event_time => 'at', created_time => 'made');
SELECT venice.create_feature_view('by_number', '{number}', 'past', 'v, w', ttl => '3 days'), venice.create_feature_view('by_name', '{named}', 'past', 'v AS named_v, upper(w) AS named_w, 60000 / v AS share');
SELECT venice.historical_features_query('TABLE spine', '{by_number,by_name}', options => '{"with_status": true, "with_event_time": true, "plan": "probe", "preserve_order": true}') AS query \gset

-- By integers and by text, values of fixed length and of any: the same rows, in the same order.
SET max_parallel_workers_per_gather = 0;
CREATE TABLE alone AS SELECT row_number() OVER () AS place, * FROM (:query) AS f;
SET max_parallel_workers_per_gather = 2;
CREATE TABLE helped AS SELECT row_number() OVER () AS place, * FROM (:query) AS f;
SELECT count(*), count(*) FILTER (WHERE place = id) AS in_order, count(v) > 10000 AS many, count(named_w) > 1000 AS many_named, count(DISTINCT _status::text) AS statuses FROM helped;
SELECT count(*) AS different FROM ((TABLE alone EXCEPT ALL TABLE helped) UNION ALL (TABLE helped EXCEPT ALL TABLE alone)) AS d;
SELECT count(*) AS wrong FROM alone AS a
  LEFT JOIN LATERAL (SELECT v, at FROM past AS p WHERE p.name = a.name AND p.k = a.k AND at <= a.event_time ORDER BY at DESC, made DESC NULLS LAST LIMIT 1) AS p ON true
 WHERE (a.named_v, by_name__event_time) IS DISTINCT FROM (p.v, p.at);

-- There were workers; also where they could not read the spine; none without leave, none for a small spine.
CREATE FUNCTION workers(spine text, view text DEFAULT 'by_number') RETURNS boolean LANGUAGE sql
    AS $$SELECT substring(line FROM 'Workers: (\d+)')::integer > 0 FROM venice.explain_historical_features(spine, ARRAY[view], options => '{"plan": "probe"}') AS e(line) WHERE line LIKE '%Workers%'$$;
SELECT workers('TABLE spine'), workers('TABLE spine', 'by_name') AS by_text, workers('TABLE spine LIMIT 1000') AS small;
SET max_parallel_workers_per_gather = 0;
SELECT workers('TABLE spine') AS forbidden;
SET max_parallel_workers_per_gather = 2;
CREATE TEMP TABLE temporary_spine AS TABLE spine;
SELECT workers('TABLE temporary_spine') AS temporary_spine;

-- What this transaction has written and not committed is seen by them, and nothing of it after.
BEGIN;
UPDATE past SET v = -v WHERE k = 7;
CREATE TEMP TABLE uncommitted AS SELECT v FROM (:query) AS f WHERE k = 7 AND v IS NOT NULL;
SELECT count(*) > 10 AS seen, bool_and(v < 0) AS new FROM uncommitted;
ROLLBACK;
SELECT count(*) > 10 AS seen, bool_and(v > 0) AS old FROM (:query) AS f WHERE k = 7 AND v IS NOT NULL;

-- An error of a worker is the caller's, and the session goes on.
INSERT INTO past SELECT i % 2000, 'name ' || i % 7, '2020-02-01', NULL, 0, '' FROM generate_series(1, 14000) AS i;
UPDATE spine SET event_time = '2020-03-01' WHERE id % 5 = 0;
CREATE TABLE failed AS :query;
-- Stopped while it runs, it is over, and not in progress any more.
SET statement_timeout = '10ms';
CREATE TABLE failed AS :query;
RESET statement_timeout;
SELECT count(*) AS in_progress FROM venice.stat_progress_join WHERE pid = pg_backend_pid();

-- Rights are the caller's.
CREATE ROLE pit_reader;
GRANT USAGE ON SCHEMA pit_workers TO pit_reader;
GRANT SELECT ON spine TO pit_reader;
GRANT SELECT (k, at, made, v) ON past TO pit_reader;
SELECT venice.grant_feature('by_number', 'pit_reader');
SELECT venice.historical_features_query('TABLE spine', '{by_number:v}', options => '{"plan": "probe"}') AS allowed \gset
SELECT venice.historical_features_query('TABLE spine', '{by_number:w}', options => '{"plan": "probe"}') AS refused \gset
SET ROLE pit_reader;
SELECT count(v) > 10000 AS allowed FROM (:allowed) AS f;
SELECT count(w) FROM (:refused) AS f;
RESET ROLE;
-- With row security it is a query, and hides what it hides.
ALTER TABLE past ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON past TO pit_reader USING (v % 2 = 0);
SET ROLE pit_reader;
SELECT count(v) > 5000 AS many, bool_and(v % 2 = 0) AS even FROM (:allowed) AS f WHERE v IS NOT NULL;
SELECT count(DISTINCT 1) FROM venice.explain_historical_features('TABLE spine', '{by_number:v}') AS e(line) WHERE line LIKE '%past: query%';
RESET ROLE;

-- Nothing stays behind.
SELECT count(venice.drop_feature_view(name)) FROM venice.feature_views;
SELECT count(venice.drop_source(name)) FROM venice.sources;
SELECT count(venice.drop_entity(name)) FROM venice.entities;
SET client_min_messages = error;
DROP SCHEMA pit_workers CASCADE;
DROP ROLE pit_reader;
