-- Theme: features that are aggregates over windows of time: what a definition says and what is none, which events a window
-- holds and what is made of them, by the rules and beside brute force, and that the online store has the same.

\set SHOW_CONTEXT never
SET timezone = 'UTC';
CREATE TABLE windows_events (station text, customer integer, at timestamptz, loaded timestamptz, amount double precision, items integer,
    price numeric(10,2), code text, mood json);
CREATE INDEX ON windows_events (customer, at DESC, loaded DESC NULLS LAST);
SELECT venice.create_entity('customer', 'customer integer');
SELECT venice.create_source('windows_events', relation => 'windows_events', event_time => 'at', created_time => 'loaded');

-- Each aggregation is a feature, of the type that its function makes of its column's.
SELECT venice.create_feature_view('spending', '{customer}', 'windows_events', options => '{"aggregations": [
    {"name": "spent_1d", "function": "sum", "column": "amount", "window": "1 day"},
    {"name": "events_1d", "function": "count", "window": "1 day"},
    {"name": "items_7d", "function": "sum", "column": "items", "window": "7 days", "hop": "1 hour"},
    {"name": "paid_7d", "function": "sum", "column": "price", "window": "7 days"},
    {"name": "mean_price", "function": "avg", "column": "price", "window": "7 days"},
    {"name": "spread", "function": "stddev", "column": "amount / 2", "window": "7 days"},
    {"name": "least", "function": "min", "column": "price", "window": "7 days"},
    {"name": "last_mood", "function": "last", "column": "mood", "window": "7 days"},
    {"name": "codes", "function": "distinct_count", "column": "lower(code)", "window": "7 days"},
    {"name": "best", "function": "top_k", "column": "price", "window": "7 days", "k": 3}]}');
SELECT name, type, expression, source_columns, aggregation FROM venice.features WHERE view = 'spending' ORDER BY position;
SELECT features, aggregations ->> 1 AS second, upper_edge FROM venice.feature_views WHERE name = 'spending';
SELECT * FROM venice.describe('spending:items_7d');

-- What is no aggregation is said, and what one is.
\set define 'SELECT venice.create_feature_view(''bad'', ''{customer}'', ''windows_events'', options => jsonb_build_object(''aggregations'', jsonb_build_array('
:define '"sum"'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "1 day"}'::jsonb)));
:define '{"function": "sum", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "name": "x"}'::jsonb)));
:define '{"column": "amount", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "mode", "column": "amount", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "windows": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "code", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "max", "column": "mood", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "distinct_count", "column": "mood", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "no_such", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount, items", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "sum(amount)", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount) AS a, (items", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "top_k", "column": "amount", "window": "1 day", "name": "x"}'::jsonb)));
:define '{"function": "top_k", "column": "amount", "window": "1 day", "name": "x", "k": 0}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "1 day", "name": "x", "k": 3}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "1 day", "name": "customer"}'::jsonb)));
:define '{"function": "count", "window": "1 day", "name": "x"}'::jsonb, '{"function": "count", "window": "2 days", "name": "x"}'::jsonb)));
-- R11: a window has a length.
:define '{"function": "sum", "column": "amount", "window": "1 month", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "-1 day", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": 7, "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "1 day", "hop": "0", "name": "x"}'::jsonb)));
:define '{"function": "sum", "column": "amount", "window": "1 day", "hop": "2 days", "name": "x"}'::jsonb)));
SELECT venice.create_feature_view('bad', '{customer}', 'windows_events', 'amount', options => '{"aggregations": [{"function": "count", "window": "1 day", "name": "x"}]}');
SELECT venice.create_feature_view('bad', '{customer}', 'windows_events', options => '{"upper_edge": "inclusive"}');
SELECT venice.create_feature_view('bad', '{customer}', 'windows_events', options => '{"upper_edge": "both", "aggregations": [{"function": "count", "window": "1 day", "name": "x"}]}');
SELECT venice.create_label_view('bad', '{customer}', 'windows_events', 'amount', '1 day', options => '{"aggregations": []}');
-- Windows are over events, which a relation holds.
SELECT venice.create_source('windows_timeless', relation => 'windows_events');
SELECT venice.create_feature_view('bad', '{customer}', 'windows_timeless', options => '{"aggregations": [{"function": "count", "window": "1 day", "name": "x"}]}');
SELECT venice.create_source('windows_store', store => 'spending');
SELECT venice.create_feature_view('bad', '{customer}', 'windows_store', options => '{"aggregations": [{"function": "count", "window": "1 day", "name": "x"}]}');
SELECT venice.drop_source('windows_timeless'), venice.drop_source('windows_store');

