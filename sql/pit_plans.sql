-- Whatever the plan and however a history lies on disk, the point-in-time join answers what a query answers that says its rules in SQL.
\set VERBOSITY terse
SET timezone = 'UTC';
SET client_min_messages = warning;
CREATE SCHEMA pit_plans;
SET search_path = pit_plans, public;

-- Numbers that look like chance, the same everywhere.
CREATE FUNCTION chance(seed bigint, below bigint) RETURNS bigint IMMUTABLE LANGUAGE sql
    AS $$SELECT ('x' || substr(md5(seed::text), 1, 12))::bit(48)::bigint % below$$;

-- Few keys and few times, so that they meet: NULL keys, ties with and without created times, NULL values, late rows.
-- Rows that are tied in all that counts are alike.
CREATE TABLE fact AS
    SELECT NULLIF(chance(i, 23), 22)::integer AS k, NULLIF('key ' || chance(i + 100000, 3), 'key 2') AS k2,
           '2020-01-01'::timestamptz + chance(i + 200000, 4000) * interval '1 hour' AS at,
           CASE WHEN chance(i + 300000, 5) > 0 THEN '2020-01-01'::timestamptz + (chance(i + 200000, 4000) + chance(i + 400000, 5) - 1) * interval '1 hour' END AS made
      FROM generate_series(1, 3000) AS i;
ALTER TABLE fact ADD v integer, ADD w text, ADD wide text;
UPDATE fact SET v = hashtext(concat(k, at, made)) % 1000, w = CASE WHEN hashtext(concat(at, k)) % 3 > 0 THEN concat(k, at, made) END;
-- Some values are kept out of line.
UPDATE fact SET wide = (SELECT string_agg(md5(concat(k, at, made, i)), '') FROM generate_series(1, 300) AS i) WHERE hashtext(concat(at, k)) % 20 = 0;
UPDATE fact SET v = NULL WHERE v % 4 = 0;
CREATE TABLE spine AS
    SELECT i AS id, NULLIF(chance(i + 500000, 25), 24) AS k, NULLIF('key ' || chance(i + 600000, 4), 'key 3') AS k2,
           CASE WHEN chance(i + 700000, 40) > 0 THEN '2019-12-30'::timestamptz + chance(i + 800000, 4100) * interval '1 hour' + CASE chance(i + 900000, 3)
                WHEN 0 THEN '1 microsecond' WHEN 1 THEN '-1 microsecond' ELSE '0' END::interval END AS event_time
      FROM generate_series(1, 1200) AS i;
INSERT INTO spine SELECT id + 3000, k, k2, event_time FROM spine WHERE id % 10 = 0;

-- The same rows in four layouts: as they came, with an index; partitioned, each in the order of the keys; without an index; behind a view.
CREATE TABLE heap AS SELECT * FROM fact ORDER BY chance(v, 1000), at;
CREATE INDEX ON heap (k, k2, at DESC, made DESC NULLS LAST) INCLUDE (v, w);
CREATE INDEX ON heap (k, at DESC, made DESC NULLS LAST) INCLUDE (v);
CREATE TABLE keyed (LIKE fact) PARTITION BY RANGE (at);
CREATE TABLE keyed_1 PARTITION OF keyed FOR VALUES FROM ('2020-01-01') TO ('2020-02-01');
CREATE TABLE keyed_2 PARTITION OF keyed FOR VALUES FROM ('2020-02-01') TO ('2020-05-01');
CREATE TABLE keyed_3 PARTITION OF keyed FOR VALUES FROM ('2020-05-01') TO ('2020-05-02');
CREATE TABLE keyed_rest PARTITION OF keyed DEFAULT;
CREATE INDEX ON keyed (k, k2, at DESC, made DESC NULLS LAST) INCLUDE (v, w);
CREATE INDEX ON keyed (k, at DESC, made DESC NULLS LAST) INCLUDE (v);
INSERT INTO keyed SELECT * FROM fact ORDER BY k, k2, at, made;
CREATE TABLE bare AS SELECT * FROM fact ORDER BY at;
CREATE VIEW behind AS SELECT * FROM heap WHERE k IS NOT NULL OR k2 IS NULL;
VACUUM ANALYZE heap, keyed, bare;

