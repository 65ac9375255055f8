-- What is asked of the past, of what, by whom, and in which form it is answered.
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE ROLE historical_owner;
CREATE ROLE historical_reader;
CREATE SCHEMA historical AUTHORIZATION historical_owner;
GRANT CREATE ON DATABASE regression TO historical_owner;
GRANT USAGE ON SCHEMA historical TO historical_reader;
SET ROLE historical_owner;
SET search_path = historical, public;

CREATE TABLE flight (id integer PRIMARY KEY, carrier text, origin text, destination text, distance float8, "Dep Time" timestamptz);
INSERT INTO flight VALUES (1, 'UA', 'EWR', 'JFK', 100, '2020-01-01 10:00'), (2, 'AA', 'JFK', 'EWR', 0, '2020-01-01 11:00'), (3, 'ZZ', NULL, 'EWR', 50, '2020-01-05 11:00');
CREATE TABLE carrier_hour (carrier text, at timestamptz, loaded timestamptz, avg_delay float8, n integer, secret integer);
INSERT INTO carrier_hour VALUES ('UA', '2020-01-01 09:00', NULL, 5, 3, 1), ('UA', '2020-01-01 10:30', NULL, 50, 30, 2), ('AA', '2020-01-01 10:00', NULL, NULL, 4, 3);
CREATE TABLE weather (station text, at timestamptz, temp integer);
INSERT INTO weather VALUES ('EWR', '2020-01-01 09:30', 10), ('JFK', '2020-01-01 09:45', 20), ('JFK', '2020-01-01 10:45', 25);
SELECT venice.create_entity('carrier', 'carrier text'), venice.create_entity('airport', 'station text');
SELECT venice.create_source('carrier_hour', relation => 'carrier_hour', event_time => 'at', created_time => 'loaded');
SELECT venice.create_source('weather', relation => 'weather', event_time => 'at');
SELECT venice.create_feature_view('carrier_stats', '{carrier}', 'carrier_hour', 'avg_delay, n AS flights', ttl => '1 day');
SELECT venice.create_feature_view('weather', '{airport}', 'weather', 'temp', ttl => '1 day');
SELECT venice.create_on_demand_view('feel', '{carrier_stats:flights,weather:temp}', 'flights * temp AS pressure');
SELECT venice.create_on_demand_view('ratio', '{carrier_stats:avg_delay}', 'avg_delay / nullif(distance, 0) AS per_mile', request => 'distance float8');
SELECT venice.create_service('arrival_model', '{carrier_stats:*,there:temp,ratio:per_mile}', '{"full_names": true, "defaults": {"there__temp": -1},
    "joins": [{"view": "weather", "alias": "there", "keys": {"station": "destination"}}]}');

-- A service is asked for by its name, with its joins, names and defaults, which also stand for what is not of its features.
SELECT venice.historical_features_query('SELECT id, carrier, destination, origin AS station, distance, "Dep Time" AS t FROM flight ORDER BY id', '{arrival_model,weather:temp}', 't',
                                        '{"preserve_order": true, "with_status": true, "defaults": {"temp": 0}}') AS q \gset
:q;
-- A default does not stand for a NULL that was there.
SELECT carrier, avg_delay FROM venice.get_historical_features('SELECT carrier, "Dep Time" AS t FROM flight', '{carrier_stats:avg_delay}', 't', '{"defaults": {"avg_delay": 7}}')
    AS f(carrier text, t timestamptz, avg_delay float8) ORDER BY carrier;
-- An on-demand view reads the view that it computes from with the keys of the join that gives it others.
SELECT * FROM venice.get_historical_features('SELECT carrier, destination, "Dep Time" AS t FROM flight WHERE id = 1', '{feel,there:temp}', 't',
    '{"joins": [{"view": "weather", "alias": "there", "keys": {"station": "destination"}}]}') AS f(carrier text, destination text, t timestamptz, pressure int, temp int);

-- Its answer goes wherever a query's does.
COPY (SELECT id, there__temp, ratio__per_mile FROM (:q) AS f) TO STDOUT;
CREATE TABLE training AS :q;
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'training' ORDER BY ordinal_position;
PREPARE again AS :q;
EXECUTE again;
INSERT INTO weather VALUES ('EWR', '2020-01-01 10:59', 99);
EXECUTE again;
DEALLOCATE again;
BEGIN;
DECLARE answer CURSOR FOR :q;
FETCH 1 FROM answer;
ROLLBACK;
DELETE FROM weather WHERE temp = 99;
SELECT count(*) FROM (:q LIMIT 1) AS f;