-- What an aggregate is of may change in place, its type and its place may not; what was said of columns keeps its meaning.
SELECT venice.alter_feature_view('spending', '{"upper_edge": "inclusive", "ttl": "3 days"}');
SELECT array_agg(expression ORDER BY position) FROM venice.features WHERE view = 'spending';
SELECT venice.alter_feature_view('spending', jsonb_build_object('upper_edge', NULL, 'ttl', NULL, 'aggregations',
    (SELECT jsonb_set(aggregations, '{0,window}', '"2 days"') FROM venice.feature_views WHERE name = 'spending')));
SELECT aggregation FROM venice.features WHERE view = 'spending' AND name = 'spent_1d';
SELECT venice.alter_feature_view('spending', '{"aggregations": [{"function": "count", "window": "1 day", "name": "events_1d"}]}');
SELECT venice.alter_feature_view('spending', '{"aggregations": null}', 'amount');
SELECT venice.alter_feature_view('spending', features => 'amount');
-- A definition file holds it, and makes it again.
SELECT * FROM venice.plan(venice.export());
SELECT venice.export() AS definition \gset
SELECT venice.drop_feature_view('spending');
SELECT action, kind, name FROM venice.apply(:'definition');
SELECT * FROM venice.plan(:'definition');

-- R26: the window [t - W, t): an event at its beginning is in it, one at the very moment is not.
INSERT INTO windows_events (customer, at, amount, items, price, code) VALUES
    (1, '2026-03-01 12:00', 1, 1, 1.50, 'a'), (1, '2026-03-02 12:00', 10, 10, 2.50, 'B'), (1, '2026-03-03 12:00', 100, 100, 3.50, 'b'),
    (2, '2026-03-01 12:00', NULL, NULL, NULL, NULL), (3, '2026-03-01 12:00', 'NaN', 1, 'NaN', 'x'), (3, '2026-03-02 00:00', 'Infinity', 1, 1, 'x'),
    (3, '2026-03-03 12:00', 5, 1, 1, 'x'), (4, '2026-03-01 12:00', 1e300, 1, 1, 'x'), (4, '2026-03-03 00:00', 1, 1, 1, 'x'),
    (4, '2026-03-03 12:00', 1e-300, 1, 1, 'x');
SELECT venice.create_feature_view('edge', '{customer}', 'windows_events', options => '{"aggregations": [
    {"name": "n", "function": "count", "window": "1 day"}, {"name": "s", "function": "sum", "column": "amount", "window": "1 day"}]}');
SELECT venice.create_feature_view('edge_inclusive', '{customer}', 'windows_events', options => '{"upper_edge": "inclusive", "aggregations": [
    {"name": "n", "function": "count", "window": "1 day"}, {"name": "s", "function": "sum", "column": "amount", "window": "1 day"}]}');
\set spine 'SELECT * FROM (VALUES (1, timestamptz ''2026-03-02 12:00''), (1, ''2026-03-02 12:00:00.000001''), (1, ''2026-03-03 12:00''), (1, ''2026-03-09''), (NULL, ''2026-03-02''), (1, NULL), (9, ''2026-03-02'')) AS s (customer, event_time)'
SELECT * FROM venice.get_historical_features(:'spine', '{edge}', options => '{"preserve_order": true, "with_event_time": true, "with_status": true}')
    AS (customer integer, event_time timestamptz, n bigint, s double precision, edge__event_time timestamptz, _status jsonb);
