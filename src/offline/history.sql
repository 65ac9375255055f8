-- The past of stores, as far as it is looked after.

CREATE FUNCTION venice.compact_history(view text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_compact_history';
COMMENT ON FUNCTION venice.compact_history(text) IS
    'Rewrite the closed partitions of a view''s history in the order of keys and time, as a worker does by and by.';

CREATE VIEW venice.histories WITH (security_barrier) AS
    SELECT h.store, h.views, h.relation, h.partitions, h.rows, h.bytes, h.start_time, h.end_time, h.compacted, h.compacted_time
      FROM (
        SELECT s.store_name AS store,
               (SELECT pg_catalog.string_agg(CASE v.project WHEN 'default' THEN '' ELSE v.project || '.' END
                                             || v.view_name || '@' || v.view_version, ', '
                                             ORDER BY v.project, v.view_name, v.view_version)
                  FROM venice.feature_view v WHERE v.store_name = s.store_name AND v.offline) AS views,
               r.oid::pg_catalog.regclass AS relation, p.partitions, p.rows, p.bytes, p.start_time, p.end_time,
               p.compacted, p.compacted_time
          FROM venice.store s
          JOIN pg_catalog.pg_namespace n ON n.nspname = (s.store_name || '_history')::pg_catalog.name
          JOIN pg_catalog.pg_class r ON r.relnamespace = n.oid AND r.relname = 'rows' AND r.relkind = 'p'
          JOIN pg_catalog.pg_namespace o ON o.nspname = s.store_name AND o.nspowner = n.nspowner,
          LATERAL (
            SELECT pg_catalog.count(*) AS partitions,
                   pg_catalog.sum(GREATEST(c.reltuples, 0))::bigint AS rows,
                   pg_catalog.sum(pg_catalog.pg_total_relation_size(c.oid))::bigint AS bytes,
                   pg_catalog.min(b.bounds[1]::pg_catalog.timestamptz) AS start_time,
                   pg_catalog.max(b.bounds[2]::pg_catalog.timestamptz) AS end_time,
                   pg_catalog.count(k.pages) AS compacted,
                   pg_catalog.max(k.compacted_time) AS compacted_time
              FROM pg_catalog.pg_inherits i
              JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
              LEFT JOIN venice.compacted_partition k ON k.store_name = s.store_name AND k.partition_name = c.relname,
              LATERAL (SELECT pg_catalog.regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid),
                                                      'FROM \(''(.*)''\) TO \(''(.*)''\)')) AS b (bounds)
             WHERE i.inhparent = r.oid) p
         WHERE venice_internal.is_store_member(s.store_name)) h;
COMMENT ON VIEW venice.histories IS 'What your stores keep of their past, and how much of it lies in the order of keys.';
COMMENT ON COLUMN venice.histories.rows IS 'An estimate.';
COMMENT ON COLUMN venice.histories.start_time IS 'Partitions are for the time from start_time to end_time; what is of another time is in the default one until there is a partition for it.';
COMMENT ON COLUMN venice.histories.compacted IS 'How many partitions lie in the order of keys.';
GRANT SELECT ON venice.histories TO PUBLIC;
