-- Projects, entities, sources and the audit.  The functions are executable by PUBLIC: each demands what core's equivalent
-- command demands.

CREATE FUNCTION venice_internal.is_entry_member(owner name)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_is_entry_member';
COMMENT ON FUNCTION venice_internal.is_entry_member(name) IS
    'Has the current user the rights of an entry''s owner? Where that role is gone, or none is given: of the database''s owner.';

CREATE FUNCTION venice_internal.can_read(records oid)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_can_read';
COMMENT ON FUNCTION venice_internal.can_read(oid) IS
    'Has the current user USAGE on the schema of a store''s records, and SELECT on a column of them?';

-- The same of another role.
CREATE FUNCTION venice_internal.is_entry_member_as(owner name, member oid)
    RETURNS boolean
    LANGUAGE c STABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_is_entry_member';
COMMENT ON FUNCTION venice_internal.is_entry_member_as(name, oid) IS 'Has a role the rights of an entry''s owner?';
REVOKE EXECUTE ON FUNCTION venice_internal.is_entry_member_as(name, oid) FROM PUBLIC;

CREATE FUNCTION venice_internal.can_read_as(records oid, member oid)
    RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_can_read';
COMMENT ON FUNCTION venice_internal.can_read_as(oid, oid) IS
    'Has a role USAGE on the schema of a store''s records, and SELECT on a column of them?';
REVOKE EXECUTE ON FUNCTION venice_internal.can_read_as(oid, oid) FROM PUBLIC;

CREATE FUNCTION venice.create_project(project text, owner name DEFAULT current_user, options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_project';
COMMENT ON FUNCTION venice.create_project(text, name, jsonb) IS
    'Make a project: members of its owner see its entries, and add to it.';

CREATE FUNCTION venice.alter_project(project text, options jsonb)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_project';
COMMENT ON FUNCTION venice.alter_project(text, jsonb) IS
    'Change the options of a project; JSON null resets one.';

CREATE FUNCTION venice.drop_project(project text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_project';
COMMENT ON FUNCTION venice.drop_project(text, boolean) IS
    'Drop a project that is empty. force: with all that is in it.';

CREATE FUNCTION venice.create_entity(entity text, keys text, options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_entity';
COMMENT ON FUNCTION venice.create_entity(text, text, jsonb) IS
    'Make an entity: what features are about. keys is a column list, such as ''user_id bigint''.';

CREATE FUNCTION venice.alter_entity(entity text, options jsonb)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_entity';
COMMENT ON FUNCTION venice.alter_entity(text, jsonb) IS
    'Change the options of an entity, and its keys while no view uses it; JSON null resets an option.';

CREATE FUNCTION venice.drop_entity(entity text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_entity';
COMMENT ON FUNCTION venice.drop_entity(text, boolean) IS
    'Drop an entity that no view uses. force: with the views that use it.';

CREATE FUNCTION venice.create_source(source text, relation regclass DEFAULT NULL, store text DEFAULT NULL,
                                     server text DEFAULT NULL, topic text DEFAULT NULL, event_time text DEFAULT NULL,
                                     created_time text DEFAULT NULL, options jsonb DEFAULT '{}')
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_source';
COMMENT ON FUNCTION venice.create_source(text, regclass, text, text, text, text, text, jsonb) IS
    'Make a source: where feature values come from. It is exactly one of a relation, a store, and a topic of a server.';

CREATE FUNCTION venice.alter_source(source text, options jsonb)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_source';
COMMENT ON FUNCTION venice.alter_source(text, jsonb) IS
    'Change a source, its relation and times among the options; what views read of it has to stay. JSON null resets an option.';

CREATE FUNCTION venice.drop_source(source text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_source';
COMMENT ON FUNCTION venice.drop_source(text, boolean) IS
    'Drop a source that no view uses. force: with the views that use it.';
CREATE VIEW venice.projects WITH (security_barrier) AS
    SELECT p.project AS name, p.owner_name AS owner, p.options ->> 'description' AS description,
           p.options -> 'tags' AS tags, p.created_time
      FROM venice.project p
     WHERE venice_internal.is_entry_member(p.owner_name);
COMMENT ON VIEW venice.projects IS 'Projects of whose owner you are a member. "default", which everybody has, is here once somebody has altered it.';
GRANT SELECT ON venice.projects TO PUBLIC;

CREATE VIEW venice.entities WITH (security_barrier) AS
    SELECT e.entity AS name, e.project, e.owner_name AS owner,
           (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.name) || ' ' || k.type, ', ' ORDER BY k.position)
              FROM ROWS FROM (pg_catalog.unnest(e.key_names), pg_catalog.unnest(e.key_types))
                   WITH ORDINALITY AS k (name, type, position)) AS keys,
           e.options ->> 'description' AS description, e.options -> 'tags' AS tags, e.created_time
      FROM venice.entity e
      LEFT JOIN venice.project p ON p.project = e.project
     WHERE venice_internal.is_entry_member(e.owner_name)
        OR venice_internal.is_entry_member(p.owner_name)
        OR (e.project || '.' || e.entity) IN (
               SELECT pg_catalog.unnest(v.entities)
                 FROM venice.feature_view v
                 JOIN venice.version_pointer r USING (store_name)
                WHERE venice_internal.can_read(r.records));
COMMENT ON VIEW venice.entities IS
    'Entities that you own, of projects that you own, and of feature views whose rows you may read.';
GRANT SELECT ON venice.entities TO PUBLIC;

CREATE VIEW venice.sources WITH (security_barrier) AS
    SELECT s.source AS name, s.project, s.owner_name AS owner, s.relation, s.store_name AS store,
           s.server_name AS server, s.topic, s.event_time, s.created_time_column,
           s.options ->> 'columns' AS columns, s.options - '{columns,description,tags}'::text[] AS options,
           s.options ->> 'description' AS description, s.options -> 'tags' AS tags, s.created_time
      FROM venice.source s
      LEFT JOIN venice.project p ON p.project = s.project
     WHERE venice_internal.is_entry_member(s.owner_name)
        OR venice_internal.is_entry_member(p.owner_name);
COMMENT ON VIEW venice.sources IS 'Sources that you own, and those of projects that you own.';
GRANT SELECT ON venice.sources TO PUBLIC;

CREATE VIEW venice.audit WITH (security_barrier) AS
    SELECT a.audit_id, a.changed_time, a.role_name AS role, a.session_role_name AS session_role, a.action, a.kind,
           a.project, a.name, a.owner_name AS owner, a.before, a.after
      FROM venice.audit_entry a
      -- What happened in another project of the same name, which was dropped, is not its successor's.
      LEFT JOIN (SELECT t.project, t.owner_name,
                        (SELECT pg_catalog.max(c.audit_id) FROM venice.audit_entry c
                          WHERE c.name = t.project::text AND c.kind = 'project' AND c.action = 'create') AS since
                   FROM venice.project t) p ON p.project = a.project AND a.audit_id >= COALESCE(p.since, 0)
     WHERE venice_internal.is_entry_member(a.owner_name)
        OR a.project IS NOT NULL AND venice_internal.is_entry_member(p.owner_name);
COMMENT ON VIEW venice.audit IS
    'Every change of stores and registry entries that you own, or of projects that you own: who, when, from what to what.';
GRANT SELECT ON venice.audit TO PUBLIC;