-- The upper edge is the view's: the same that its store is filled by.
SELECT * FROM venice.get_historical_features(:'spine', '{edge_inclusive}', options => '{"preserve_order": true}')
    AS (customer integer, event_time timestamptz, n bigint, s double precision);
SELECT value LIKE '% < now()%' AS exclusive, value LIKE '% <= now()%' AS inclusive, name
  FROM (VALUES ('edge'), ('edge_inclusive')) AS v (name), venice.describe(name) WHERE property = 'filled by';
-- R9, R18: strict leaves the moment out; a delay and what was created later narrow the window.
SELECT * FROM venice.get_historical_features(:'spine', '{edge_inclusive}', options => '{"preserve_order": true, "strict": true}')
    AS (customer integer, event_time timestamptz, n bigint, s double precision);
SELECT * FROM venice.get_historical_features(:'spine', '{edge}', options => '{"preserve_order": true, "availability_delay": "1 us"}')
    AS (customer integer, event_time timestamptz, n bigint, s double precision);

-- R27: with a hop a window begins at a multiple of it, counted from 1970 in UTC whatever the session's zone.
SELECT venice.create_feature_view('hops', '{customer}', 'windows_events', online => false, options => '{"aggregations": [
    {"name": "by_day", "function": "count", "window": "1 day", "hop": "1 day"}, {"name": "by_7h", "function": "count", "window": "1 day", "hop": "7 hours"},
    {"name": "exact", "function": "count", "window": "1 day"}]}');
SET timezone = 'Asia/Kathmandu';
SELECT event_time AT TIME ZONE 'UTC' AS event_time, by_day, by_7h, exact,
       (SELECT count(*) FROM windows_events e WHERE e.customer = 1 AND e.at < q.event_time
           AND e.at >= date_bin('7 hours', q.event_time - interval '24 hours', '1970-01-01 00:00+00')) AS by_7h_in_sql
  FROM venice.get_historical_features('SELECT 1 AS customer, t AS event_time FROM generate_series(timestamptz ''2026-03-02 11:00+00'', ''2026-03-04 23:00+00'', ''6 hours'') AS t',
    '{hops}', options => '{"preserve_order": true}') AS q (customer integer, event_time timestamptz, by_day bigint, by_7h bigint, exact bigint);
SET timezone = 'UTC';

-- R28: NULLs count for nothing. Where there is nothing, counts are 0 and the rest is NULL. NaN and infinities are gone with their event.
-- R29: what leaves a window leaves no trace.
\set spine 'SELECT customer, t AS event_time FROM (VALUES (2), (3), (4)) AS c (customer), (VALUES (timestamptz ''2026-03-02 00:00''), (''2026-03-02 12:00''), (''2026-03-02 12:00:01''), (''2026-03-03 00:00:01''), (''2026-03-03 12:00:01'')) AS t (t)'
SELECT venice.create_feature_view('nothing', '{customer}', 'windows_events', online => false, options => '{"aggregations": [
    {"name": "n", "function": "count", "column": "amount", "window": "1 day"}, {"name": "kinds", "function": "distinct_count", "column": "code", "window": "1 day"},
    {"name": "s", "function": "sum", "column": "amount", "window": "1 day"}, {"name": "a", "function": "avg", "column": "amount", "window": "1 day"},
    {"name": "d", "function": "stddev", "column": "amount", "window": "1 day"}, {"name": "least", "function": "min", "column": "amount", "window": "1 day"},
    {"name": "greatest", "function": "max", "column": "amount", "window": "1 day"}, {"name": "paid", "function": "sum", "column": "price", "window": "1 day"},
    {"name": "top", "function": "top_k", "column": "amount", "window": "1 day", "k": 2}]}');