SELECT venice.create_entity('one', 'k integer'), venice.create_entity('two', 'k integer, k2 text');
SELECT venice.create_source(layout, relation => layout::regclass, event_time => 'at', created_time => 'made') FROM unnest('{heap,keyed,bare,behind}'::text[]) AS layout;
SELECT venice.create_feature_view(layout || '_' || entity || suffix, ARRAY[entity], layout, 'v, w, wide, w || v AS both_of_them', ttl => ttl, online => false)
  FROM unnest('{heap,keyed,bare,behind}'::text[]) AS layout, unnest('{one,two}'::text[]) AS entity, (VALUES ('', NULL), ('_short', '30 hours'::interval)) AS t(suffix, ttl);
-- A store's own history, with deletions and arrivals.
SELECT venice.create_store('kept', 'k integer, k2 text', 'v integer, w text, wide text', options => '{"history": true, "history_partition": "1 month"}');
SELECT venice.create_source('kept', store => 'kept');
SELECT venice.create_feature_view('kept_two', '{two}', 'kept'), venice.create_feature_view('kept_deferred', '{two}', 'kept');
INSERT INTO kept_history.rows (k, k2, v, w, wide, event_time, created_time, _deleted)
    SELECT k, k2, v, w, wide, at, made, hashtext(concat(at, made)) % 5 = 0 FROM fact WHERE k IS NOT NULL AND k2 IS NOT NULL;
CALL venice.run_maintenance();
VACUUM ANALYZE kept_history.rows;

