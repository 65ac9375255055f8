-- Views for people.  security_barrier: a function in somebody's WHERE never sees a row that the view withholds.

CREATE VIEW venice_internal.over_quota AS
    SELECT s.store_name, (s.options ->> 'storage_quota')::bigint AS quota, z.bytes
      FROM venice.store s
     CROSS JOIN LATERAL (
           SELECT pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid))::bigint AS bytes
             FROM venice.version_table t
             JOIN pg_catalog.pg_class r ON r.oid = t.records
             JOIN pg_catalog.pg_class c
               ON c.relnamespace = r.relnamespace AND c.relname IN ('records', 'tombstones') AND c.relkind = 'r'
            WHERE t.store_name = s.store_name) z
     WHERE s.options ? 'storage_quota' AND z.bytes > (s.options ->> 'storage_quota')::bigint;
COMMENT ON VIEW venice_internal.over_quota IS
    'Stores whose versions, rows and tombstones with indexes and what is stored out of line, have more bytes than their storage_quota.';

CREATE VIEW venice.stores WITH (security_barrier) AS
    SELECT s.store_name AS store,
           pg_catalog.pg_get_userbyid(n.nspowner) AS owner,
           n.nspname AS schema,
           CASE WHEN n.oid IS NULL THEN 'missing'
                WHEN (s.server_name IS NOT NULL OR s.options ? 'real_time_topics') AND NOT venice_internal.node_is_known() THEN 'restored'
                WHEN s.paused THEN 'paused'
                WHEN EXISTS (SELECT FROM venice_internal.over_quota o WHERE o.store_name = s.store_name) THEN 'over_quota'
                ELSE 'ok' END AS state,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || c.column_type, ', ' ORDER BY c.position)
              FROM venice.store_column c WHERE c.store_name = s.store_name AND c.is_key) AS key_columns,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || c.column_type, ', ' ORDER BY c.position)
              FROM venice.store_column c WHERE c.store_name = s.store_name AND NOT c.is_key) AS value_columns,
           s.server_name AS server,
           COALESCE(p.version,
                    (SELECT v.version FROM venice.store_version v
                      WHERE v.store_name = s.store_name AND v.state = 'current')) AS current_version,
           (SELECT pg_catalog.max(v.version) FROM venice.store_version v
             WHERE v.store_name = s.store_name
               AND v.state IN ('started', 'building', 'ready', 'waiting_for_dump')) AS future_version,
           venice_internal.effective_options(s.options) AS options,
           s.created_time
      FROM venice.store s
      LEFT JOIN venice.version_pointer p ON p.store_name = s.store_name
      LEFT JOIN pg_catalog.pg_class r ON r.oid = p.records
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.store_name AND (p.records IS NULL OR n.oid = r.relnamespace)
     WHERE venice_internal.is_store_member(s.store_name);
COMMENT ON VIEW venice.stores IS 'Stores that you own or are a member of.';
GRANT SELECT ON venice.stores TO PUBLIC;

CREATE VIEW venice.versions WITH (security_barrier) AS
    SELECT v.store_name AS store, v.version, v.state, n.nspname AS schema,
           t.oid::pg_catalog.regclass AS records,
           v.push_id, v.origin, v.rows,
           pg_catalog.pg_total_relation_size(t.oid) AS bytes,
           v.started_time, v.ended_time, v.swapped_time,
           CASE WHEN v.state IN ('backup', 'rolled_back') THEN
               c.swapped_time + (venice_internal.effective_options(s.options) ->> 'backup_retention')::interval
           END AS retire_after,
           v.error,
           COALESCE(v.detail, CASE WHEN v.state IN ('backup', 'rolled_back', 'lost') THEN (
               SELECT 'needed by ' || pg_catalog.string_agg(d.kind || ' ' || d.object, ', ' ORDER BY d.kind, d.object)
                 FROM venice_internal.dependents(t.oid) d WHERE d.blocks) END) AS detail
      FROM venice.store_version v
      JOIN venice.store s USING (store_name)
      LEFT JOIN venice.store_version c ON c.store_name = v.store_name AND c.state = 'current'
      LEFT JOIN venice.version_pointer p ON p.store_name = v.store_name
      LEFT JOIN venice.version_table m ON m.store_name = v.store_name AND m.version = v.version
      LEFT JOIN pg_catalog.pg_class r ON r.oid = COALESCE(m.records, p.records)
      LEFT JOIN pg_catalog.pg_namespace n ON n.nspname =
           CASE WHEN v.state = 'current' OR v.state = 'lost' AND p.version = v.version THEN v.store_name
                ELSE (v.store_name || '_v' || v.version)::pg_catalog.name END
           AND (n.oid = r.relnamespace OR p.records IS NULL)
      LEFT JOIN pg_catalog.pg_class t ON t.relnamespace = n.oid AND t.relname = 'records'
     WHERE (v.version > 0 OR v.state = 'current')
       AND venice_internal.is_store_member(v.store_name);
COMMENT ON VIEW venice.versions IS
    'Versions of your stores: where each is now, and what became of those that failed.';
GRANT SELECT ON venice.versions TO PUBLIC;

CREATE VIEW venice.pushes WITH (security_barrier) AS
    SELECT p.store_name AS store, p.push_id, p.version, p.origin, p.state, p.started_time, p.ended_time, p.started_by,
           p.rows,
           GREATEST(p.rejected, (SELECT pg_catalog.sum(i.rejected)::bigint FROM venice.partition_state i
                                  WHERE i.store_name = p.store_name AND i.version = p.version)) AS rejected,
           p.error
      FROM venice.push p
     WHERE venice_internal.is_store_member(p.store_name);
