-- What bench/pit/run joins: :rows rows of history of :rows / 100 keys over 200 days, in the order of time ("open") and of
-- keys ("closed"), each with the index that a LATERAL join wants, two more views' worth of "closed", a history of venice's own, and spines.
SELECT setseed(0.25);
CREATE TABLE open AS
    SELECT (random() * (:rows / 100 - 1))::bigint AS entity_id,
           '2026-01-01'::timestamptz + i * (interval '200 days' / :rows) AS event_time,
           random() AS f0, random() AS f1, random() AS f2, random() AS f3, random() AS f4,
           random() AS f5, random() AS f6, random() AS f7, random() AS f8, random() AS f9
      FROM generate_series(1, :rows) AS i;
CREATE TABLE closed AS TABLE open ORDER BY entity_id, event_time;
CREATE TABLE closed_b (entity_id, event_time, b0, b1, b2, b3, b4, b5, b6, b7, b8, b9) AS TABLE closed;
CREATE TABLE closed_c (entity_id, event_time, c0, c1, c2, c3, c4, c5, c6, c7, c8, c9) AS TABLE closed;
CREATE INDEX ON open (entity_id, event_time DESC);
CREATE INDEX ON closed (entity_id, event_time DESC);
CREATE INDEX ON closed_b (entity_id, event_time DESC);
CREATE INDEX ON closed_c (entity_id, event_time DESC);

CREATE TABLE spine_10000000 AS
    SELECT i AS id, (random() * (:rows / 100 - 1))::bigint AS entity_id,
           '2026-01-01'::timestamptz + random() * interval '200 days' AS event_time
      FROM generate_series(1, 10000000) AS i;
CREATE TABLE spine_1000000 AS SELECT * FROM spine_10000000 WHERE id <= 1000000;
CREATE TABLE spine_100000 AS SELECT * FROM spine_10000000 WHERE id <= 100000;
CREATE TABLE spine_10000 AS SELECT * FROM spine_10000000 WHERE id <= 10000;

SELECT venice.create_entity('customer', 'entity_id bigint');
SELECT venice.create_source(name, relation => name::regclass, event_time => 'event_time'),
       venice.create_feature_view(name || '_view', '{customer}', name, ttl => '7 days', online => false)
  FROM unnest('{open,closed,closed_b,closed_c}'::text[]) AS name;

-- venice's own history of the same: rows of each month have their partition, which is over, and is rewritten.
SELECT venice.create_feature_view('history_view', '{customer}', 'open', ttl => '7 days',
                                  options => '{"history": "copy", "store": "kept"}');
INSERT INTO kept_history.rows (entity_id, event_time)
    SELECT 0, generate_series('2026-01-01'::timestamptz, '2026-07-31', interval '1 month');
CREATE PROCEDURE await_partitions() LANGUAGE plpgsql AS $$
BEGIN
    FOR i IN 1..1000 LOOP
        EXIT WHEN NOT EXISTS (SELECT FROM kept_history.rows_default);
        CALL venice.run_maintenance();
    END LOOP;
END $$;
CALL await_partitions();
DELETE FROM kept_history.rows;
INSERT INTO kept_history.rows (entity_id, event_time, f0, f1, f2, f3, f4, f5, f6, f7, f8, f9) TABLE open;
SELECT venice.compact_history('history_view');

VACUUM (FREEZE, ANALYZE);
CHECKPOINT;