-- What the rules say, in SQL: of which rows, by which keys, with which options.
CREATE FUNCTION expected(past text, keys text[], ttl interval, options jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    candidate text := format('(SELECT * FROM %s AS p WHERE %s AND p.at + %L::interval %s s.event_time %s ORDER BY at DESC, made DESC NULLS LAST, arrival DESC)', past,
        (SELECT string_agg(format('p.%1$I = s.%1$I', key), ' AND ') FROM unnest(keys) AS key), coalesce(options ->> 'availability_delay', '0'),
        CASE WHEN options @> '{"strict": true}' THEN '<' ELSE '<=' END, CASE WHEN options @> '{"created_cutoff": true}' THEN 'AND p.made <= s.event_time' ELSE '' END);
    fresh text := format('c.at >= s.event_time - %L::interval', coalesce(ttl, '1000 years'));
    -- The newest value that is not NULL, of what came after the newest deletion.
    single text := '(SELECT %1$s FROM (SELECT *, bool_or(deleted) OVER (ORDER BY at DESC, made DESC NULLS LAST, arrival DESC) AS gone FROM ' || candidate || ' AS c) AS c WHERE NOT gone AND %1$s IS NOT NULL AND '
        || fresh || ' ORDER BY at DESC, made DESC NULLS LAST, arrival DESC LIMIT 1)';
BEGIN
    IF options @> '{"ignore_nulls": true}' THEN
        RETURN QUERY EXECUTE format('SELECT row(s.id, %s, %s, md5(%s))::text FROM spine AS s', format(single, 'v'), format(single, 'w'), format(single, 'wide'));
    ELSE
        RETURN QUERY EXECUTE format($q$SELECT row(s.id, c.v, c.w, md5(c.wide), %s)::text
            FROM spine AS s LEFT JOIN LATERAL (SELECT k, CASE WHEN %s THEN v END AS v, CASE WHEN %2$s THEN w END AS w, CASE WHEN %2$s THEN wide END AS wide, at
            FROM (SELECT * FROM %s AS c LIMIT 1) AS c WHERE NOT deleted) AS c ON true$q$, CASE WHEN options @> '{"with_status": false}' THEN 'NULL, NULL'
            ELSE format($q$c.at, CASE WHEN c.k IS NULL THEN 'not_found' WHEN NOT %s THEN 'outside_max_age' END$q$, fresh) END, fresh, candidate);
    END IF;
END $$;

-- What the join says.
CREATE FUNCTION answered(view text, plan text, options jsonb) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    told boolean := NOT options @> '{"with_status": false}' AND NOT options ? 'ignore_nulls';
BEGIN
    RETURN QUERY EXECUTE format('SELECT row(id, v, w, md5(wide) %s)::text FROM (%s) AS f', CASE WHEN told THEN format($q$, %I, CASE WHEN _status ->> 'w' <> 'null_value' THEN _status ->> 'w' END$q$, view || '__event_time')
        WHEN options ? 'ignore_nulls' THEN '' ELSE ', NULL, NULL' END, venice.historical_features_query('TABLE spine', ARRAY[view || ':v', view || ':wide', view || ':w'],
            options => options || jsonb_build_object('plan', plan, 'with_event_time', told, 'with_status', told)));
END $$;

CREATE TABLE difference (past text, view text, plan text, options jsonb, expected bigint, missing bigint, wrong bigint);
CREATE PROCEDURE compare(past text, keys text[], views text[], ttl interval, plans text[], choices jsonb[]) LANGUAGE plpgsql AS $$
DECLARE
    choice jsonb;
    view text;
    plan text;
BEGIN
    FOREACH choice IN ARRAY choices LOOP
        CREATE TEMP TABLE answer AS SELECT e FROM expected(past, keys, ttl, choice) AS e;
        FOREACH view IN ARRAY views LOOP
            FOREACH plan IN ARRAY plans LOOP
                CREATE TEMP TABLE given AS SELECT a FROM answered(view, plan, choice) AS a;
                INSERT INTO difference SELECT past, view, plan, choice, (SELECT count(*) FROM answer),
                    (SELECT count(*) FROM (TABLE answer EXCEPT ALL TABLE given) AS m), (SELECT count(*) FROM (TABLE given EXCEPT ALL TABLE answer) AS m);
                DROP TABLE given;
            END LOOP;
        END LOOP;
        DROP TABLE answer;
    END LOOP;
END $$;
\set choices '\'{"{}","{\\"with_status\\": false}","{\\"strict\\": true}","{\\"created_cutoff\\": true}","{\\"availability_delay\\": \\"7 hours\\"}","{\\"ignore_nulls\\": true}","{\\"ignore_nulls\\": true, \\"created_cutoff\\": true}","{\\"strict\\": true, \\"created_cutoff\\": true, \\"availability_delay\\": \\"90 minutes\\"}"}\''
\set few '\'{"{}","{\\"with_status\\": false}","{\\"ignore_nulls\\": true, \\"created_cutoff\\": true}","{\\"strict\\": true, \\"created_cutoff\\": true, \\"availability_delay\\": \\"90 minutes\\"}"}\''
\set in_place '(SELECT *, 0 AS arrival, false AS deleted FROM heap)'
\set kept '(SELECT k, k2, v, w, wide, event_time AS at, created_time AS made, arrival, _deleted AS deleted FROM kept_history.rows)'
CALL compare(:'in_place', '{k,k2}', '{heap_two,keyed_two,bare_two,behind_two}', NULL, '{auto,probe,merge}', :choices);
CALL compare(:'in_place', '{k,k2}', '{heap_two_short,keyed_two_short,bare_two_short,behind_two_short}', '30 hours', '{auto,probe,merge}', :few);
CALL compare(:'in_place', '{k}', '{heap_one,keyed_one,bare_one}', NULL, '{auto,probe,merge}', :few);
CALL compare(:'in_place', '{k}', '{heap_one_short,keyed_one_short,bare_one_short}', '30 hours', '{auto,probe,merge}', :choices);
CALL compare(:'kept', '{k,k2}', '{kept_two}', NULL, '{auto,probe,merge}', :choices);
-- In next to no memory.
SET work_mem = '64kB';
CALL compare(:'in_place', '{k,k2}', '{heap_two,keyed_two,bare_two}', NULL, '{auto,probe,merge}', :few);
CALL compare(:'kept', '{k,k2}', '{kept_two}', NULL, '{auto,probe,merge}', :few);
RESET work_mem;
-- All at one time, by every plan.
CREATE TABLE spine_of_all_times AS TABLE spine;
DELETE FROM spine WHERE event_time IS NULL;
UPDATE spine SET event_time = '2020-04-01 12:00';
CALL compare(:'in_place', '{k,k2}', '{heap_two,keyed_two,bare_two,behind_two}', NULL, '{auto,probe,merge,instant}', :few);
CALL compare(:'in_place', '{k}', '{heap_one_short,keyed_one_short,bare_one_short,behind_one_short}', '30 hours', '{auto,probe,merge,instant}', :few);
CALL compare(:'kept', '{k,k2}', '{kept_two}', NULL, '{auto,probe,merge,instant}', :few);
SELECT count(*) AS comparisons, count(*) FILTER (WHERE missing + wrong > 0) AS different, min(expected) > 1000 AS all_rows FROM difference;
SELECT view, plan, options, missing, wrong FROM difference WHERE missing + wrong > 0 ORDER BY view, plan, options LIMIT 20;

-- The plans were what they are called: a view, or a table without index, is read as it can be.
SELECT view, plan, regexp_replace(substring(line FROM ': (.*)'), ' using.*', '') AS used FROM unnest('{heap_two,bare_two,behind_two}'::text[]) AS view, unnest('{probe,merge,instant}'::text[]) AS plan,
       LATERAL venice.explain_historical_features('TABLE spine', ARRAY[view], options => jsonb_build_object('plan', plan)) AS e(line) WHERE line LIKE '    pit_plans.%' ORDER BY 1, 2;

-- Several views asked for at once are what each of them is alone, whichever keys they have.
CREATE TABLE alone (id integer, at_once boolean, "values" text);
DO $$
DECLARE
    views text[] := '{heap_two,heap_two_short,keyed_one,kept_two,bare_one_short,behind_two}';
    options jsonb := '{"full_names": true, "with_status": true, "created_cutoff": true}';
    view text;
BEGIN
    FOREACH view IN ARRAY views LOOP
        EXECUTE format('INSERT INTO alone SELECT id, false, row(%L, %I, %I, _status ->> %3$L)::text FROM (%s) AS f', view, view || '__v', view || '__w',
            venice.historical_features_query('TABLE spine_of_all_times', ARRAY[view || ':v', view || ':w'], options => options));
    END LOOP;
    EXECUTE 'CREATE TABLE together AS ' || venice.historical_features_query('TABLE spine_of_all_times',
        (SELECT array_agg(v || ':v') || array_agg(v || ':w') FROM unnest(views) AS v), options => options);
    FOREACH view IN ARRAY views LOOP
        EXECUTE format('INSERT INTO alone SELECT id, true, row(%L, %I, %I, _status ->> %3$L)::text FROM together', view, view || '__v', view || '__w');
    END LOOP;
END $$;
SELECT count(*) AS "values", count(*) FILTER (WHERE a IS DISTINCT FROM t) AS different
  FROM (SELECT id, "values" AS a FROM alone WHERE NOT at_once) AS a FULL JOIN (SELECT id, "values" AS t FROM alone WHERE at_once) AS t ON a.id = t.id AND a = t;

-- Labels of the window that follows, by every plan.
CREATE TABLE labelled AS SELECT id, k, k2, '2020-01-01'::timestamptz + chance(id, 4000) * interval '1 hour' AS event_time FROM spine WHERE id % 3 = 0;
SELECT venice.create_label_view(layout || '_label', '{two}', layout, 'v', '5 days') FROM unnest('{heap,keyed,bare,behind}'::text[]) AS layout;
CREATE TABLE given (view text, plan text, id integer, v integer);
CREATE TABLE wanted AS SELECT id, (SELECT v FROM heap AS p WHERE p.k = s.k AND p.k2 = s.k2 AND at >= event_time AND at < event_time + '5 days'::interval ORDER BY at DESC, made DESC NULLS LAST LIMIT 1) AS v FROM labelled AS s;
DO $$
DECLARE
    view text;
    plan text;
BEGIN
    FOREACH view IN ARRAY '{heap,keyed,bare,behind}'::text[] LOOP
        FOREACH plan IN ARRAY '{auto,probe,merge}'::text[] LOOP
            EXECUTE format('INSERT INTO given SELECT %L, %L, id, v FROM (%s) AS f', view, plan,
                venice.historical_features_query('TABLE labelled', ARRAY[view || '_label'], options => jsonb_build_object('plan', plan)));
        END LOOP;
    END LOOP;
END $$;
SELECT count(DISTINCT (view, plan)) AS comparisons, count(*) FILTER (WHERE given.v IS DISTINCT FROM wanted.v OR given.id IS NULL) AS different, count(given.v) > 1000 AS most_found
  FROM (SELECT DISTINCT view, plan FROM given) AS p CROSS JOIN wanted LEFT JOIN given USING (view, plan, id);

-- Nothing stays behind.
SELECT count(venice.drop_label_view(name)) FROM venice.feature_views WHERE kind = 'label';
SELECT count(venice.drop_feature_view(name)) FROM venice.feature_views;
SELECT count(venice.drop_source(name)) FROM venice.sources;
SELECT count(venice.drop_entity(name)) FROM venice.entities;
SELECT venice.drop_store('kept');
DROP SCHEMA pit_plans CASCADE;
