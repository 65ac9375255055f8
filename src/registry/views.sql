-- Feature views, on-demand views, label views.

CREATE VIEW venice.feature_views WITH (security_barrier) AS
    SELECT v.view_name AS name, v.project, v.view_version, v.kind,
           COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, v.owner_name) AS owner,
           v.entities, v.source, v.features, v.inputs, v.request, v.ttl, v.window_length, v.online, v.offline,
           v.store_name AS store,
           v.options ->> 'description' AS description, v.options -> 'tags' AS tags,
           v.options -> 'expectations' AS expectations, v.options -> 'aggregations' AS aggregations,
           COALESCE(v.options ->> 'upper_edge', CASE WHEN v.options ? 'aggregations' THEN 'exclusive' END) AS upper_edge,
           v.deprecated_until, v.created_time
      FROM venice.feature_view v
      LEFT JOIN venice.project p ON p.project = v.project
      LEFT JOIN venice.version_pointer r ON r.store_name = v.store_name
      LEFT JOIN pg_catalog.pg_class c ON c.oid = r.records
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE venice_internal.is_entry_member(
               COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, v.owner_name))
        OR venice_internal.is_entry_member(p.owner_name)
        OR venice_internal.can_read(r.records);
COMMENT ON VIEW venice.feature_views IS
    'View versions that you own, of projects that you own, and those whose rows you may read.';
GRANT SELECT ON venice.feature_views TO PUBLIC;

CREATE VIEW venice.features WITH (security_barrier) AS
    SELECT f.feature AS name, f.project, f.view_name AS view, f.view_version, f.position, f.feature_type AS type,
           f.expression, f.source_columns,
           COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, v.owner_name) AS owner,
           f.options ->> 'description' AS description, f.options -> 'tags' AS tags, f.options -> 'aggregation' AS aggregation
      FROM venice.feature f
      JOIN venice.feature_view v USING (project, view_name, view_version)
      LEFT JOIN venice.project p ON p.project = v.project
      LEFT JOIN venice.version_pointer r ON r.store_name = v.store_name
      LEFT JOIN pg_catalog.pg_class c ON c.oid = r.records
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE venice_internal.is_entry_member(
               COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, v.owner_name))
        OR venice_internal.is_entry_member(p.owner_name)
        OR venice_internal.can_read(r.records);
COMMENT ON VIEW venice.features IS 'Features of the views in venice.feature_views.';
GRANT SELECT ON venice.features TO PUBLIC;

CREATE FUNCTION venice.create_feature_view(view text, entities text[], source text, features text DEFAULT NULL,
                                           ttl interval DEFAULT NULL, online boolean DEFAULT true,
                                           offline boolean DEFAULT true, options jsonb DEFAULT '{}')
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_feature_view';
COMMENT ON FUNCTION venice.create_feature_view(text, text[], text, text, interval, boolean, boolean, jsonb) IS
    'Define features of entities as a select list over a source, and make the store of their online values. Returns the view version, 1.';

CREATE FUNCTION venice.create_on_demand_view(view text, inputs text[], expressions text, request text DEFAULT NULL,
                                             options jsonb DEFAULT '{}')
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_on_demand_view';
COMMENT ON FUNCTION venice.create_on_demand_view(text, text[], text, text, jsonb) IS
    'Define features that are computed when they are asked for, from other features and from what the caller gives.';

CREATE FUNCTION venice.create_label_view(view text, entities text[], source text, features text, window_length interval,
                                         options jsonb DEFAULT '{}')
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_label_view';
COMMENT ON FUNCTION venice.create_label_view(text, text[], text, text, interval, jsonb) IS
    'Define labels: what became known of an entity within a time after the moment that is asked for. Not online.';

CREATE FUNCTION venice.alter_feature_view(view text, options jsonb DEFAULT '{}', features text DEFAULT NULL,
                                          ttl interval DEFAULT NULL, new_version boolean DEFAULT false)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_feature_view';
COMMENT ON FUNCTION venice.alter_feature_view(text, jsonb, text, interval, boolean) IS
    'Change a view version in place where nobody notices, or make a new one beside it. Options can also be entities, source, online, offline, ttl.';

CREATE FUNCTION venice.alter_on_demand_view(view text, options jsonb DEFAULT '{}', expressions text DEFAULT NULL,
                                            new_version boolean DEFAULT false)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_on_demand_view';
COMMENT ON FUNCTION venice.alter_on_demand_view(text, jsonb, text, boolean) IS
    'Change an on-demand view in place where nobody notices, or make a new view version. Options can also be inputs, request.';

CREATE FUNCTION venice.alter_label_view(view text, options jsonb DEFAULT '{}', features text DEFAULT NULL,
                                        new_version boolean DEFAULT false)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_alter_label_view';
COMMENT ON FUNCTION venice.alter_label_view(text, jsonb, text, boolean) IS
    'Change a label view in place where nobody notices, or make a new view version. Options can also be entities, source, window_length.';

CREATE FUNCTION venice.drop_feature_view(view text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_feature_view';
COMMENT ON FUNCTION venice.drop_feature_view(text, boolean) IS
    'Drop a view version, or without "@n" all of them, with the stores made for them. force: with what uses them.';

CREATE FUNCTION venice.drop_on_demand_view(view text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_on_demand_view';
COMMENT ON FUNCTION venice.drop_on_demand_view(text, boolean) IS
    'Drop an on-demand view. force: with the services that use it.';

CREATE FUNCTION venice.drop_label_view(view text, force boolean DEFAULT false)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_drop_label_view';
COMMENT ON FUNCTION venice.drop_label_view(text, boolean) IS
    'Drop a label view.';

CREATE FUNCTION venice.deprecate(view text, notice interval DEFAULT '90 days')
    RETURNS timestamptz
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_deprecate';
COMMENT ON FUNCTION venice.deprecate(text, interval) IS
    'Announce that a view version is going to be dropped: whoever starts to use it is warned. A notice of NULL takes that back.';

CREATE FUNCTION venice.grant_feature(feature text, grantee name)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_grant_feature';
COMMENT ON FUNCTION venice.grant_feature(text, name) IS
    'Let a role read a feature ("view:feature") or all of a view: GRANT on its store''s schema and columns.';

CREATE FUNCTION venice.revoke_feature(feature text, grantee name)
    RETURNS void
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_revoke_feature';
COMMENT ON FUNCTION venice.revoke_feature(text, name) IS
    'Take back what grant_feature gave.';
