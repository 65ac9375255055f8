-- The rules of the point-in-time join, one by one; each answer is the same by every plan.
\set VERBOSITY terse
SET timezone = 'UTC';
SET datestyle = 'ISO';
CREATE SCHEMA pit_rules;
SET search_path = pit_rules, public;

-- The rows of an answer as text, in the order of the spine; an error when a plan gives others than the one chosen by cost.
CREATE FUNCTION ask(spine text, features text[], options jsonb DEFAULT '{}') RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    plan text;
    answer text[];
    rows text[];
BEGIN
    FOREACH plan IN ARRAY '{auto,probe,merge}'::text[] LOOP
        EXECUTE 'SELECT array_agg(answer::text) FROM (' || venice.historical_features_query(spine, features,
            options => jsonb_build_object('preserve_order', true, 'plan', plan) || options) || ') AS answer' INTO rows;
        IF answer IS DISTINCT FROM rows AND plan <> 'auto' THEN
            RAISE EXCEPTION 'plan % answers %, not %', plan, rows, answer;
        END IF;
        answer := rows;
    END LOOP;
    RETURN QUERY SELECT unnest(answer);
END $$;

CREATE TABLE event (k integer, at timestamptz, made timestamptz, v integer, w text);
CREATE INDEX ON event (k, at DESC, made DESC NULLS LAST) INCLUDE (v, w);
SELECT venice.create_entity('thing', 'k integer'), venice.create_source('event', relation => 'event', event_time => 'at', created_time => 'made');
SELECT venice.create_feature_view('ever', '{thing}', 'event', 'v, w'),
       venice.create_feature_view('hourly', '{thing}', 'event', 'v, w', ttl => '1 hour');

-- R1: each row of the spine is there once: found or not, equal to another, tied among rows of the past.
INSERT INTO event VALUES (1, '2020-01-01 10:00', NULL, 11, 'a'), (1, '2020-01-01 10:00', NULL, 11, 'a'), (1, '2020-01-01 09:00', NULL, 10, 'z');
SELECT ask($$SELECT k, '2020-01-01 11:00+0'::timestamptz AS event_time FROM unnest('{1,1,1,99,99,NULL}'::int[]) AS k$$, '{ever:v}');
SELECT ask($$SELECT 1 AS k, now() AS event_time WHERE false$$, '{ever:v}');

-- R2: all columns of the spine come back as they are, then the features as they were named, and nothing else.
\a\t
SELECT venice.historical_features_query($$SELECT 'x'::varchar(5) AS "Order Id", 1.50::numeric(5,2) AS price, 1 AS k, NULL::int[] AS label, now() AS event_time$$, '{ever:w,ever:v}');
\a\t
SELECT ask($$SELECT 'x'::varchar(5) AS "Order Id", 1.50::numeric(5,2) AS price, 1 AS k, NULL::int[] AS label, '2020-01-01 11:00+0'::timestamptz AS event_time$$, '{ever:w,ever:v}');

-- R3: rows come in the order of the spine for who asks for it.
INSERT INTO event SELECT 3, '2020-01-01 UTC'::timestamptz + i * interval '1 minute', NULL, i, NULL FROM generate_series(0, 99) AS i;
SELECT count(*), bool_and(v = n) FROM (SELECT split_part(a, ',', 2)::int AS n, split_part(rtrim(a, ')'), ',', 4)::int AS v, row_number() OVER () AS place
    FROM ask($$SELECT 3 AS k, i * 37 % 100 AS n, '2020-01-01 UTC'::timestamptz + (i * 37 % 100) * interval '1 minute' AS event_time FROM generate_series(0, 99) AS i$$, '{ever:v}') AS a) AS rows
 WHERE n = (place - 1) * 37 % 100;

-- R4: which row it was, and why there is none, is told to who asks.
INSERT INTO event VALUES (4, '2020-01-01 10:00', NULL, NULL, 'a');
SELECT ask($$SELECT column1 AS k, column2 AS event_time FROM (VALUES (4, '2020-01-01 10:30+0'::timestamptz), (4, '2020-01-01 12:00+0'), (5, '2020-01-01 10:30+0')) AS v$$,
           '{hourly}', '{"with_event_time": true, "with_status": true}');

