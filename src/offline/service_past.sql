-- The past of services.

CREATE FUNCTION venice_internal.service_as_of(service text, VARIADIC arguments "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE COST 10000 ROWS 1
    AS 'MODULE_PATHNAME', 'venice_service_as_of';
COMMENT ON FUNCTION venice_internal.service_as_of(text, "any") IS
    'Body of a service''s as_of: always one row. The last argument is the time.';

CREATE FUNCTION venice.check_consistency(service text, sample integer DEFAULT 1000)
    RETURNS TABLE (feature text, compared bigint, mismatched bigint, example jsonb)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'venice_check_consistency';
COMMENT ON FUNCTION venice.check_consistency(text, integer) IS
    'Compare what a service has answered, the last of what was logged or else answers of now, with what a point-in-time join says.';
