-- Ingestion: pausing, watching, looking into topics, and doing by hand what the workers do.

CREATE FUNCTION venice.pause_ingestion(store text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_pause_ingestion';
COMMENT ON FUNCTION venice.pause_ingestion(text) IS
    'Stop consuming for a store, or for all stores of the database; returns when the workers have stopped.';

CREATE FUNCTION venice.resume_ingestion(store text DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_resume_ingestion';
COMMENT ON FUNCTION venice.resume_ingestion(text) IS
    'Consume again for a store; for all stores, and from now on by this server and database, without one.';

CREATE FUNCTION venice.check_server(server text)
    RETURNS TABLE (part text, ok boolean, detail text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 3 COST 10000
    AS 'MODULE_PATHNAME', 'venice_check_server';
COMMENT ON FUNCTION venice.check_server(text) IS
    'Try a foreign server''s broker, credentials and schema registry, with your user mapping.';

CREATE FUNCTION venice.peek(server text, topic text, partition integer DEFAULT 0, start_offset bigint DEFAULT NULL,
                            max_records integer DEFAULT 10)
    RETURNS TABLE ("partition" integer, kafka_offset bigint, record_time timestamptz, key bytea, value bytea, message jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 10 COST 10000
    AS 'MODULE_PATHNAME', 'venice_peek';
COMMENT ON FUNCTION venice.peek(text, text, integer, bigint, integer) IS
    'Read some records of a topic''s partition, from its beginning where no offset is given.';

CREATE PROCEDURE venice.run_maintenance()
    LANGUAGE c
    AS 'MODULE_PATHNAME', 'venice_run_maintenance';
COMMENT ON PROCEDURE venice.run_maintenance() IS
    'Build, swap and drop by hand what waits for it: what workers do where the library is preloaded.';

CREATE FUNCTION venice_internal.ingestion_units()
    RETURNS TABLE (store name, version integer, region integer, topic text, "partition" integer, state text, pid integer, next_offset bigint,
                   end_offset bigint, high_watermark bigint, messages bigint, bytes bigint, rows bigint,
                   tombstones bigint, rejected bigint, last_error text, last_error_time timestamptz,
                   next_retry_time timestamptz)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'venice_ingestion_units';
COMMENT ON FUNCTION venice_internal.ingestion_units() IS
    'Partitions being ingested, as shared memory has them; only those of stores whose statistics you may see.';

CREATE FUNCTION venice_internal.build_progress()
    RETURNS TABLE (store name, version integer, phase text, started_time timestamptz, pid integer)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1
    AS 'MODULE_PATHNAME', 'venice_build_progress';
COMMENT ON FUNCTION venice_internal.build_progress() IS
    'Versions being built; only those of stores whose statistics you may see.';

CREATE FUNCTION venice_internal.unlogged_partition_states()
    RETURNS TABLE (store_name name, version integer, region integer, topic text, "partition" integer,
                   next_offset bigint, end_offset bigint, done boolean, joined boolean, error text, messages bigint, bytes bigint, rows bigint, tombstones bigint, rejected bigint, batches bigint,
                   last_record_time timestamptz, last_message_time timestamptz, last_commit_time timestamptz)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'venice_unlogged_partition_states';
COMMENT ON FUNCTION venice_internal.unlogged_partition_states() IS
    'Partitions of unlogged versions, of stores whose statistics you may see; none on a standby, where they could not be read.';

-- What tables know, joined with what shared memory knows: either alone has gaps after a restart.
CREATE VIEW venice.stat_ingestion WITH (security_barrier) AS
    SELECT v.store_name AS store, v.version, t.topic, p.partition,
           CASE WHEN v.state = 'failed' THEN 'failed'
                WHEN t.region < 0 AND (v.state <> 'started' OR p.done) THEN 'caught_up'
                WHEN s.paused OR NOT venice_internal.node_is_known()
                  OR NOT pg_catalog.current_setting('venice.ingestion')::boolean OR o.store_name IS NOT NULL THEN 'paused'
                ELSE COALESCE(u.state, 'waiting_for_worker') END AS state,
           u.pid,
           p.next_offset AS kafka_offset,
           COALESCE(p.end_offset, u.end_offset) AS end_offset,
           CASE WHEN p.done THEN 0
                WHEN COALESCE(p.end_offset, u.end_offset, u.high_watermark) >= p.next_offset
                THEN COALESCE(p.end_offset, u.end_offset, u.high_watermark) - p.next_offset
                WHEN COALESCE(p.end_offset, u.end_offset, u.high_watermark) < p.next_offset THEN 0 END AS lag,
           CASE WHEN p.done OR u.state = 'caught_up' THEN interval '0'
                ELSE pg_catalog.clock_timestamp() - p.last_record_time END AS lag_time,
           p.messages, p.bytes, p.rows AS rows_inserted, 0::bigint AS rows_updated, p.tombstones AS rows_deleted,
           p.rejected, p.batches, p.last_message_time, p.last_commit_time,
           COALESCE(v.error,
                    CASE WHEN o.store_name IS NOT NULL AND p.done IS NOT TRUE THEN
                         pg_catalog.format('the store is over its storage quota: its versions have %s bytes of %s', o.bytes, o.quota)
                    END,
                    u.last_error, p.error) AS last_error,
           CASE WHEN v.error IS NOT NULL THEN v.ended_time ELSE u.last_error_time END AS last_error_time,
           u.next_retry_time,
           NULLIF(t.region, -1) AS region
      FROM venice.store_version v
      JOIN venice.store s USING (store_name)
      LEFT JOIN venice_internal.over_quota o USING (store_name)
     CROSS JOIN LATERAL (
           SELECT -1 AS region, v.topic WHERE v.topic IS NOT NULL
            UNION ALL
           SELECT e.place::integer - 1, pg_catalog.replace(e.value ->> 'topic', '{store}', v.store_name)
             FROM pg_catalog.jsonb_array_elements(v.options -> 'real_time_topics') WITH ORDINALITY e (value, place)
            WHERE v.version > 0 AND v.state IN ('ready', 'waiting_for_dump', 'current', 'backup', 'rolled_back')) t
      LEFT JOIN LATERAL (
           SELECT a.partition, a.next_offset, a.end_offset, a.done, a.joined, a.error, a.messages, a.bytes, a.rows,
                  a.tombstones, a.rejected, a.batches, a.last_record_time, a.last_message_time, a.last_commit_time
             FROM venice.partition_state a
            WHERE a.store_name = v.store_name AND a.version = v.version AND a.region = t.region AND a.topic = t.topic
            UNION ALL
           SELECT b.partition, b.next_offset, b.end_offset, b.done, b.joined, b.error, b.messages, b.bytes, b.rows,
                  b.tombstones, b.rejected, b.batches, b.last_record_time, b.last_message_time, b.last_commit_time
             FROM venice_internal.unlogged_partition_states() b
            WHERE b.store_name = v.store_name AND b.version = v.version AND b.region = t.region
              AND b.topic = t.topic) p ON true
      LEFT JOIN venice_internal.ingestion_units() u
        ON u.store = v.store_name AND u.version = CASE WHEN p.joined THEN 0 ELSE v.version END
       AND u.region = t.region AND u.topic = t.topic AND u.partition IS NOT DISTINCT FROM p.partition
     WHERE v.state <> 'aborted'
       AND venice_internal.can_see_statistics(v.store_name);
COMMENT ON VIEW venice.stat_ingestion IS
    'How far each partition of each version is ingested, of the topic that it is loaded from and of real-time topics, which have a region; partition is NULL while nobody knows how many there are.';
GRANT SELECT ON venice.stat_ingestion TO PUBLIC;

CREATE FUNCTION venice_internal.outboxes()
    RETURNS TABLE (store name, pending bigint, oldest_time timestamptz)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 10
    AS 'MODULE_PATHNAME', 'venice_outboxes';
COMMENT ON FUNCTION venice_internal.outboxes() IS
    'What is in the outboxes of stores whose statistics you may see.';

CREATE VIEW venice.stat_outbox WITH (security_barrier) AS
    SELECT o.store,
           CASE WHEN s.paused OR NOT venice_internal.node_is_known()
                  OR NOT pg_catalog.current_setting('venice.ingestion')::boolean THEN 'paused'
                WHEN u.state IS NOT NULL THEN u.state
                WHEN o.pending > 0 THEN 'waiting_for_worker' ELSE 'caught_up' END AS state,
           u.pid, o.pending, o.oldest_time, t.produced, u.last_error, u.last_error_time, u.next_retry_time
      FROM venice_internal.outboxes() o
      JOIN venice.store s ON s.store_name = o.store
      JOIN venice.store_stat t ON t.store_name = o.store
      LEFT JOIN venice_internal.ingestion_units() u ON u.store = o.store AND u.region = -2
     WHERE venice_internal.can_see_statistics(o.store);
COMMENT ON VIEW venice.stat_outbox IS
    'What was written through SQL to stores with real-time topics, and is still to be produced to their topics.';
GRANT SELECT ON venice.stat_outbox TO PUBLIC;

CREATE VIEW venice.stat_progress_push WITH (security_barrier) AS
    SELECT v.store_name AS store, v.version,
           COALESCE(b.phase,
                    CASE WHEN v.state = 'started' THEN
                              CASE WHEN i.partitions > 0 OR v.topic IS NULL THEN 'loading' ELSE 'waiting' END
                         WHEN i.behind THEN 'catching up'
                         ELSE 'waiting' END) AS phase,
           i.done AS rows_done, i.done + i.remaining AS rows_total,
           (CASE WHEN v.state <> 'started' THEN 100
                 WHEN i.done + i.remaining > 0 THEN 100.0 * i.done / (i.done + i.remaining) END)::real AS percent,
           v.started_time,
           CASE WHEN v.state = 'started' AND i.done > 0 THEN
                pg_catalog.clock_timestamp()
                + (pg_catalog.clock_timestamp() - v.started_time) * (i.remaining::double precision / i.done)
           END AS estimated_end_time,
           COALESCE(b.pid, i.pid) AS pid
      FROM venice.store_version v
      LEFT JOIN venice_internal.build_progress() b ON b.store = v.store_name AND b.version = v.version
      LEFT JOIN LATERAL (
           SELECT pg_catalog.count(s.partition) AS partitions, pg_catalog.sum(s.messages)::bigint AS done,
                  pg_catalog.sum(s.lag)::bigint AS remaining, pg_catalog.min(s.pid) AS pid,
                  COALESCE(pg_catalog.bool_or(s.region IS NOT NULL), false) AS behind
             FROM venice.stat_ingestion s
            WHERE s.store = v.store_name AND s.version = v.version) i ON true
     WHERE (v.state IN ('started', 'building', 'waiting_for_dump') OR (v.state = 'ready' AND v.swap))
       AND venice_internal.can_see_statistics(v.store_name);
COMMENT ON VIEW venice.stat_progress_push IS
    'Pushes that are running: rows_total and the end are estimates while the topic still grows.';
GRANT SELECT ON venice.stat_progress_push TO PUBLIC;

CREATE FUNCTION venice_internal.extension_created()
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_extension_created';
COMMENT ON FUNCTION venice_internal.extension_created() IS
    'Have the launcher look at this database when the transaction commits.';
REVOKE EXECUTE ON FUNCTION venice_internal.extension_created() FROM PUBLIC;

SELECT venice_internal.extension_created();