-- R5: keys are equal by the equality of their types, column by column, whichever integers they are.
CREATE TABLE pair (a text, b text, at timestamptz, v integer);
INSERT INTO pair VALUES ('1', '12', '2020-01-01', 112), ('11', '2', '2020-01-01', 1102), ('A', 'x ', '2020-01-01', 3);
SELECT venice.create_entity('pair', 'a text, b text'), venice.create_source('pair', relation => 'pair', event_time => 'at');
SELECT venice.create_feature_view('pairs', '{pair}', 'pair', 'v AS p');
SELECT ask($$SELECT a, b, '2020-01-02'::timestamptz AS event_time FROM (VALUES ('1', '12'), ('11', '2'), ('1', '2'), ('A', 'x'), ('a', 'x '), ('A', 'x ')) AS v(a, b)$$, '{pairs}');
SELECT ask($$SELECT 1::bigint AS k, '2020-01-01 11:00+0'::timestamptz AS event_time UNION ALL SELECT 4294967297, '2020-01-01 11:00+0'$$, '{ever:v}');
SELECT ask($$SELECT 1::smallint AS k, '2020-01-01 11:00+0'::timestamptz AS event_time$$, '{ever:v}');
SELECT ask($$SELECT 'x'::text AS k, now() AS event_time$$, '{ever:v}');

-- R6: a NULL among the keys finds nothing, and is not found.
INSERT INTO event VALUES (NULL, '2020-01-01 10:00', NULL, 666, 'null');
INSERT INTO pair VALUES ('n', NULL, '2020-01-01', 666), (NULL, NULL, '2020-01-01', 667);
SELECT ask($$SELECT NULL::int AS k, 'n' AS a, NULL::text AS b, '2020-01-02'::timestamptz AS event_time$$, '{ever:v,pairs}', '{"with_status": true}');

-- R7: a row without time finds nothing, or is refused.
SELECT ask($$SELECT 1 AS k, NULL::timestamptz AS event_time UNION ALL SELECT 1, '2020-01-01 11:00+0'$$, '{ever:v}', '{"with_status": true}');
SELECT ask($$SELECT 1 AS k, NULL::timestamptz AS event_time$$, '{ever:v}', '{"null_time": "raise"}');
SELECT ask($$SELECT 1 AS k, now() AS event_time$$, '{ever:v}', '{"null_time": "ignore"}');

-- R8: what is about nobody in particular is found by time alone, for every row.
CREATE TABLE rate (at timestamptz, rate numeric);
INSERT INTO rate VALUES ('2020-01-01', 1.1), ('2020-01-02', 1.2), ('2020-01-03', 1.3);
SELECT venice.create_source('rate', relation => 'rate', event_time => 'at');
SELECT venice.create_feature_view('rates', '{}', 'rate', 'rate', online => false);
SELECT ask($$SELECT k, t AS event_time FROM unnest('{1,1,NULL}'::int[], '{2020-01-02 12:00+0,2020-01-03 12:00+0,2019-12-31 00:00+0}'::timestamptz[]) AS s(k, t)$$, '{rates,ever:v}');
SELECT venice.create_feature_view('rates_online', '{}', 'rate', 'rate');

-- R9: what was true at the time counts, and with "strict" only what was before.
INSERT INTO event VALUES (9, '2020-01-01 10:00', NULL, 1, NULL), (9, '2020-01-01 11:00', NULL, 2, NULL);
SELECT ask($$SELECT 9 AS k, '2020-01-01 11:00+0'::timestamptz AS event_time$$, '{ever:v}'),
       ask($$SELECT 9 AS k, '2020-01-01 11:00+0'::timestamptz AS event_time$$, '{ever:v}', '{"strict": true}'),
       ask($$SELECT 9 AS k, '2020-01-01 11:00:00.000001+0'::timestamptz AS event_time$$, '{ever:v}', '{"strict": true}');

