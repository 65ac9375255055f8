-- What features were: point-in-time joins.

CREATE FUNCTION venice.get_historical_features(spine text, features text[], event_time text DEFAULT 'event_time',
                                               options jsonb DEFAULT '{}')
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000 ROWS 100000
    AS 'MODULE_PATHNAME', 'venice_get_historical_features';
COMMENT ON FUNCTION venice.get_historical_features(text, text[], text, jsonb) IS
    'The rows of a query, each with what features were at its event time. Needs a column definition list: see historical_features_query.';

CREATE FUNCTION venice.historical_features_query(spine text, features text[], event_time text DEFAULT 'event_time',
                                                 options jsonb DEFAULT '{}')
    RETURNS text
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_historical_features_query';
COMMENT ON FUNCTION venice.historical_features_query(text, text[], text, jsonb) IS
    'The query that calls get_historical_features with the same arguments, for \gexec, COPY, CREATE TABLE AS and clients.';

CREATE FUNCTION venice.explain_historical_features(spine text, features text[], event_time text DEFAULT 'event_time',
                                                   options jsonb DEFAULT '{}')
    RETURNS TABLE ("QUERY PLAN" text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10
    AS 'MODULE_PATHNAME', 'venice_explain_historical_features';
COMMENT ON FUNCTION venice.explain_historical_features(text, text[], text, jsonb) IS
    'How get_historical_features finds its rows. It does find them, and throws them away.';

CREATE FUNCTION venice_internal.join_progress()
    RETURNS TABLE (pid integer, phase text, key_sets_done integer, key_sets_total integer, rows_done bigint, rows_total bigint,
                   workers integer, started_time timestamptz)
    LANGUAGE c VOLATILE PARALLEL RESTRICTED ROWS 1
    AS 'MODULE_PATHNAME', 'venice_join_progress';
COMMENT ON FUNCTION venice_internal.join_progress() IS
    'Point-in-time joins that are running; only those of roles that you belong to.';

CREATE VIEW venice.stat_progress_join WITH (security_barrier) AS
    SELECT j.pid, j.phase, j.key_sets_done, j.key_sets_total, j.rows_done, j.rows_total, p.percent::real AS percent, j.workers,
           j.started_time,
           CASE WHEN p.percent > 0 THEN
                j.started_time + (pg_catalog.clock_timestamp() - j.started_time) * (100 / p.percent)
           END AS estimated_end_time
      FROM venice_internal.join_progress() j
     CROSS JOIN LATERAL (
           SELECT CASE j.phase
                  WHEN 'reading' THEN 0
                  WHEN 'joining' THEN 100 * (j.key_sets_done + COALESCE(j.rows_done::double precision / j.rows_total, 0)) / j.key_sets_total
                  ELSE 100 END AS percent) p;
COMMENT ON VIEW venice.stat_progress_join IS
    'Point-in-time joins that are running, yours or of roles that you belong to.';
GRANT SELECT ON venice.stat_progress_join TO PUBLIC;
