-- Theme: the past by function: as_of and snapshot of stores, as_of of services, and whether what was served is what was so.

\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE ROLE asof_owner;
CREATE ROLE asof_reader;
SELECT format('GRANT CREATE ON DATABASE %I TO asof_owner', current_database()) \gexec
CREATE SCHEMA asof AUTHORIZATION asof_owner;
GRANT USAGE ON SCHEMA asof TO asof_reader;
SET ROLE asof_owner;
SET search_path = asof;

-- In place -----------------------------------------------------------------------------------------------------------

CREATE TABLE delays (carrier text, at timestamptz, loaded_at timestamptz, delay float8, n int);
INSERT INTO delays VALUES
    ('UA', '2013-06-01 08:00+00', '2013-06-01 09:00+00', 1, 1), ('UA', '2013-06-01 08:00+00', '2013-06-01 09:30+00', 2, 2),
    ('UA', '2013-06-01 08:00+00', NULL, 3, 3), ('UA', '2013-06-02 08:00+00', NULL, NULL, 4),
    ('AA', '2013-06-01 12:00+00', NULL, 5, 5), (NULL, '2013-06-01 00:00+00', NULL, 6, 6), ('B6', NULL, NULL, 7, 7);
SELECT venice.create_entity('asof_carrier', 'carrier text');
SELECT venice.create_source('asof_delays', relation => 'delays', event_time => 'at', created_time => 'loaded_at');
SELECT venice.create_feature_view('asof_stats', '{asof_carrier}', 'asof_delays', 'delay, n + 0 AS flights', ttl => '36 hours');
SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result, obj_description(oid) AS comment
  FROM pg_proc WHERE pronamespace = 'asof_stats'::regnamespace AND proname IN ('as_of', 'snapshot') ORDER BY 1;
-- Of rows of one time the one made last counts, NULL being before all; a row of the very time is seen, a NULL in it is its value.
SELECT t, a.* FROM unnest('{2013-06-01 07:59:59.999999+00,2013-06-01 08:00+00,2013-06-02 08:00+00}'::timestamptz[]) t LEFT JOIN asof_stats.as_of('UA', t) a ON true;
-- The ttl ends to the microsecond, and is 36 hours in every time zone.
SET timezone = 'America/New_York';
SELECT count(*) FROM asof_stats.as_of('AA', '2013-06-03 00:00+00');
SELECT count(*) FROM asof_stats.as_of('AA', '2013-06-03 00:00:00.000001+00');
SET timezone = 'UTC';
-- A NULL is no key, and a row without a time never was.
SELECT count(*) FROM asof_stats.as_of(NULL, '2013-06-02 00:00+00');
SELECT count(*) FROM asof_stats.as_of('B6', 'infinity');
SELECT * FROM asof_stats.snapshot('2013-06-02 00:00+00') ORDER BY carrier;
SELECT * FROM asof_stats.snapshot('2013-06-02 20:00+00') ORDER BY carrier;

-- They answer what the join does, for every key and time, whatever the plan.
CREATE TABLE many (k int, at timestamptz, made timestamptz, v int);
INSERT INTO many SELECT i % 7, '2013-06-01'::timestamptz + (i * 7919 % 101) * interval '1 hour', CASE WHEN i % 3 > 0 THEN '2013-06-01'::timestamptz + i * interval '1 minute' END, i
  FROM generate_series(1, 500) i;
SELECT venice.create_entity('asof_k', 'k bigint');
SELECT venice.create_source('asof_many', relation => 'many', event_time => 'at', created_time => 'made');
SELECT venice.create_feature_view('asof_many', '{asof_k}', 'asof_many', 'v', ttl => '5 hours');
CREATE TABLE asked AS SELECT k::bigint, '2013-05-31 12:00+00'::timestamptz + h * interval '30 minutes' AS event_time FROM generate_series(0, 7) k, generate_series(0, 250) h;
-- Rows of one time whose created times are both NULL are anybody's.
DELETE FROM many m WHERE made IS NULL AND EXISTS (SELECT FROM many o WHERE o.k = m.k AND o.at = m.at AND o.ctid <> m.ctid);
SELECT venice.historical_features_query('TABLE asked', '{asof_many:v}') AS query \gset
SELECT count(*) AS asked, count(j.v) AS found, count(*) FILTER (WHERE j.v IS DISTINCT FROM a.v) AS differ
  FROM (:query) j LEFT JOIN LATERAL asof_many.as_of(j.k, j.event_time) a ON true;
SELECT count(*) AS differ FROM (SELECT a.k, a.v, t.event_time FROM (SELECT DISTINCT event_time FROM asked) t, asof_many.snapshot(t.event_time) a) s
  FULL JOIN (SELECT k, v, event_time FROM (:query) j WHERE v IS NOT NULL) j USING (k, event_time) WHERE s.v IS DISTINCT FROM j.v;