SELECT * FROM venice.get_historical_features(:'spine', '{nothing}', options => '{"preserve_order": true, "with_status": true}') AS
    (customer integer, event_time timestamptz, n bigint, kinds bigint, s double precision, a double precision, d double precision,
     least double precision, greatest double precision, paid numeric, top double precision[], _status jsonb);

-- R20, R21: windows of one view under two names, beside another view; each finds its own events.
SELECT venice.create_feature_view('last_event', '{customer}', 'windows_events', 'items, code', online => false);
SELECT * FROM venice.get_historical_features('SELECT 1 AS buyer, 4 AS seller, timestamptz ''2026-03-03 12:00:01'' AS event_time', '{edge, seller_edge:s, last_event:code}',
    options => '{"full_names": true, "joins": [{"view": "edge", "keys": {"customer": "buyer"}}, {"view": "edge", "alias": "seller_edge", "keys": {"customer": "seller"}},
                 {"view": "last_event", "keys": {"customer": "buyer"}}]}')
    AS (buyer integer, seller integer, event_time timestamptz, edge__n bigint, edge__s double precision, seller_edge__s double precision, last_event__code text);

-- R8: windows about no entity are of all events, whatever way they are found.
SELECT venice.create_feature_view('everybody', '{}', 'windows_events', online => false,
    options => '{"aggregations": [{"name": "n", "function": "count", "window": "1 day"}, {"name": "kinds", "function": "distinct_count", "column": "customer", "window": "1 day"}]}');
SELECT plan, q.* FROM unnest('{probe,merge}'::text[]) AS plan, venice.get_historical_features(
    'SELECT t AS event_time FROM unnest(''{2026-03-02 00:00+00, 2026-03-03 12:00:01+00, 2026-03-05+00}''::timestamptz[]) AS t', '{everybody}',
    options => jsonb_build_object('plan', plan, 'preserve_order', true)) AS q (event_time timestamptz, n bigint, kinds bigint);

-- Who may not read the events may not read what is made of them.
CREATE ROLE windows_stranger;
GRANT SELECT (customer, at) ON windows_events TO windows_stranger;
GRANT USAGE ON SCHEMA edge TO windows_stranger;
GRANT SELECT ON edge.records TO windows_stranger;
SET ROLE windows_stranger;
SELECT * FROM venice.get_historical_features('SELECT 1 AS customer, now() AS event_time', '{edge}') AS (customer integer, event_time timestamptz, n bigint, s double precision);
RESET ROLE;
DROP OWNED BY windows_stranger;
DROP ROLE windows_stranger;

-- R10: a ttl counts from the newest event in the view's windows.
SELECT venice.alter_feature_view('edge', ttl => '6 hours');
SELECT * FROM venice.get_historical_features('SELECT 1 AS customer, t AS event_time FROM generate_series(timestamptz ''2026-03-02 13:00'', ''2026-03-03 10:00'', ''5 hours'') AS t',
    '{edge}', options => '{"preserve_order": true, "with_status": true}') AS (customer integer, event_time timestamptz, n bigint, s double precision, _status jsonb);

-- What it adds up to is said where it does not fit, as by SQL.
INSERT INTO windows_events (customer, at, amount) VALUES (5, '2026-03-01 12:00', 1e308), (5, '2026-03-01 12:01', 1e308);
SELECT * FROM venice.get_historical_features('SELECT 5 AS customer, timestamptz ''2026-03-02'' AS event_time', '{edge_inclusive}')
    AS (customer integer, event_time timestamptz, n bigint, s double precision);

-- Every function over every type, in several windows at once, is what SQL makes of the same events: with NULLs, ties, NaN, infinities, times
-- of events that were known late, keys without events; exclusive and inclusive, with a delay, and as of what had been created.
CREATE TABLE windows_random (id bigint GENERATED ALWAYS AS IDENTITY, k integer, t timestamptz, c timestamptz, i2 smallint, i4 integer, i8 bigint,
    f4 real, f8 double precision, n numeric, s text);
