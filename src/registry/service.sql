-- Services.  The functions are executable by PUBLIC: each demands what core's equivalent command demands.

CREATE FUNCTION venice.create_service(service text, features text[], options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_service';
COMMENT ON FUNCTION venice.create_service(text, text[], jsonb) IS
    'Make a service: a schema with functions that return these features, in this order, of the types that they have now.';

CREATE FUNCTION venice.alter_service(service text, options jsonb DEFAULT '{}', features text[] DEFAULT NULL)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_service';
COMMENT ON FUNCTION venice.alter_service(text, jsonb, text[]) IS
    'Change options (JSON null resets one) or features of a service, and give it the types that its features have now.';

CREATE FUNCTION venice.move_service(service text, view text)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_move_service';
COMMENT ON FUNCTION venice.move_service(text, text) IS
    'Have a service read another version of a feature view, view@2.';

CREATE FUNCTION venice.drop_service(service text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_service';
COMMENT ON FUNCTION venice.drop_service(text, boolean) IS
    'Drop a service. force: with what depends on its functions, and with somebody''s objects in its schema.';

CREATE FUNCTION venice.get_online_features(features text[], entities jsonb, options jsonb DEFAULT '{}')
    RETURNS TABLE (ordinality bigint, feature text, value jsonb, event_time timestamptz, status text)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 100
    AS 'MODULE_PATHNAME', 'venice_get_online_features';
COMMENT ON FUNCTION venice.get_online_features(text[], jsonb, jsonb) IS
    'Features of feature views, and of services, for entities given as JSON objects: a row for each entity and feature.';

CREATE FUNCTION venice.log_service(service text, fraction double precision)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_log_service';
COMMENT ON FUNCTION venice.log_service(text, double precision) IS
    'Log this fraction, 0 to 1, of what a service''s get and batch_get answer, into venice.served_features.';

CREATE FUNCTION venice_internal.served_statistics(OUT schema_oid oid, OUT logged bigint, OUT dropped bigint)
    RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL SAFE ROWS 10
    AS 'MODULE_PATHNAME', 'venice_served_statistics';
COMMENT ON FUNCTION venice_internal.served_statistics() IS
    'What venice.stat_served shows: of services whose statistics you may see.';

CREATE FUNCTION venice_internal.service_get(service text, VARIADIC arguments "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 1
    AS 'MODULE_PATHNAME', 'venice_service_get';
COMMENT ON FUNCTION venice_internal.service_get(text, "any") IS
    'Body of a service''s get: always one row.';

CREATE FUNCTION venice_internal.service_batch_get(service text, VARIADIC arguments "any")
    RETURNS SETOF record
    LANGUAGE c STABLE PARALLEL UNSAFE ROWS 100
    SUPPORT venice_internal.batch_get_support
    AS 'MODULE_PATHNAME', 'venice_service_batch_get';
COMMENT ON FUNCTION venice_internal.service_batch_get(text, "any") IS
    'Body of a service''s batch_get: one array per argument, all of one length.';

CREATE VIEW venice.services WITH (security_barrier) AS
    SELECT s.service AS name, s.project, pg_catalog.pg_get_userbyid(n.nspowner) AS owner, n.nspname AS schema,
           s.features,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.value ->> 'name') || ' ' ||
                       COALESCE(pg_catalog.to_regtype(k.value ->> 'type')::text, k.value ->> 'type'), ', '
                       ORDER BY k.position)
              FROM pg_catalog.jsonb_array_elements(s.keys) WITH ORDINALITY AS k (value, position)) AS arguments,
           s.options ->> 'model' AS model, s.options ->> 'model_version' AS model_version,
           s.options ->> 'description' AS description, s.options -> 'tags' AS tags,
           s.options - '{description,model,model_version,tags}'::text[] AS options, s.created_time
      FROM venice.service s
      LEFT JOIN venice.project p ON p.project = s.project
      LEFT JOIN venice_internal.service_schema n ON n.project = s.project AND n.service = s.service
     WHERE venice_internal.is_entry_member(pg_catalog.pg_get_userbyid(n.nspowner))
        OR venice_internal.is_entry_member(p.owner_name)
        OR pg_catalog.has_schema_privilege(n.schema_oid, 'USAGE');
COMMENT ON VIEW venice.services IS 'Services that you own, of projects that you own, and those that you may call.';
GRANT SELECT ON venice.services TO PUBLIC;

CREATE VIEW venice.service_features WITH (security_barrier) AS
    SELECT f.service, f.project, f.position, f.output_name AS name, f.output_type AS type, f.view_project, f.view_name AS view,
           f.view_version, f.feature, f.alias, f.keys, f.default_value
      FROM venice.service_feature f
      JOIN venice.service s USING (project, service)
      LEFT JOIN venice.project p USING (project)
      LEFT JOIN venice_internal.service_schema n ON n.project = s.project AND n.service = s.service
     WHERE venice_internal.is_entry_member(pg_catalog.pg_get_userbyid(n.nspowner))
        OR venice_internal.is_entry_member(p.owner_name)
        OR pg_catalog.has_schema_privilege(n.schema_oid, 'USAGE');
COMMENT ON VIEW venice.service_features IS 'Features of the services in venice.services, with the types that they return.';
GRANT SELECT ON venice.service_features TO PUBLIC;

CREATE VIEW venice.served_features WITH (security_barrier) AS
    SELECT n.service, n.project, l.request_time, l.arguments, l.features, l.status
      FROM venice.served_feature l
      JOIN venice_internal.service_schema n USING (schema_oid)
     WHERE l.system_identifier = venice_internal.system_identifier()
       AND venice_internal.is_entry_member(pg_catalog.pg_get_userbyid(n.nspowner));
COMMENT ON VIEW venice.served_features IS 'Logged answers of your services: see venice.log_service.';
GRANT SELECT ON venice.served_features TO PUBLIC;

CREATE VIEW venice.stat_served WITH (security_barrier) AS
    SELECT n.service, n.project, c.logged, c.dropped
      FROM venice_internal.served_statistics() c
      JOIN venice_internal.service_schema n USING (schema_oid);
COMMENT ON VIEW venice.stat_served IS
    'Answers of services that were logged since the server started, and those that were to be and found no room.';
GRANT SELECT ON venice.stat_served TO PUBLIC;
