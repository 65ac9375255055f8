-- Feature views, on-demand views, label views.

CREATE VIEW venice.feature_views WITH (security_barrier) AS
    SELECT v.view_name AS name, v.project, v.view_version, v.kind,
           COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END, v.owner_name) AS owner,
           v.entities, v.source, v.features, v.inputs, v.request, v.ttl, v.window_length, v.online, v.offline,
           v.store_name AS store,
           v.options ->> 'description' AS description, v.options -> 'tags' AS tags,
           v.options -> 'expectations' AS expectations, v.deprecated_until, v.created_time
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
           f.options ->> 'description' AS description, f.options -> 'tags' AS tags
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