SELECT setseed(0.42);
INSERT INTO windows_random (k, t, c, i2, i4, i8, f4, f8, n, s)
SELECT floor(random() * 4), timestamptz '1969-12-31 23:30' + floor(random() * 300) * interval '10 seconds',
       CASE WHEN random() > 0.1 THEN timestamptz '1969-12-31 23:30' + floor(random() * 400) * interval '10 seconds' + i * interval '1 microsecond' END,
       CASE WHEN random() > 0.1 THEN floor(random() * 9) - 4 END, CASE WHEN random() > 0.1 THEN floor(random() * 20) - 10 END,
       CASE WHEN random() > 0.1 THEN 9223372036854775000 - floor(random() * 20)::integer END,
       CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.02 THEN 'NaN' ELSE floor(random() * 20) / 4 END,
       CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.01 THEN 'NaN' WHEN random() < 0.01 THEN 'Infinity' WHEN random() < 0.01 THEN '-Infinity'
            WHEN random() < 0.05 THEN 1e300 * (floor(random() * 3) - 1) ELSE floor(random() * 2000) / 64 END,
       CASE WHEN random() < 0.1 THEN NULL WHEN random() < 0.01 THEN 'NaN' WHEN random() < 0.01 THEN '-Infinity' ELSE round(random()::numeric, 2) END,
       CASE WHEN random() > 0.1 THEN 's' || floor(random() * 12) END
  FROM generate_series(1, 1500) AS i;
-- Events of one time that nothing else tells apart have no order.
DELETE FROM windows_random e USING windows_random o WHERE e.c IS NULL AND o.c IS NULL AND (e.k, e.t) = (o.k, o.t) AND e.id > o.id;
CREATE TABLE windows_wanted AS
    SELECT format('%s_%s_%s_%s', function, col, window_s, COALESCE(hop_s, 0)) AS name, function, col, window_s, hop_s
      FROM unnest('{avg,count,distinct_count,first,last,max,min,stddev,sum,top_k}'::text[]) AS function, unnest('{i2,i4,i8,f4,f8,n,s}'::text[]) AS col,
           (VALUES (100, NULL), (600, NULL), (600, 70), (3600, 420)) AS w (window_s, hop_s)
     WHERE col <> 's' OR function NOT IN ('avg', 'stddev', 'sum');
CREATE TABLE windows_spine AS
    SELECT i AS id, CASE WHEN i % 37 > 0 THEN floor(random() * 5)::integer END AS k,
           CASE WHEN i % 50 > 0 THEN timestamptz '1969-12-31 23:30' + floor(random() * 350) * interval '10 seconds' + (i % 3) * interval '3 seconds' END AS event_time
      FROM generate_series(1, 60) AS i;
SELECT venice.create_entity('windows_k', 'k integer');
SELECT venice.create_source('windows_random', relation => 'windows_random', event_time => 't', created_time => 'c');
SELECT venice.create_feature_view('windows_' || edge, '{windows_k}', 'windows_random', online => false, options => jsonb_build_object('upper_edge', edge, 'aggregations',
    (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('name', name, 'function', function, 'column', col, 'window', window_s || ' seconds',
                                                           'hop', hop_s || ' seconds', 'k', CASE function WHEN 'top_k' THEN 3 END))) FROM windows_wanted)))
  FROM (VALUES ('exclusive'), ('inclusive')) AS e (edge);
-- SQL's own sums of doubles are rounded at each step: exact ones are of numeric.
CREATE FUNCTION windows_in_sql(function text, col text) RETURNS text LANGUAGE sql RETURN CASE function
    WHEN 'avg' THEN format('avg(%s::numeric)::double precision', col)
    WHEN 'stddev' THEN format('stddev_samp(%s::numeric)::double precision', col)
    WHEN 'sum' THEN CASE col WHEN 'f8' THEN 'sum(f8::numeric)::double precision' WHEN 'f4' THEN 'sum(f4::numeric)::real' ELSE format('sum(%s)', col) END
    WHEN 'distinct_count' THEN format('count(DISTINCT %s)', col)
    WHEN 'first' THEN format('(array_agg(%1$s ORDER BY t, c NULLS FIRST) FILTER (WHERE %1$s IS NOT NULL))[1]', col)
    WHEN 'last' THEN format('(array_agg(%1$s ORDER BY t DESC, c DESC NULLS LAST) FILTER (WHERE %1$s IS NOT NULL))[1]', col)
    WHEN 'top_k' THEN format('(array_agg(%1$s ORDER BY %1$s DESC) FILTER (WHERE %1$s IS NOT NULL))[1:3]', col)
    ELSE format('%s(%s)', function, col) END;