-- R10: a row is as old as the ttl at most, to the microsecond.
INSERT INTO event VALUES (10, '2020-01-01 10:00', NULL, 1, NULL);
SELECT venice.create_feature_view('half_second', '{thing}', 'event', 'v', ttl => '500 ms');
SELECT ask($$SELECT 10 AS k, '2020-01-01 11:00+0'::timestamptz AS event_time UNION ALL SELECT 10, '2020-01-01 11:00:00.000001+0'$$, '{hourly:v}', '{"with_status": true}');
SELECT ask($$SELECT 10 AS k, '2020-01-01 10:00:00.5+0'::timestamptz AS event_time UNION ALL SELECT 10, '2020-01-01 10:00:00.500001+0'$$, '{half_second}', '{"with_status": true}');
SELECT venice.create_feature_view('bad', '{thing}', 'event', 'v', ttl => '0');

-- R11: a ttl is a length: of 24 hours for a day, where clocks change too; months are none.
INSERT INTO event VALUES (11, '2020-03-07 17:00', NULL, 1, NULL);
SELECT venice.create_feature_view('daily', '{thing}', 'event', 'v', ttl => '1 day');
SET timezone = 'America/New_York';
SELECT ask($$SELECT 11 AS k, '2020-03-08 17:00+0'::timestamptz AS event_time UNION ALL SELECT 11, '2020-03-08 17:00:00.000001+0'$$, '{daily}', '{"with_status": true}');
SET timezone = 'UTC';
SELECT ask($$SELECT 11 AS k, '2020-03-08 17:00+0'::timestamptz AS event_time UNION ALL SELECT 11, '2020-03-08 17:00:00.000001+0'$$, '{daily}', '{"with_status": true}');
SELECT venice.create_feature_view('bad', '{thing}', 'event', 'v', ttl => '1 month');

-- R12: a time without zone is refused until its zone is named, in the past as in the spine; it is that zone's then, whatever the session's.
CREATE TABLE naive (k integer, at timestamp, v integer);
INSERT INTO naive VALUES (12, '2020-07-01 08:00', 1), (12, '2020-07-01 09:00', 2);
SELECT venice.create_source('naive', relation => 'naive', event_time => 'at');
SELECT venice.create_source('naive', relation => 'naive', event_time => 'at', options => '{"time_zone": "America/New_York"}');
SELECT venice.create_feature_view('local', '{thing}', 'naive', 'v AS local_v', ttl => '1 day');
SELECT ask($$SELECT 12 AS k, '2020-07-01 12:30+0'::timestamptz AS event_time$$, '{local}', '{"with_event_time": true}');
SELECT ask($$SELECT 12 AS k, '2020-07-01 14:30'::timestamp AS event_time$$, '{local}');
\set VERBOSITY default
SELECT venice.historical_features_query($$SELECT 12 AS k, '2020-07-01 14:30'::timestamp AS event_time$$, '{local}');
\set VERBOSITY terse
SELECT ask($$SELECT 12 AS k, '2020-07-01 14:30'::timestamp AS event_time$$, '{local}', '{"time_zone": "Europe/Berlin", "with_event_time": true}');
SET timezone = 'Asia/Tokyo';
SELECT ask($$SELECT 12 AS k, '2020-07-01 14:30'::timestamp AS event_time$$, '{local}', '{"time_zone": "Europe/Berlin", "with_event_time": true}');
SET timezone = 'UTC';
SELECT ask($$SELECT 12 AS k, '2020-07-01 14:30'::timestamp AS event_time$$, '{local}', '{"time_zone": "Nowhere/Land"}');
SELECT ask($$SELECT 12 AS k, current_date AS event_time$$, '{local}');

-- R13: the newest row counts, and when that is too old nothing does; with "ignore_nulls" each column's own row.
INSERT INTO event VALUES (13, '2020-01-01 10:00', NULL, 1, 'old'), (13, '2020-01-01 10:50', NULL, NULL, 'new');
SELECT ask($$SELECT 13 AS k, t AS event_time FROM unnest('{2020-01-01 10:55+0,2020-01-01 11:30+0,2020-01-01 12:00+0}'::timestamptz[]) AS t$$, '{hourly}'),
       ask($$SELECT 13 AS k, t AS event_time FROM unnest('{2020-01-01 10:55+0,2020-01-01 11:30+0,2020-01-01 12:00+0}'::timestamptz[]) AS t$$, '{hourly}', '{"ignore_nulls": true}');

