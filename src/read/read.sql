-- What the generated functions of a store call.  They check rights themselves: SELECT on the columns of the current
-- version's records, and its row security.

CREATE FUNCTION venice_internal.get(store text, VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 1
    AS 'MODULE_PATHNAME', 'venice_get';
COMMENT ON FUNCTION venice_internal.get(text, "any") IS
    'Body of a store''s get: columns are found by the names of the column definition list.';

CREATE FUNCTION venice_internal.batch_get_support(internal)
    RETURNS internal
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_batch_get_support';
COMMENT ON FUNCTION venice_internal.batch_get_support(internal) IS
    'Tells the planner how many rows a batch_get may have.';

CREATE FUNCTION venice_internal.batch_get(store text, VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 100
    SUPPORT venice_internal.batch_get_support
    AS 'MODULE_PATHNAME', 'venice_batch_get';
COMMENT ON FUNCTION venice_internal.batch_get(text, "any") IS
    'Body of a store''s batch_get: one array per key column, all of one length.';

CREATE FUNCTION venice_internal.get_packed(store text, VARIADIC keys "any")
    RETURNS bytea
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_get_packed';
COMMENT ON FUNCTION venice_internal.get_packed(text, "any") IS
    'Body of a store''s get_packed: the value columns of one key in binary COPY format.';

CREATE FUNCTION venice_internal.batch_get_packed(store text, VARIADIC keys "any")
    RETURNS bytea
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_batch_get_packed';
COMMENT ON FUNCTION venice_internal.batch_get_packed(text, "any") IS
    'Body of a store''s batch_get_packed: a row for each key in binary COPY format, without fields when the key is absent.';

CREATE FUNCTION venice_internal.compute(store text, operation text, field text, query real[], VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'venice_compute';
COMMENT ON FUNCTION venice_internal.compute(text, text, text, real[], "any") IS
    'Body of a store''s compute: position, key and result of each key that is there.';

CREATE FUNCTION venice_internal.compute_packed(store text, operation text, field text, query real[], VARIADIC keys "any")
    RETURNS bytea
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_compute_packed';
COMMENT ON FUNCTION venice_internal.compute_packed(text, text, text, real[], "any") IS
    'Body of a store''s compute_packed: the result of each key in binary COPY format.';

CREATE FUNCTION venice_internal.top_k(store text, operation text, field text, query real[], k integer, VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE COST 1000 ROWS 10
    AS 'MODULE_PATHNAME', 'venice_top_k';
COMMENT ON FUNCTION venice_internal.top_k(text, text, text, real[], integer, "any") IS
    'Body of a store''s top_k: key and result of the best of the keys, or of all rows where no keys are given.';

CREATE FUNCTION venice_internal.forget_row()
    RETURNS trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_forget_row';
COMMENT ON FUNCTION venice_internal.forget_row() IS
    'Takes a row that is about to change out of the cache.';

CREATE FUNCTION venice_internal.read_statistics(OUT store name, OUT gets bigint, OUT keys bigint, OUT hits bigint,
        OUT misses bigint, OUT evictions bigint, OUT bytes bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'venice_read_statistics';
COMMENT ON FUNCTION venice_internal.read_statistics() IS
    'What venice.stat_read shows: of stores that were read since the server started and whose statistics you may see.';
