-- What is done for a history again and again: partitions, and the order of rows in them.
\set VERBOSITY terse
CREATE EXTENSION amcheck;
-- A worker that happens to analyze a table holds a snapshot, which some of this waits for.
CREATE PROCEDURE maintain(condition text) LANGUAGE plpgsql AS $$
DECLARE met boolean;
BEGIN
    FOR i IN 1..3000 LOOP
        EXECUTE 'SELECT ' || condition INTO met;
        EXIT WHEN met;
        CALL venice.run_maintenance();
        PERFORM pg_sleep(0.02);
    END LOOP;
    IF NOT met THEN RAISE 'still not: %', condition; END IF;
END $$;
SELECT venice.create_entity('past_entity', 'k int');
SELECT venice.create_store('past', 'k int', 'v text, w float8', options => '{"history": true, "history_partition": "1 year"}');
CREATE PROCEDURE compact() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..3000 LOOP
        BEGIN
            PERFORM venice.compact_history('past_view');
            EXIT;
        EXCEPTION WHEN lock_not_available THEN
            PERFORM pg_sleep(0.02);
        END;
        COMMIT;
    END LOOP;
END $$;
CREATE VIEW partition AS
    SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bounds, c.oid FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid
     WHERE inhparent = 'past_history.rows'::regclass;
SELECT venice.create_source('past', store => 'past');
SELECT venice.create_feature_view('past_view', '{past_entity}', 'past');

-- Rows of any time are welcome; those of one without a partition are moved into one that is made for them.
BEGIN;
INSERT INTO past_history.rows (k, v, w, event_time, created_time)
    SELECT i % 50, CASE WHEN i % 100 = 0 THEN (SELECT string_agg(md5(i || ' ' || j), '') FROM generate_series(1, 200) AS j) ELSE 'v' || i END,
           i, '2019-11-15 UTC'::timestamptz + i * interval '2 hours', NULL
      FROM generate_series(1, 2000) AS i;
INSERT INTO past_history.rows (k, event_time) VALUES (1, 'infinity'), (1, '20000-01-01 UTC'), (1, '100-01-01 UTC BC');
SELECT tableoid::regclass, count(*), sum(w), sum(length(v)), md5(string_agg(v, ',' ORDER BY w)) FROM past_history.rows GROUP BY 1;
COMMIT;
CALL maintain($$(SELECT count(*) < 10 FROM past_history.rows_default)$$);
SELECT tableoid::regclass, count(*), sum(w), sum(length(v)) FROM past_history.rows GROUP BY 1 ORDER BY tableoid::regclass::text;
SELECT sum(w), sum(length(v)), md5(string_agg(v, ',' ORDER BY w)) FROM past_history.rows;
SELECT relname, bounds FROM partition WHERE relname < 'rows_2026' ORDER BY 1;
-- Nothing is left to do: what is of no year that has a number stays.
CALL venice.run_maintenance();
SELECT count(*) FROM past_history.rows_default;

-- A time that is over lies in the order of keys, its statistics say so, and look-ups find all of it by its indexes.
SELECT bool_and(correlation > 0.99) FROM pg_stats WHERE schemaname = 'past_history' AND tablename IN ('rows_20190101', 'rows_20200101') AND attname = 'k';
SELECT count(*) FROM (SELECT (k, event_time, created_time, arrival) < lag((k, event_time, created_time, arrival)) OVER (ORDER BY ctid) AS wrong
    FROM past_history.rows_20200101) r WHERE wrong;
SELECT c.relname, bt_index_check(i.indexrelid, true) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
 WHERE i.indrelid IN ('past_history.rows_20190101'::regclass, 'past_history.rows_default'::regclass) AND amname = 'btree' ORDER BY 1;
SET enable_seqscan = off;
SELECT count(*), sum(w) FROM past_history.rows WHERE k = 7 AND event_time < '2021-01-01';
SELECT count(*), sum(length(v)) FROM past_history.rows WHERE k = 0 AND event_time < '2021-01-01';
RESET enable_seqscan;
SELECT store, views, relation, partitions, rows, bytes > 0 AS bytes, start_time AT TIME ZONE 'UTC' AS start_time, compacted, compacted_time IS NOT NULL AS time
  FROM venice.histories WHERE store = 'past';