-- R14: of the same event time the newest created time counts, and none comes last.
INSERT INTO event VALUES (14, '2020-01-01 10:00', '2020-01-02', 2, NULL), (14, '2020-01-01 10:00', '2020-01-03', 3, NULL), (14, '2020-01-01 10:00', NULL, 9, NULL),
    (14, '2020-01-01 10:00', '2020-01-01', 1, NULL), (140, '2020-01-01 10:00', NULL, 4, NULL);
SELECT ask($$SELECT k, '2020-01-01 10:00+0'::timestamptz AS event_time FROM unnest('{14,140}'::int[]) AS k$$, '{ever:v}');

-- R15: of the same times what arrived last counts; there is one answer always.
SELECT venice.create_store('arrivals', 'k integer', 'v integer', options => '{"history": true}');
SELECT venice.create_source('arrivals', store => 'arrivals'), venice.create_feature_view('arrived', '{thing}', 'arrivals');
INSERT INTO arrivals_history.rows (k, event_time, created_time, v) VALUES (15, '2020-01-01 10:00', '2020-01-02', 1), (15, '2020-01-01 10:00', '2020-01-02', 3);
INSERT INTO arrivals_history.rows (k, event_time, created_time, v) VALUES (15, '2020-01-01 10:00', '2020-01-02', 2), (15, '2020-01-01 10:00', NULL, 5);
SELECT ask($$SELECT 15 AS k, '2020-01-01 10:00+0'::timestamptz AS event_time$$, '{arrived}');

-- R16: the row counts as it is, NULLs included; or of a column, or a view, the newest value that is not NULL.
INSERT INTO event VALUES (16, '2020-01-01 10:00', NULL, 1, 'one'), (16, '2020-01-01 10:10', NULL, NULL, 'two'), (16, '2020-01-01 10:20', NULL, NULL, NULL);
\set at16 '$$SELECT 16 AS k, \'2020-01-01 10:30+0\'::timestamptz AS event_time$$'
SELECT ask(:at16, '{ever}'), ask(:at16, '{ever}', '{"ignore_nulls": true}'), ask(:at16, '{ever}', '{"ignore_nulls": ["ever:w"]}'),
       ask(:at16, '{ever:v,hourly:w}', '{"ignore_nulls": ["hourly"]}');
SELECT ask(:at16, '{ever}', '{"ignore_nulls": 7}');
SELECT ask(:at16, '{ever}', '{"ignore_nulls": ["evr:w"]}');
SELECT ask(:at16, '{ever}', '{"ignore_nulls": {"ever": true}}');
SELECT ask(:at16, '{ever}', '{"availability_delay": {"evr": "1 day"}}');

-- R17: a deletion is found like any other row: nothing is left, and no older value comes back.
INSERT INTO arrivals_history.rows (k, event_time, v, _deleted) VALUES (17, '2020-01-01 10:00', 1, false), (17, '2020-01-01 11:00', NULL, true), (17, '2020-01-01 12:00', 3, false);
\set at17 '$$SELECT 17 AS k, t AS event_time FROM unnest(\'{2020-01-01 10:59+0,2020-01-01 11:00+0,2020-01-01 12:00+0}\'::timestamptz[]) AS t$$'
SELECT ask(:at17, '{arrived}', '{"with_status": true}'), ask(:at17, '{arrived}', '{"ignore_nulls": true}');

-- R18: what came late counts, unless only what was there by then is asked for, which needs to be known.
INSERT INTO event VALUES (18, '2020-01-01 10:00', '2020-01-01 10:01', 1, NULL), (18, '2020-01-01 10:30', '2020-01-01 12:00', 2, NULL), (18, '2020-01-01 10:40', NULL, 3, NULL),
    (18, '2020-01-01 10:00', '2020-01-01 10:50', 4, NULL);
