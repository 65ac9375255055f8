-- A service is its schema: whoever owns that owns it.  One that somebody has made since under the name of a schema that was
-- dropped or renamed by hand is not it.
CREATE VIEW venice_internal.service_schema AS
    SELECT s.project, s.service, n.oid AS schema_oid, n.nspname, n.nspowner
      FROM venice.service s
      JOIN pg_catalog.pg_namespace n ON n.nspname = s.schema_name
      LEFT JOIN venice.service_schema o ON o.project = s.project AND o.service = s.service
                                       AND o.system_identifier = venice_internal.system_identifier()
     WHERE o.schema_oid IS NULL OR o.schema_oid = n.oid;
COMMENT ON VIEW venice_internal.service_schema IS 'The schemas of services that have theirs.';

CREATE FUNCTION venice_internal.definition_object(options jsonb, VARIADIC keys_and_values "any")
    RETURNS jsonb
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_definition_object';
COMMENT ON FUNCTION venice_internal.definition_object(jsonb, "any") IS
    'Values that are not NULL by their keys, and options, as one object.';
REVOKE EXECUTE ON FUNCTION venice_internal.definition_object(jsonb, "any") FROM PUBLIC;

-- Every entry of the registry as an object of a definition file: what export writes, plan compares, and the audit keeps.
CREATE FUNCTION venice_internal.project_definition(p venice.project)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object('name', p.project, 'owner', p.owner_name) || p.options;
END;
COMMENT ON FUNCTION venice_internal.project_definition(venice.project) IS 'A project as an object of a definition file.';
REVOKE EXECUTE ON FUNCTION venice_internal.project_definition(venice.project) FROM PUBLIC;

CREATE FUNCTION venice_internal.entity_definition(e venice.entity)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object('name', e.entity, 'owner', e.owner_name, 'keys',
               (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.name) || ' ' || k.type, ', ' ORDER BY k.position)
                  FROM ROWS FROM (pg_catalog.unnest(e.key_names), pg_catalog.unnest(e.key_types))
                       WITH ORDINALITY AS k (name, type, position))) || e.options;
END;
COMMENT ON FUNCTION venice_internal.entity_definition(venice.entity) IS 'An entity as an object of a definition file.';
REVOKE EXECUTE ON FUNCTION venice_internal.entity_definition(venice.entity) FROM PUBLIC;

CREATE FUNCTION venice_internal.source_definition(s venice.source)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT venice_internal.definition_object(s.options, 'name', s.source, 'owner', s.owner_name,
               'relation', s.relation::text, 'store', s.store_name, 'server', s.server_name, 'topic', s.topic,
               'event_time', s.event_time, 'created_time', s.created_time_column);
END;
COMMENT ON FUNCTION venice_internal.source_definition(venice.source) IS 'A source as an object of a definition file.';
REVOKE EXECUTE ON FUNCTION venice_internal.source_definition(venice.source) FROM PUBLIC;

CREATE FUNCTION venice_internal.view_definition(v venice.feature_view)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE v.kind
               WHEN 'on_demand' THEN venice_internal.definition_object(v.options, 'name', v.view_name, 'owner', v.owner_name,
                    'view_version', v.view_version, 'deprecated_until', pg_catalog.to_jsonb(v.deprecated_until) #>> '{}',
                    'inputs', v.inputs, 'expressions', v.features, 'request', v.request)
               ELSE venice_internal.definition_object(v.options, 'name', v.view_name, 'owner', v.owner_name,
                    'view_version', v.view_version, 'deprecated_until', pg_catalog.to_jsonb(v.deprecated_until) #>> '{}',
                    'entities', v.entities, 'source', v.source, 'features', v.features, 'ttl', v.ttl::text,
                    'window_length', v.window_length::text,
                    'online', CASE v.kind WHEN 'feature' THEN v.online END,
                    'offline', CASE v.kind WHEN 'feature' THEN v.offline END,
                    'store', CASE WHEN v.owns_store AND v.store_name <> v.view_name THEN v.store_name END) END;
END;
COMMENT ON FUNCTION venice_internal.view_definition(venice.feature_view) IS 'A view version as an object of a definition file.';
REVOKE EXECUTE ON FUNCTION venice_internal.view_definition(venice.feature_view) FROM PUBLIC;

CREATE FUNCTION venice_internal.service_definition(s venice.service, owner name)
    RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_build_object('name', s.service, 'owner', owner, 'features', s.features) || s.options;
END;
COMMENT ON FUNCTION venice_internal.service_definition(venice.service, name) IS 'A service as an object of a definition file.';
REVOKE EXECUTE ON FUNCTION venice_internal.service_definition(venice.service, name) FROM PUBLIC;

-- Not for people: it withholds nothing.
CREATE VIEW venice_internal.definition AS
    SELECT 'project' AS kind, p.project, p.project AS name, NULL::integer AS view_version, p.owner_name,
           venice_internal.project_definition(p) AS definition
      FROM venice.project p
    UNION ALL
    SELECT 'entity', e.project, e.entity, NULL, e.owner_name, venice_internal.entity_definition(e)
      FROM venice.entity e
    UNION ALL
    SELECT 'source', s.project, s.source, NULL, s.owner_name, venice_internal.source_definition(s)
      FROM venice.source s
    UNION ALL
    SELECT v.kind || '_view', v.project, v.view_name, v.view_version, v.owner_name, venice_internal.view_definition(v)
      FROM venice.feature_view v
    UNION ALL
    SELECT 'service', s.project, s.service, NULL, pg_catalog.pg_get_userbyid(n.nspowner),
           venice_internal.service_definition(s, pg_catalog.pg_get_userbyid(n.nspowner))
      FROM venice.service s
      LEFT JOIN venice_internal.service_schema n ON n.project = s.project AND n.service = s.service;
COMMENT ON VIEW venice_internal.definition IS 'Every entry of the registry, as an object of a definition file.';