-- A few late rows are not worth writing everything again, many are.
SELECT relfilenode AS before FROM pg_class WHERE oid = 'past_history.rows_20200101'::regclass \gset
INSERT INTO past_history.rows (k, w, event_time) VALUES (7, 0, '2020-02-01 UTC');
CALL venice.run_maintenance();
SELECT relfilenode = :before AS same FROM pg_class WHERE oid = 'past_history.rows_20200101'::regclass;
INSERT INTO past_history.rows (k, w, event_time) SELECT i % 50, 0, '2020-01-01 UTC'::timestamptz + i * interval '1 minute' FROM generate_series(1, 2000) AS i;
CALL maintain(format('(SELECT relfilenode <> %s FROM pg_class WHERE oid = ''past_history.rows_20200101''::regclass)', :before));
SELECT count(*), sum(w) FROM past_history.rows_20200101;
SELECT correlation > 0.99 AS ordered FROM pg_stats WHERE schemaname = 'past_history' AND tablename = 'rows_20200101' AND attname = 'k';
-- or when somebody says so.
DELETE FROM venice.compacted_partition WHERE partition_name = 'rows_20190101';
SELECT relfilenode AS before FROM pg_class WHERE oid = 'past_history.rows_20190101'::regclass \gset
CALL compact();
SELECT relfilenode = :before AS same FROM pg_class WHERE oid = 'past_history.rows_20190101'::regclass;
SELECT count(*) FROM pg_class WHERE relnamespace = 'past_history'::regnamespace AND relname LIKE 'pg_temp%';

-- What the owner has put on the history is on a rewritten partition, too, and rows that he has deleted are gone.
CREATE INDEX by_v ON past_history.rows (w DESC) WHERE w > 10;
CREATE UNIQUE INDEX ON past_history.rows_20190101 (arrival);
DELETE FROM past_history.rows WHERE k = 3;
DELETE FROM venice.compacted_partition;
CALL compact();
SELECT indexdef FROM pg_indexes WHERE schemaname = 'past_history' AND tablename = 'rows_20190101' ORDER BY 1;
SELECT bt_index_check(indexrelid, true) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
 WHERE indrelid = 'past_history.rows_20190101'::regclass AND relam <> (SELECT oid FROM pg_am WHERE amname = 'brin');
SELECT count(*) FROM past_history.rows WHERE k = 3;
DROP INDEX past_history.by_v;

-- It can be undone, and done after it was undone.
DELETE FROM venice.compacted_partition;
BEGIN;
SELECT venice.compact_history('past_view');
SELECT count(*) FROM past_history.rows_20190101;
ROLLBACK;
SELECT count(*), sum(length(v)) FROM past_history.rows_20190101;
SELECT venice.compact_history('past_view');
SELECT count(*), sum(length(v)) FROM past_history.rows_20190101;

-- Another width is that of partitions from now on, between those that there are.
SELECT venice.alter_store('past', '{"history_partition": "7 days"}');
INSERT INTO past_history.rows (k, event_time) VALUES (1, '2018-12-31 05:00 UTC'), (1, '2018-12-30 01:00 UTC');
CALL maintain($$(SELECT count(*) < 4 FROM past_history.rows_default)$$);
SET timezone = 'UTC';
SELECT relname, bounds FROM partition WHERE relname < 'rows_2026' ORDER BY 1;
RESET timezone;
SELECT venice.alter_store('past', '{"history_partition": null}');

-- Partitions whose time is past their retention are dropped.
SELECT venice.alter_store('past', '{"history_retention": "1 year"}');
CALL maintain($$NOT EXISTS (SELECT FROM partition WHERE relname < 'rows_2025')$$);
SELECT count(*) FROM past_history.rows WHERE isfinite(event_time);
SELECT count(*) FROM venice.compacted_partition;
SELECT venice.alter_store('past', '{"history_retention": null}');

-- What has no history is not compacted.
CREATE TABLE past_events (k int, v int, at timestamptz);
CREATE INDEX ON past_events (k, at DESC);
SELECT venice.create_source('past_events', relation => 'past_events', event_time => 'at');
SELECT venice.create_feature_view('past_in_place', '{past_entity}', 'past_events');
SELECT venice.compact_history('past_in_place');
SELECT venice.compact_history('nothing');
CREATE ROLE history_stranger;
GRANT USAGE ON SCHEMA past TO history_stranger;
GRANT SELECT ON past.records TO history_stranger;
SET ROLE history_stranger;
SELECT venice.compact_history('past_view');
SELECT * FROM venice.histories;
RESET ROLE;

SELECT venice.drop_feature_view('past_view'), venice.drop_feature_view('past_in_place');
SELECT venice.drop_source('past'), venice.drop_source('past_events'), venice.drop_entity('past_entity');
DROP VIEW partition;
SELECT venice.drop_store('past', force => true);
DROP PROCEDURE maintain(text), compact();
DROP TABLE past_events;
DROP ROLE history_stranger;
DROP EXTENSION amcheck;