\set at18 '$$SELECT 18 AS k, t AS event_time FROM unnest(\'{2020-01-01 10:00+0,2020-01-01 10:01+0,2020-01-01 10:45+0,2020-01-01 10:50+0,2020-01-01 11:59:59.999999+0,2020-01-01 12:00+0}\'::timestamptz[]) AS t$$'
SELECT ask(:at18, '{ever:v}'), ask(:at18, '{ever:v}', '{"created_cutoff": true}');
SELECT ask($$SELECT 'A' AS a, 'x ' AS b, now() AS event_time$$, '{pairs}', '{"created_cutoff": true}');
-- and what is known only a while later is seen only then.
SELECT ask($$SELECT 18 AS k, t AS event_time FROM unnest('{2020-01-01 10:44:59.999999+0,2020-01-01 10:45+0}'::timestamptz[]) AS t$$, '{ever:v}', '{"availability_delay": "5 minutes"}'),
       ask($$SELECT 18 AS k, t AS event_time FROM unnest('{2020-01-01 10:44:59.999999+0,2020-01-01 10:45+0}'::timestamptz[]) AS t$$, '{ever:v}', '{"availability_delay": {"ever": "5 minutes"}}');
SELECT ask(:at18, '{ever:v}', '{"availability_delay": "-1 second"}');

-- R19: a training set knows how it was made: which views, with which options, when.
SELECT venice.create_training_set('made', :at18, '{ever:v,hourly:w}', options => '{"strict": true, "created_cutoff": true, "availability_delay": "1 second", "ignore_nulls": ["ever:v"]}');
SELECT view_versions, options, snapshot::pg_snapshot IS NOT NULL AS snapshot, rows FROM venice.training_sets WHERE relation = 'made'::regclass;
DROP TABLE made;

-- R20: each view is found by itself, by its own keys: one does not miss what another misses.
SELECT ask($$SELECT 14 AS k, '1' AS a, '12' AS b, '2020-01-02 12:00+0'::timestamptz AS event_time UNION ALL SELECT 99, '1', '12', '2020-01-02 12:00+0' UNION ALL SELECT 14, 'no', '12', '2020-01-02 12:00+0'$$,
           '{ever:v,pairs,hourly:w,rates}');

-- R21: a view may be asked for twice, by other keys; names are told apart, or refused.
\set flight '$$SELECT 14 AS origin, 16 AS destination, \'2020-01-01 10:00+0\'::timestamptz AS event_time$$'
\set joins '"joins": [{"view": "ever", "alias": "from_there", "keys": {"k": "origin"}}, {"view": "ever", "alias": "to_there", "keys": {"k": "destination"}}]'
\set options '\'{':joins'}\''
SELECT ask(:flight, '{from_there:v,to_there:w}', :options);
\set options '\'{':joins', "full_names": true, "with_event_time": true}\''
\a\t
SELECT venice.historical_features_query(:flight, '{from_there,to_there}', options => :options);
\a\t
SELECT ask(:flight, '{from_there,to_there}', :options);
SELECT ask($$SELECT 14 AS _k, '2020-01-01 10:00+0'::timestamptz AS event_time$$, '{ever:v}', '{"joins": [{"view": "ever", "keys": {"k": "_k"}}]}');
\set VERBOSITY default
\set options '\'{':joins'}\''
SELECT venice.historical_features_query(:flight, '{from_there,to_there}', options => :options);
SELECT venice.historical_features_query('SELECT 14 AS k, 1 AS v, now() AS event_time', '{ever}');
SELECT venice.historical_features_query('SELECT 14 AS k, 1 AS k, now() AS event_time', '{ever}');
SELECT venice.historical_features_query('SELECT 14 AS k, 1 AS ever__event_time, now() AS event_time', '{ever}', options => '{"with_event_time": true}');
SELECT venice.historical_features_query(:flight, '{ever}');
SELECT venice.historical_features_query('SELECT 14 AS k, now() AS t', '{ever}');
SELECT venice.historical_features_query(:flight, '{ever}', options => '{"joins": [{"view": "ever", "keys": {"key": "origin"}}]}');
\set VERBOSITY terse