-- The planner sees through them, and uses the index that create_feature_view asks for.
CREATE INDEX ON many (k, at DESC, made DESC NULLS LAST);
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT a.k, p.v FROM asked a CROSS JOIN LATERAL asof_many.as_of(a.k, a.event_time) p;
RESET enable_seqscan;
RESET enable_bitmapscan;
-- Nobody else's operators are used, whatever the search_path.
CREATE SCHEMA asof_trap;
CREATE FUNCTION asof_trap.never(text, text) RETURNS boolean LANGUAGE sql AS 'SELECT false';
CREATE OPERATOR asof_trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = asof_trap.never);
SET search_path = asof_trap, pg_catalog;
SELECT delay FROM asof_stats.as_of('AA', '2013-06-02 00:00+00');
SET search_path = asof;

-- Times without a zone are those of the zone that the source has, through a change of clocks too.
CREATE TABLE naive (carrier text, at timestamp, v int);
INSERT INTO naive VALUES ('UA', '2013-11-03 00:30', 1), ('UA', '2013-11-03 01:30', 2), ('UA', '2013-11-03 02:30', 3);
SELECT venice.create_source('asof_naive', relation => 'naive', event_time => 'at', options => '{"time_zone": "America/New_York"}');
SELECT venice.create_feature_view('asof_naive', '{asof_carrier}', 'asof_naive', 'v');
SELECT venice.historical_features_query('SELECT ''UA''::text AS carrier, t AS event_time FROM generate_series(''2013-11-03 04:00+00''::timestamptz, ''2013-11-03 08:00+00'', ''30 minutes'') t', '{asof_naive:v}') AS query \gset
SELECT j.event_time, j.v, a.v AS as_of FROM (:query) j LEFT JOIN LATERAL asof_naive.as_of(j.carrier, j.event_time) a ON true ORDER BY 1;

-- Of a store ---------------------------------------------------------------------------------------------------------

-- A store with a history has them too: what its rows were, deletions and all, under our names where they are free.
SELECT venice.create_store('asof_users', 'user_id bigint', 'clicks bigint, at text, event_time text', options => '{"history": true}');
SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
  FROM pg_proc WHERE pronamespace = 'asof_users'::regnamespace AND proname IN ('as_of', 'snapshot') ORDER BY 1;
SELECT venice.push('asof_users', $$VALUES (1, 10, 'a', 'x'), (2, 20, 'b', 'y')$$);
UPDATE asof_users_history.rows SET _event_time = '2013-06-01';
SELECT venice.push('asof_users', $$VALUES (1, 11, 'a', 'x')$$);
UPDATE asof_users_history.rows SET _event_time = '2013-06-02' WHERE _event_time > '2013-06-01';
SELECT d, user_id, clicks, at, event_time FROM unnest('{2013-05-31,2013-06-01,2013-06-02}'::timestamptz[]) d LEFT JOIN asof_users.snapshot(d) ON true ORDER BY 1, 2;
SELECT clicks, _event_time FROM asof_users.as_of(2, '2013-06-01 12:00'), asof_users.as_of(1, _at => '2013-06-05') AS one (c, a, e, t) WHERE c = 11;
SELECT count(*) FROM asof_users.as_of(2, '2013-06-03');
-- They live through a push: what depends on them goes on answering, and every version has them.
CREATE VIEW yesterday AS SELECT * FROM asof_users.as_of(1, '2013-06-02');
SELECT venice.push('asof_users', $$VALUES (1, 12, 'a', 'x')$$);
SELECT clicks FROM yesterday;
SELECT pronamespace::regnamespace AS schema, count(*) FROM pg_proc WHERE proname IN ('as_of', 'snapshot') AND pronamespace::regnamespace::text ~ '^asof_users' GROUP BY 1 ORDER BY 1;
SELECT venice.rollback_version('asof_users');
SELECT clicks FROM yesterday;
-- What would change under somebody's object is refused.
SELECT venice.alter_store('asof_users', value => 'clicks bigint, at text, event_time text, more integer');
DROP VIEW yesterday;
SELECT venice.alter_store('asof_users', value => 'clicks bigint, at text, event_time text, more integer');
SELECT pg_get_function_result(oid) FROM pg_proc WHERE pronamespace = 'asof_users'::regnamespace AND proname = 'as_of';
-- Without a history there is nothing to ask.
SELECT venice.create_store('asof_plain', 'id integer', 'v integer');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'asof_plain'::regnamespace AND proname = 'as_of';
SELECT venice.alter_store('asof_plain', '{"history": true}');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'asof_plain'::regnamespace AND proname = 'as_of';
SELECT venice.alter_store('asof_plain', '{"history": false}');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'asof_plain'::regnamespace AND proname = 'as_of';