-- A spine is any query: of temporary tables, with names in quotes, of the caller's search_path, of types of his.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN code AS text COLLATE "C" CHECK (VALUE <> '');
CREATE TEMP TABLE "My Spine" AS SELECT id AS "Id", carrier::code AS carrier, 'ok'::mood AS mood, ARRAY[id] AS ids, flight AS whole, "Dep Time" FROM flight;
SELECT venice.historical_features_query('TABLE "My Spine" ORDER BY 1 LIMIT 2', '{carrier_stats:flights}', 'Dep Time', '{"preserve_order": true}') AS q \gset
:q;
\a\t
SELECT :'q';
\a\t
SELECT venice.historical_features_query('WITH RECURSIVE i AS (VALUES (1) UNION ALL SELECT column1 + 1 FROM i WHERE column1 < 3) SELECT column1, ''UA'' AS carrier, ''2020-01-01 10:00''::timestamptz AS event_time FROM i',
                                        '{carrier_stats:flights}') AS q \gset
SELECT count(flights) FROM (:q) AS f;
SELECT count(*) FROM venice.get_historical_features('SELECT 1/(id-2) AS x, carrier, "Dep Time" AS event_time FROM flight', '{carrier_stats:flights}') AS f(x int, carrier text, event_time timestamptz, flights int);
-- In a rolled-back savepoint nothing of a failed one stays.
BEGIN;
SAVEPOINT before;
SELECT count(*) FROM venice.get_historical_features('SELECT 1/(id-2) AS x, carrier, "Dep Time" AS event_time FROM flight', '{carrier_stats:flights}') AS f(x int, carrier text, event_time timestamptz, flights int);
ROLLBACK TO before;
SELECT count(*) FROM venice.get_historical_features('SELECT carrier, "Dep Time" AS event_time FROM flight', '{carrier_stats:flights}') AS f(carrier text, event_time timestamptz, flights int);
COMMIT;

-- How rows are found is told, for each view and each table of it.
SELECT split_part(line, ': ', 1) AS line, count(*) FROM venice.explain_historical_features('SELECT carrier, origin AS station, "Dep Time" AS event_time FROM flight', '{carrier_stats,weather}') AS e(line) WHERE line !~ 'Cost|Descents' GROUP BY 1 ORDER BY 1;

-- Names with project and view version; another version of the view answers for itself.
SELECT venice.alter_feature_view('weather', features => 'temp::text AS temp', new_version => true);
SELECT venice.historical_features_query('SELECT station, at AS event_time FROM weather ORDER BY 1, 2', '{default.weather@2:temp}', options => '{"preserve_order": true}') AS q \gset
:q;
SELECT venice.historical_features_query('SELECT station, at AS event_time FROM weather', '{weather@1,weather@2}');
SELECT venice.historical_features_query('SELECT station, at AS event_time FROM weather', '{weather@3}');
SELECT venice.drop_feature_view('weather@2');

-- A type that has become another is cast back to what was pinned, or refused where a value does not fit.
SELECT venice.historical_features_query('SELECT carrier, destination, distance, "Dep Time" AS t FROM flight WHERE id < 3 ORDER BY id', '{arrival_model}', 't', '{"preserve_order": true}') AS q \gset
ALTER TABLE carrier_hour ALTER n TYPE bigint, ALTER avg_delay TYPE numeric(6,2);
:q;
UPDATE carrier_hour SET n = 1::bigint << 40 WHERE carrier = 'AA';
:q;
UPDATE carrier_hour SET n = 4 WHERE carrier = 'AA';
ALTER TABLE carrier_hour ALTER n TYPE numeric;
UPDATE carrier_hour SET n = 4.5 WHERE carrier = 'AA';
:q;
UPDATE carrier_hour SET n = 4 WHERE carrier = 'AA';
ALTER TABLE carrier_hour ALTER n TYPE integer, ALTER avg_delay TYPE float8;

-- The relation may be called otherwise by now; without it, or a column of it, there is no answer.
ALTER TABLE carrier_hour RENAME TO carrier_hours;
SELECT count(*) FROM (:q) AS f;
ALTER TABLE carrier_hours RENAME TO carrier_hour;
BEGIN;
ALTER TABLE carrier_hour RENAME n TO m;
SELECT count(*) FROM (:q) AS f;
ROLLBACK;
BEGIN;
ALTER TABLE carrier_hour RENAME at TO "when";
SELECT count(*) FROM (:q) AS f;
ROLLBACK;
BEGIN;
DROP TABLE weather;
SELECT count(*) FROM (:q) AS f;
ROLLBACK;