-- R22: features are what a view declares, under its names; another column of the table is none.
SELECT venice.create_feature_view('renamed', '{thing}', 'event', 'v * 2 AS doubled, w AS v');
SELECT ask(:at16, '{renamed}'), ask(:at18, '{renamed:doubled}');
SELECT ask(:at16, '{renamed:w}');
SELECT ask(:at16, '{renamed:made}');

-- R23: what is computed is computed from the joined row; what it was computed from is not in the answer, what is asked of the caller must be in the spine.
SELECT venice.create_on_demand_view('ratio', '{ever:v,pairs:p}', 'ever.v / nullif(request.d, 0) AS quotient, p - v AS difference', request => 'd integer');
\set at23 '$$SELECT 14 AS k, \'1\' AS a, \'12\' AS b, \'2020-01-02\'::timestamptz AS event_time, d FROM unnest(\'{1,0,NULL}\'::int[]) AS d$$'
SELECT ask(:at23, '{ratio:quotient}');
SELECT ask(:at23, '{ratio,pairs}', '{"with_status": true, "with_event_time": true}');
SELECT ask('SELECT 99 AS k, ''1'' AS a, ''12'' AS b, ''2020-01-02''::timestamptz AS event_time, 1::smallint AS d', '{ratio}', '{"with_status": true}');
\set VERBOSITY default
SELECT venice.historical_features_query('SELECT 14 AS k, ''1'' AS a, ''12'' AS b, now() AS event_time', '{ratio}');
SELECT venice.historical_features_query('SELECT 14 AS k, ''1'' AS a, ''12'' AS b, now() AS event_time, now() AS d', '{ratio}');
\set VERBOSITY terse

-- R24: a label is the newest of what came from the time on, within the window; while that is not over there is none.
INSERT INTO event VALUES (24, '2020-01-01 09:59', NULL, 0, NULL), (24, '2020-01-01 10:00', NULL, 1, NULL), (24, '2020-01-01 10:30', NULL, 2, NULL), (24, '2020-01-01 11:00', NULL, 3, NULL),
    (240, now(), NULL, 4, NULL);
SELECT venice.create_label_view('outcome', '{thing}', 'event', 'v AS label', '1 hour');
SELECT ask($$SELECT 24 AS k, t AS event_time FROM unnest('{2020-01-01 08:59+0,2020-01-01 09:30+0,2020-01-01 10:00+0,2020-01-01 10:00:00.000001+0,2020-01-01 11:00:00.000001+0}'::timestamptz[]) AS t$$,
           '{outcome}', '{"with_status": true, "with_event_time": true}');
SELECT label, _status FROM venice.get_historical_features('SELECT 240 AS k, now() - interval ''1 minute'' AS event_time', '{outcome}', options => '{"with_status": true}')
    AS f(k int, event_time timestamptz, label int, _status jsonb);
SELECT ask($$SELECT 24 AS k, now() AS event_time$$, '{outcome}', '{"ignore_nulls": [7]}');
-- No ordinary view reads ahead, whatever is asked of a label beside it.
SELECT ask($$SELECT 24 AS k, '2020-01-01 10:00+0'::timestamptz AS event_time$$, '{outcome,ever:v}', '{"strict": true}');

-- R25: all that was between two times is the history itself; what there was at one time of every key is a snapshot.
SELECT k, event_time, v, _deleted FROM arrivals_history.rows WHERE event_time >= '2020-01-01 10:00' AND event_time < '2020-01-01 12:00' ORDER BY k, event_time, arrival;
SELECT t, s.* FROM unnest('{2020-01-01 10:30,2020-01-01 11:30,2020-01-01 12:30}'::timestamptz[]) AS t, arrivals.snapshot(t) AS s ORDER BY t, k;

