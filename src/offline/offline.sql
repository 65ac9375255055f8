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