-- Who asks needs SELECT on what is read, and on no more; row security is his.
GRANT SELECT (carrier, "Dep Time") ON flight TO historical_reader;
GRANT USAGE ON SCHEMA carrier_stats, weather TO historical_reader;
GRANT SELECT (carrier, avg_delay) ON carrier_stats.records TO historical_reader;
SET ROLE historical_reader;
SELECT venice.historical_features_query('SELECT carrier, "Dep Time" AS event_time FROM flight', '{carrier_stats:flights}') AS q \gset
:q;
SET ROLE historical_owner;
GRANT SELECT (carrier, at, loaded, avg_delay, n) ON carrier_hour TO historical_reader;
SET ROLE historical_reader;
SELECT flights FROM (:q) AS f ORDER BY 1;
SELECT venice.historical_features_query('SELECT carrier, distance, "Dep Time" AS event_time FROM flight', '{carrier_stats:flights}') AS q2 \gset
SELECT flights FROM (:q2) AS f;
SELECT venice.historical_features_query('SELECT ''EWR'' AS station, now() AS event_time', '{weather:temp}');
-- The views of a service need not be seen, nor those of an input, but their rows must be readable.
SET ROLE historical_owner;
GRANT USAGE ON SCHEMA arrival_model TO historical_reader;
SET ROLE historical_reader;
SELECT venice.historical_features_query('SELECT carrier, ''JFK''::text AS destination, 10.0::float8 AS distance, "Dep Time" AS event_time FROM flight', '{arrival_model}') AS q2 \gset
SELECT carrier, there__temp, ratio__per_mile FROM (:q2) AS f ORDER BY 1;
SET ROLE historical_owner;
GRANT SELECT ON weather TO historical_reader;
SET ROLE historical_reader;
SELECT carrier, there__temp, ratio__per_mile FROM (:q2) AS f ORDER BY 1;
SET ROLE historical_owner;
ALTER TABLE carrier_hour ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_but_new ON carrier_hour TO historical_reader USING (at < '2020-01-01 09:30' AND secret IS NOT NULL);
SET ROLE historical_reader;
SELECT flights FROM (:q) AS f ORDER BY 1;
SET ROLE historical_owner;
SELECT flights FROM (:q) AS f ORDER BY 1;
ALTER TABLE carrier_hour FORCE ROW LEVEL SECURITY;
SELECT flights FROM (:q) AS f ORDER BY 1;
ALTER TABLE carrier_hour NO FORCE ROW LEVEL SECURITY;
ALTER TABLE carrier_hour DISABLE ROW LEVEL SECURITY;

-- Expressions are evaluated as who asks; what somebody has put in the registry by hand is not.
CREATE FUNCTION leak() RETURNS text LANGUAGE plpgsql STABLE AS $$BEGIN RAISE NOTICE 'called as %', current_user; RETURN 'leaked'; END$$;
SELECT venice.create_feature_view('whoever', '{carrier}', 'carrier_hour', 'current_user::text AS who', online => false);
SELECT venice.create_on_demand_view('whoever_asks', '{whoever:who}', 'who || '', '' || current_user AS both_of_them');
RESET ROLE;
SELECT both_of_them = format('%1$s, %1$s', current_user) AS as_caller
  FROM venice.get_historical_features('SELECT ''UA'' AS carrier, now() AS event_time', '{whoever_asks}') AS f(carrier text, event_time timestamptz, both_of_them text);
BEGIN;
UPDATE venice.feature SET expression = 'historical.leak()' WHERE view_name = 'whoever';
SELECT who FROM venice.get_historical_features('SELECT ''UA'' AS carrier, now() AS event_time', '{whoever}') AS f(carrier text, event_time timestamptz, who text);
ROLLBACK;
BEGIN;
UPDATE venice.feature SET expression = 'historical.leak()' WHERE view_name = 'whoever_asks';
SELECT both_of_them FROM venice.get_historical_features('SELECT ''UA'' AS carrier, now() AS event_time', '{whoever_asks}') AS f(carrier text, event_time timestamptz, both_of_them text);
ROLLBACK;

-- A relation that has its past copied is not read in place.
SET ROLE historical_owner;
SET client_min_messages = warning;
SELECT venice.create_feature_view('copied', '{carrier}', 'carrier_hour', 'n AS copied', options => '{"history": "copy"}');
INSERT INTO copied_history.rows (carrier, event_time, copied) VALUES ('UA', '2020-01-01 09:30', 77);
SELECT * FROM venice.get_historical_features('SELECT ''UA'' AS carrier, ''2020-01-01 10:00''::timestamptz AS event_time', '{carrier_stats:flights,copied}') AS f(carrier text, event_time timestamptz, flights int, copied int);

-- Nothing stays behind.
SELECT venice.drop_service('arrival_model');
SELECT count(venice.drop_on_demand_view(name)) FROM venice.feature_views WHERE kind = 'on_demand';
SELECT count(venice.drop_feature_view(name)) FROM venice.feature_views;
SELECT count(venice.drop_source(name)) FROM venice.sources;
SELECT count(venice.drop_entity(name)) FROM venice.entities;
RESET ROLE;
DROP TABLE "My Spine";
DROP SCHEMA historical CASCADE;
DROP OWNED BY historical_owner, historical_reader;
DROP ROLE historical_owner, historical_reader;