CREATE FUNCTION windows_differ(edge text, options jsonb, latest text, condition text)
    RETURNS TABLE (compared bigint, found bigint, differ bigint, example text) LANGUAGE plpgsql AS $$
DECLARE
    wanted record;
BEGIN
    EXECUTE 'CREATE TEMP TABLE ours ON COMMIT DROP AS ' ||
        venice.historical_features_query('TABLE windows_spine', ARRAY['windows_' || edge], options => options);
    CREATE TEMP TABLE result (name text, ours text, brute text, differ boolean, id integer) ON COMMIT DROP;
    FOR wanted IN
        SELECT window_s, hop_s, string_agg(windows_in_sql(function, col) || ' AS ' || name, ', ') AS aggregates,
               string_agg(format('(%1$L, ours.%1$I::text, brute.%1$I::text, %2$s)', name,
                   CASE WHEN function IN ('avg', 'stddev') OR (function = 'sum' AND col IN ('f4', 'f8'))
                        THEN format('NOT (ours.%1$I IS NOT DISTINCT FROM brute.%1$I OR COALESCE(abs(ours.%1$I - brute.%1$I) <= 1e-14 * abs(brute.%1$I), false))', name)
                        ELSE format('ours.%1$I IS DISTINCT FROM brute.%1$I', name) END), ', ') AS comparisons
          FROM windows_wanted GROUP BY window_s, hop_s
    LOOP
        EXECUTE format('INSERT INTO result SELECT c.*, s.id FROM windows_spine s LEFT JOIN ours USING (id) CROSS JOIN LATERAL (
                SELECT %s FROM windows_random e WHERE e.k = s.k AND e.t %s AND e.t >= %s AND %s) brute CROSS JOIN LATERAL (VALUES %s) c',
            wanted.aggregates, latest,
            CASE WHEN wanted.hop_s IS NULL THEN format('s.event_time - interval ''%s s''', wanted.window_s)
                 ELSE format('date_bin(''%s s'', s.event_time - interval ''%s s'', ''1970-01-01 00:00+00'')', wanted.hop_s, wanted.window_s) END,
            condition, wanted.comparisons);
    END LOOP;
    RETURN QUERY SELECT count(*), count(r.ours), count(*) FILTER (WHERE r.differ),
                        min(format('%s of row %s: %s, not %s', name, id, ours, brute)) FILTER (WHERE r.differ) FROM result r;
    DROP TABLE ours, result;
END $$;
SELECT differ, example, found * 2 > compared AS mostly_found FROM windows_differ('exclusive', '{"plan": "merge"}', '< s.event_time', 'true');
SELECT differ, example FROM windows_differ('inclusive', '{"preserve_order": true}', '<= s.event_time', 'true');
SELECT differ, example FROM windows_differ('inclusive', '{"strict": true}', '< s.event_time', 'true');
SELECT differ, example FROM windows_differ('exclusive', '{"availability_delay": "37 seconds"}', '<= s.event_time - interval ''37 seconds''', 'true');
SELECT differ, example FROM windows_differ('exclusive', '{"created_cutoff": true}', '< s.event_time', 'e.c <= s.event_time');
-- Whatever the way to the events: all in order or those of each key, with an index and without.
SELECT differ, example FROM windows_differ('exclusive', '{"plan": "probe"}', '< s.event_time', 'true');
CREATE INDEX ON windows_random (k, t DESC, c DESC NULLS LAST);
ANALYZE windows_random;
SELECT differ, example FROM windows_differ('exclusive', '{"plan": "probe", "created_cutoff": true}', '< s.event_time', 'e.c <= s.event_time');
SELECT differ, example FROM windows_differ('inclusive', '{"plan": "merge"}', '<= s.event_time', 'true');
-- A few moments do not read all events.
SELECT * FROM venice.explain_historical_features('SELECT * FROM windows_spine WHERE id = 1', '{windows_exclusive:avg_f8_100_0}') AS e (line) WHERE line LIKE '%windows_random%';
SELECT * FROM venice.explain_historical_features('SELECT s.* FROM windows_spine s, generate_series(1, 1000)', '{windows_exclusive:avg_f8_100_0}') AS e (line) WHERE line LIKE '%windows_random%';

