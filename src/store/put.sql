-- What the generated put, update and delete of a store call.  They check rights themselves: what INSERT, UPDATE and DELETE
-- on the current version's records need.

CREATE FUNCTION venice_internal.put(store text, columns text[], logical_time timestamptz, VARIADIC "values" "any")
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_put';
COMMENT ON FUNCTION venice_internal.put(text, text[], timestamptz, "any") IS
    'Body of a store''s put: a value for each column named, keys first.';

CREATE FUNCTION venice_internal.update(store text, keys text[], logical_time timestamptz, patch jsonb, VARIADIC "values" "any")
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_update';
COMMENT ON FUNCTION venice_internal.update(text, text[], timestamptz, jsonb, "any") IS
    'Body of a store''s update: a value for each key column named.';

CREATE FUNCTION venice_internal.delete(store text, keys text[], logical_time timestamptz, VARIADIC "values" "any")
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_delete';
COMMENT ON FUNCTION venice_internal.delete(text, text[], timestamptz, "any") IS
    'Body of a store''s delete: a value for each key column named.';

CREATE FUNCTION venice_internal.row_time(metadata bytea)
    RETURNS bigint
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_row_time';
COMMENT ON FUNCTION venice_internal.row_time(bytea) IS
    'When a row was written as a whole, from column _meta of it: microseconds since 1970.  NULL where its fields have times of their own.';