-- They follow the view: its ttl, its features, its source; and their privileges stay.
REVOKE EXECUTE ON FUNCTION asof_stats.as_of FROM PUBLIC;
SELECT venice.alter_feature_view('asof_stats', ttl => '1 hour');
SELECT count(*) FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
SELECT venice.alter_feature_view('asof_stats', features => 'delay, n AS flights, n * 2 AS twice', ttl => '36 hours');
SELECT twice FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
SELECT proacl FROM pg_proc WHERE pronamespace = 'asof_stats'::regnamespace AND proname = 'as_of';
GRANT EXECUTE ON FUNCTION asof_stats.as_of TO PUBLIC;
CREATE TABLE delays_2 AS SELECT carrier, at, loaded_at, delay + 100 AS delay, n FROM delays;
SELECT venice.alter_source('asof_delays', '{"relation": "delays_2"}');
SELECT delay FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
-- A source that is not found is no reason for a push to fail; made anew, they call it as it is called now.
ALTER TABLE delays_2 RENAME TO delays_3;
SELECT venice.push('asof_stats', $$VALUES ('UA', 1, 2, 3, now())$$);
SELECT venice.rebuild_functions('asof_stats');
SELECT delay FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
-- The caller reads what they read: EXECUTE alone is nothing.
GRANT USAGE ON SCHEMA asof_stats TO asof_reader;
RESET ROLE;
SET ROLE asof_reader;
SELECT delay FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
RESET ROLE;
SET ROLE asof_owner;
GRANT SELECT (carrier, at, loaded_at, delay, n) ON delays_3 TO asof_reader;
RESET ROLE;
SET ROLE asof_reader;
SELECT delay FROM asof_stats.as_of('AA', '2013-06-01 13:30+00');
RESET ROLE;
SET ROLE asof_owner;

-- Of a service -------------------------------------------------------------------------------------------------------

SELECT venice.create_on_demand_view('asof_ratio', '{asof_stats:delay}', 'delay / nullif(distance, 0) AS per_mile', request => 'distance float8');
SELECT venice.create_service('asof_model', '{asof_stats:delay, asof_stats:flights, asof_ratio:per_mile}', '{"defaults": {"flights": -1}}');
SELECT pg_get_function_arguments('asof_model.as_of'::regproc), pg_get_function_result('asof_model.as_of'::regproc);
-- Always one row, with what is missing and why, and defaults as online.
SELECT * FROM asof_model.as_of('AA', 50, '2013-06-01 13:30+00');
SELECT * FROM asof_model.as_of('AA', 50, at => '2013-06-09');
SELECT * FROM asof_model.as_of('XX', 50, at => '2013-06-09');
SELECT * FROM asof_model.as_of(NULL, NULL, NULL);
-- It is the join, row by row.
CREATE TABLE flights AS SELECT i AS id, (ARRAY['UA', 'AA', 'XX'])[i % 3 + 1] AS carrier, i::float8 AS distance, '2013-06-01'::timestamptz + i * interval '3 hours' AS event_time FROM generate_series(0, 20) i;
SELECT venice.historical_features_query('TABLE flights', '{asof_model}', options => '{"with_status": true}') AS query \gset
SELECT count(*) AS flights, count(*) FILTER (WHERE ROW(j.delay, j.flights, j.per_mile, j._status) IS DISTINCT FROM ROW(a.delay, a.flights, a.per_mile, a._status)) AS differ
  FROM (:query) j CROSS JOIN LATERAL asof_model.as_of(j.carrier, j.distance, at => j.event_time) a;
-- Types are pinned: a feature that became wider is what it was to the service.
SELECT venice.alter_feature_view('asof_stats', features => 'delay, n::bigint AS flights, n * 2 AS twice');
SELECT pg_typeof(flights), flights FROM asof_model.as_of('AA', 50, '2013-06-01 13:30+00');
-- Who may call the service needs no right on what it reads; who may not, none of it.
GRANT USAGE ON SCHEMA asof_model TO asof_reader;
REVOKE SELECT (delay) ON delays_3 FROM asof_reader;
RESET ROLE;
SET ROLE asof_reader;
SELECT delay FROM asof_model.as_of('AA', 50, '2013-06-01 13:30+00');
SELECT * FROM venice.check_consistency('asof_model');
RESET ROLE;
SET ROLE asof_owner;
REVOKE USAGE ON SCHEMA asof_model FROM asof_reader;
RESET ROLE;
SET ROLE asof_reader;
SELECT * FROM venice_internal.service_as_of('default.asof_model', 'AA'::text, 50::float8, now()) AS r (a float8, b int, c float8, s jsonb);
RESET ROLE;
SET ROLE asof_owner;
SELECT * FROM venice_internal.service_as_of('default.asof_model', 'AA'::text, now()) AS r (a float8, b int, c float8, s jsonb);
SELECT * FROM venice_internal.service_as_of('default.asof_model', 'AA'::text, 50::float8, now()) AS r (a float8);
-- "at" gives way to an argument of that name.
SELECT venice.create_on_demand_view('asof_late', '{asof_stats:delay}', 'delay + at AS late', request => 'at float8');
SELECT venice.create_service('asof_named', '{asof_late:late}');
SELECT pg_get_function_arguments('asof_named.as_of'::regproc);
SELECT late FROM asof_named.as_of('AA', 1, _at => '2013-06-01 13:30+00');