-- The online store is filled with what the join finds at that time; counts of who has no events are 0 there too.
INSERT INTO windows_events (customer, at, amount, items, price, code, mood)
    SELECT i % 3, now() - i * interval '97 minutes', i, i, i, 'c' || i % 4, to_json(i) FROM generate_series(0, 200) AS i;
BEGIN;
SELECT value FROM venice.describe('spending') WHERE property = 'filled by' \gexec
SELECT venice.historical_features_query('SELECT customer, now() AS event_time FROM generate_series(0, 3) AS customer', '{spending}',
                                        options => '{"with_event_time": true}') AS query \gset
SELECT count(o.*) AS ours, count(r.*) AS online,
       count(*) FILTER (WHERE (o.spent_1d, o.events_1d, o.items_7d, o.paid_7d, round(o.mean_price::numeric, 9), round(o.spread::numeric, 9), o.least, o.last_mood::text, o.codes, o.best, o.spending__event_time)
                           IS DISTINCT FROM (r.spent_1d, r.events_1d, r.items_7d, r.paid_7d, round(r.mean_price::numeric, 9), round(r.spread::numeric, 9), r.least, r.last_mood::text, r.codes, r.best, r._event_time)) AS differ
  FROM (:query) AS o LEFT JOIN spending.records r USING (customer) WHERE customer < 3;
COMMIT;
SELECT venice.create_service('windows_model', '{spending:events_1d, spending:codes, spending:spent_1d}');
SELECT * FROM windows_model.get(9);
SELECT events_1d, codes, spent_1d, _status FROM venice.get_historical_features('SELECT 9 AS customer, now() AS event_time', '{windows_model}',
    options => '{"with_status": true}') AS (customer integer, event_time timestamptz, events_1d bigint, codes bigint, spent_1d double precision, _status jsonb);
SELECT feature, value, status FROM venice.get_online_features('{spending:codes, spending:spent_1d}', '{"customer": 9}');
-- So has what is computed from them.
SELECT venice.create_on_demand_view('windows_demand', '{spending:events_1d}', 'events_1d + 1 AS more');
SELECT more FROM venice.get_historical_features('SELECT 9 AS customer, now() AS event_time', '{windows_demand}') AS (customer integer, event_time timestamptz, more bigint);
SELECT feature, value, status FROM venice.get_online_features('{windows_demand}', '{"customer": 9}');

SELECT venice.drop_service('windows_model'), venice.drop_on_demand_view('windows_demand'), venice.drop_feature_view('spending'), venice.drop_feature_view('last_event'), venice.drop_feature_view('everybody'), venice.drop_feature_view('edge'), venice.drop_feature_view('edge_inclusive'),
       venice.drop_feature_view('hops'), venice.drop_feature_view('nothing'), venice.drop_feature_view('windows_exclusive'), venice.drop_feature_view('windows_inclusive');
SELECT venice.drop_source('windows_events'), venice.drop_source('windows_random'), venice.drop_entity('customer'), venice.drop_entity('windows_k');
DROP FUNCTION windows_differ, windows_in_sql;
DROP TABLE windows_events, windows_random, windows_wanted, windows_spine;