COMMENT ON VIEW venice.pushes IS 'Pushes to your stores, past and running.';
GRANT SELECT ON venice.pushes TO PUBLIC;

-- A barrier does not hold in front of a UNION ALL, whose parts the planner takes for the view's own: hence the subselect.
CREATE VIEW venice.swap_dependents WITH (security_barrier) AS
    SELECT d.store, d.version, d.kind, d.object, d.reason
      FROM (
        SELECT v.store_name AS store, v.version, d.kind, d.object,
               CASE WHEN l.error IS NOT NULL THEN 'could not be made again: ' || l.error
                    WHEN l.view IS NOT NULL THEN 'was in use; is made again as soon as it is not'
                    ELSE d.reason END AS reason
          FROM venice.store_version v
          LEFT JOIN venice.version_pointer p ON p.store_name = v.store_name
          JOIN pg_catalog.pg_namespace n ON n.nspname =
               CASE WHEN v.state = 'current' OR v.state = 'lost' AND p.version = v.version THEN v.store_name
                    ELSE (v.store_name || '_v' || v.version)::pg_catalog.name END
          JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'records'
         CROSS JOIN LATERAL venice_internal.dependents(c.oid) d
          LEFT JOIN venice.lagging_view l ON l.store_name = v.store_name AND l.version = v.version AND l.view = d.relation
         WHERE NOT (n.nspname = v.store_name AND d.follows)
           AND venice_internal.is_store_member(v.store_name)
        UNION ALL
        SELECT v.store_name, v.version, 'publication', pg_catalog.quote_ident(p.pubname),
               'publishes every table: each version is one that its subscribers do not know'
          FROM venice.store_version v
         CROSS JOIN pg_catalog.pg_publication p
         WHERE v.state = 'current' AND p.puballtables
           AND venice_internal.is_store_member(v.store_name)) d (store, version, kind, object, reason);
COMMENT ON VIEW venice.swap_dependents IS
    'What stays with one version of your stores: with the current one at its next swap, or with an earlier one since.';
GRANT SELECT ON venice.swap_dependents TO PUBLIC;

CREATE VIEW venice.columns WITH (security_barrier) AS
    SELECT c.store_name AS store, c.column_name, c.position, c.is_key,
           pg_catalog.to_regtype(c.column_type) AS pg_type,
           COALESCE(s.options -> 'fields' ->> c.column_name::text, c.column_name::text) AS source_field,
           c.source_type
      FROM venice.store_column c
      JOIN venice.store s USING (store_name)
     WHERE venice_internal.is_store_member(c.store_name);
COMMENT ON VIEW venice.columns IS 'Columns of the next version of your stores, and the field that each is read from.';
GRANT SELECT ON venice.columns TO PUBLIC;

CREATE VIEW venice.rejected_records WITH (security_barrier) AS
    SELECT r.store_name AS store, r.version, r.topic, r.partition, r.kafka_offset, r.record_time, r.key, r.value,
           r.sqlstate, r.error, r.rejected_time
      FROM venice.rejected_record r
     WHERE venice_internal.is_store_member(r.store_name);
COMMENT ON VIEW venice.rejected_records IS 'Records of your stores'' topics that could not be decoded or stored.';
GRANT SELECT ON venice.rejected_records TO PUBLIC;

CREATE VIEW venice.stat_store WITH (security_barrier) AS
    SELECT t.store_name AS store,
           t.reads + COALESCE(l.reads, 0) AS reads,
           t.keys + COALESCE(l.keys, 0) AS keys,
           t.rows_inserted, t.rows_updated, t.rows_deleted, t.pushes, t.swaps, t.rollbacks, t.rejected, t.stats_reset
      FROM venice.store_stat t
      LEFT JOIN LATERAL (
          SELECT pg_catalog.sum(pg_catalog.pg_stat_get_numscans(i.indexrelid))::bigint AS reads,
                 pg_catalog.sum(pg_catalog.pg_stat_get_tuples_fetched(i.indexrelid))::bigint AS keys
            FROM venice.store_version v
            JOIN pg_catalog.pg_namespace n ON n.nspname =
                 CASE WHEN v.state = 'current' THEN v.store_name
                      ELSE (v.store_name || '_v' || v.version)::pg_catalog.name END
            JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relname = 'records'
            JOIN pg_catalog.pg_index i ON i.indrelid = c.oid AND i.indisprimary
           WHERE v.store_name = t.store_name) l ON true
     WHERE venice_internal.can_see_statistics(t.store_name);
COMMENT ON VIEW venice.stat_store IS
    'Counters of stores over all their versions: look-ups by key, rows found by them, rows pushed, pushes, swaps, roll-backs.';
GRANT SELECT ON venice.stat_store TO PUBLIC;

CREATE VIEW venice.stat_read WITH (security_barrier) AS
    SELECT r.store, r.gets, r.keys, r.hits, r.misses, r.evictions, r.bytes
      FROM venice_internal.read_statistics() r
      JOIN venice.store t ON t.store_name = r.store;
COMMENT ON VIEW venice.stat_read IS
    'Look-ups since the server started: calls, keys, those that the cache had or lacked, what it had to give up, and what it holds.';
GRANT SELECT ON venice.stat_read TO PUBLIC;