-- Consistency --------------------------------------------------------------------------------------------------------

-- What is asked now: the view was filled with something else than its source has.
TRUNCATE delays_3;
INSERT INTO delays_3 VALUES ('UA', now() - interval '1 hour', NULL, 1, 2), ('AA', now() - interval '1 hour', NULL, 5, 5);
SELECT venice.push('asof_stats', $$VALUES ('UA', 1, 2, 4, now() - interval '1 hour'), ('AA', 50, 5, 10, now() - interval '1 hour')$$);
SELECT feature, compared, mismatched, example -> 'arguments' AS arguments, example -> 'online' AS online, example -> 'offline' AS offline,
       example ->> 'online_status' AS online_status, example ->> 'offline_status' AS offline_status
  FROM venice.check_consistency('asof_model');
SELECT sum(compared) AS compared FROM venice.check_consistency('asof_model', 1);
-- What was logged is what is compared, at the time of each answer, requests and all.
RESET ROLE;
INSERT INTO venice.served_feature (schema_oid, request_time, arguments, features, status) VALUES
    ('asof_model'::regnamespace, now(), '{"carrier": "AA", "distance": 10}', '{"delay": 5, "flights": 5, "per_mile": 0.5}', NULL),
    ('asof_model'::regnamespace, now() - interval '2 hours', '{"carrier": "AA", "distance": 10}', '{"delay": null, "flights": -1, "per_mile": null}', '{"delay": "not_found", "flights": "not_found", "per_mile": "not_found"}'),
    ('asof_model'::regnamespace, now(), '{"carrier": "UA", "distance": 0}', '{"delay": 1.5, "flights": 2, "per_mile": null}', '{"per_mile": "null_value"}');
SET ROLE asof_owner;
SELECT feature, compared, mismatched, example - 'time' AS example FROM venice.check_consistency('asof_model');
-- Of a feature that the service did not have then nothing is said.
SELECT venice.alter_service('asof_model', features => '{asof_stats:delay, asof_stats:twice, asof_ratio:per_mile}', options => '{"defaults": null}');
SELECT feature, compared, mismatched FROM venice.check_consistency('asof_model');
SELECT * FROM venice.check_consistency('asof_model', 0);
SELECT * FROM venice.check_consistency('asof_model', NULL);
SELECT * FROM venice.check_consistency('asof_nothing');
SELECT * FROM venice.check_consistency('asof_stats:delay');

-- Two services in one place of a statement are each answered for themselves, with the rights of their own owners.
SELECT venice.create_service('asof_one', '{asof_stats:twice}'), venice.create_service('asof_two', '{asof_stats:twice}', '{"defaults": {"twice": 7}}');
SELECT s, a.value, a.status FROM unnest('{default.asof_one,default.asof_two,default.asof_one}'::text[]) s, LATERAL venice_internal.service_as_of(s, 'ZZ'::text, now()) AS a (value int, status jsonb);

-- A view of aggregates has its past by the join only.
SELECT venice.create_feature_view('asof_windows', '{asof_carrier}', 'asof_delays', options => '{"aggregations": [{"function": "sum", "column": "n", "window": "1 day", "name": "n_1d"}]}');
SELECT count(*) FROM pg_proc WHERE pronamespace = 'asof_windows'::regnamespace AND proname = 'as_of';

SELECT venice.drop_service(s) FROM unnest('{asof_model,asof_named,asof_one,asof_two}'::text[]) s;
SELECT venice.drop_on_demand_view('asof_late'), venice.drop_on_demand_view('asof_ratio');
SELECT venice.drop_feature_view(v) FROM unnest('{asof_stats,asof_many,asof_naive,asof_windows}'::text[]) v;
SELECT venice.drop_store(s) FROM unnest('{asof_users,asof_plain}'::text[]) s;
SELECT venice.drop_source(s) FROM unnest('{asof_delays,asof_many,asof_naive}'::text[]) s;
SELECT venice.drop_entity(e) FROM unnest('{asof_carrier,asof_k}'::text[]) e;
RESET ROLE;
SET client_min_messages = error;
DROP OWNED BY asof_owner, asof_reader CASCADE;
DROP ROLE asof_owner, asof_reader;
