-- What the generated functions of a store call.  They check rights themselves: SELECT on the columns of the current
-- version's records, and its row security.

CREATE FUNCTION venice_internal.get(store text, VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 1
    AS 'MODULE_PATHNAME', 'venice_get';
COMMENT ON FUNCTION venice_internal.get(text, "any") IS
    'Body of a store''s get: columns are found by the names of the column definition list.';

CREATE FUNCTION venice_internal.batch_get(store text, VARIADIC keys "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL SAFE ROWS 100
    AS 'MODULE_PATHNAME', 'venice_batch_get';
COMMENT ON FUNCTION venice_internal.batch_get(text, "any") IS
    'Body of a store''s batch_get: one array per key column, all of one length.';