-- What has no past says so, and how it could have one.
\set VERBOSITY default
SELECT venice.create_feature_view('now_only', '{thing}', 'event', 'v', offline => false);
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{now_only}');
CREATE TABLE timeless (k integer, v integer);
SELECT venice.create_source('timeless', relation => 'timeless'), venice.create_feature_view('forgetful', '{thing}', 'timeless');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{forgetful}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{no_such}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{ever}', options => '{"ttl": "1 day"}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{ever}', options => '{"plan": "guess"}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time', '{ever}', options => '{"strict": "perhaps"}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_tim FROM nowhere', '{ever}');
SELECT venice.historical_features_query('SELECT 1 AS k; SELECT 2', '{ever}');
SELECT venice.historical_features_query('DELETE FROM event RETURNING k, at AS event_time', '{ever}');
SELECT venice.historical_features_query('WITH gone AS (DELETE FROM event RETURNING k, at) SELECT k, at AS event_time FROM gone', '{ever}');
SELECT venice.historical_features_query('SELECT 1 AS k, row(1) AS r, now() AS event_time', '{ever}');
SELECT venice.historical_features_query('SELECT $1 AS k, now() AS event_time', '{ever}');
SELECT venice.historical_features_query('SELECT 1 AS k, now() AS event_time, ' || string_agg('1 AS c' || i, ', '), '{ever}') FROM generate_series(1, 1661) AS i;
-- A list of columns that does not fit is answered by the one that does.
SELECT * FROM venice.get_historical_features('SELECT 1 AS k, now() AS event_time', '{ever}') AS f(k int, event_time timestamptz, v int);
SELECT * FROM venice.get_historical_features('SELECT 1 AS k, now() AS event_time', '{ever}') AS f(k int, event_time timestamptz, v bigint, w text);
SELECT venice.get_historical_features('SELECT 1 AS k, now() AS event_time', '{ever}');
\set VERBOSITY terse

-- A row without an event time is no row of the past, and the end of time is a time like others, by every plan and behind a view.
CREATE TABLE undated (k integer, at timestamptz, v integer);
INSERT INTO undated SELECT i % 20000, timestamptz '2020-01-01 00:00+0' + i * interval '1 second', 1 FROM generate_series(1, 60000) AS i;
INSERT INTO undated SELECT i, NULL, -1 FROM generate_series(1, 20000, 7) AS i;
INSERT INTO undated VALUES (-5, 'infinity', 7);
CREATE INDEX ON undated (k, at DESC) INCLUDE (v);
VACUUM ANALYZE undated;
CREATE VIEW behind AS TABLE undated;
SELECT venice.create_source('undated', relation => 'undated', event_time => 'at'), venice.create_source('behind', relation => 'behind', event_time => 'at');
SELECT venice.create_feature_view('undated', '{thing}', 'undated', 'v', ttl => '1 day'), venice.create_feature_view('behind', '{thing}', 'behind', 'v', ttl => '1 day');
SELECT r.v, count(*) FROM (SELECT ask($$SELECT k, '2020-01-01 12:00+0'::timestamptz AS event_time FROM generate_series(0, 19999) k$$, '{undated:v}') AS row) a,
       LATERAL (SELECT split_part(rtrim(a.row, ')'), ',', 3) AS v) r GROUP BY 1 ORDER BY 1;
SELECT ask($$SELECT -5 AS k, 'infinity'::timestamptz AS event_time$$, '{undated:v,behind:v}', '{"full_names": true}');
-- Nor is a lock taken that stands in a subquery, and what was never filled is no past without rows.
SELECT ask('SELECT * FROM (SELECT k, at AS event_time FROM undated LIMIT 1 FOR UPDATE) s', '{undated:v}');
CREATE MATERIALIZED VIEW unfilled AS TABLE undated WITH NO DATA;
SELECT venice.create_source('unfilled', relation => 'unfilled', event_time => 'at'), venice.create_feature_view('unfilled', '{thing}', 'unfilled', 'v');
SELECT ask('SELECT 1 AS k, now() AS event_time', '{unfilled:v}');

-- Nothing stays behind.
SET client_min_messages = warning;
SELECT venice.drop_on_demand_view('ratio'), venice.drop_label_view('outcome');
SELECT count(venice.drop_feature_view(name)) FROM venice.feature_views;
SELECT count(venice.drop_source(name)) FROM venice.sources;
SELECT count(venice.drop_entity(name)) FROM venice.entities;
SELECT venice.drop_store('arrivals');
DROP SCHEMA pit_rules CASCADE;
