-- The past of stores: what their tables call.

CREATE FUNCTION venice_internal.next_arrival()
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_next_arrival';
COMMENT ON FUNCTION venice_internal.next_arrival() IS
    'The default of column arrival of a history: in the order of transactions'' ids, and within a transaction in that of the calls.';
