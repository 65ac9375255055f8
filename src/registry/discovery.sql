-- Finding one's way: what there is, what it is, what depends on what.
-- The functions of venice_internal here withhold what their first argument, a role, may not see, and are for the
-- extension's owner, as whom the functions of venice call them for the current user.

-- Entries -----------------------------------------------------------------------------------------------------------

CREATE FUNCTION venice_internal.readable_views(member oid)
    RETURNS TABLE (kind text, project name, view_name name, view_version integer, is_deprecated boolean, owner_name name,
                   options jsonb, entities text[], store_name name, search_words tsvector, definition jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT v.kind || '_view', v.project, v.view_name, v.view_version, v.deprecated_until IS NOT NULL, o.owner_name,
           v.options, v.entities, v.store_name, v.search_words, venice_internal.view_definition(v)
      FROM venice.feature_view v
      LEFT JOIN venice.project p ON p.project = v.project
      LEFT JOIN venice.version_pointer r ON r.store_name = v.store_name
      LEFT JOIN pg_catalog.pg_class c ON c.oid = r.records
      LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (SELECT COALESCE(CASE WHEN v.owns_store THEN pg_catalog.pg_get_userbyid(n.nspowner) END,
                                         v.owner_name)) o (owner_name)
     WHERE venice_internal.is_entry_member_as(o.owner_name, member)
        OR venice_internal.is_entry_member_as(p.owner_name, member)
        OR venice_internal.can_read_as(r.records, member);
END;
COMMENT ON FUNCTION venice_internal.readable_views(oid) IS 'View versions that a role may see: as venice.feature_views.';
REVOKE EXECUTE ON FUNCTION venice_internal.readable_views(oid) FROM PUBLIC;

CREATE FUNCTION venice_internal.entries(member oid)
    RETURNS TABLE (class text, kind text, project name, entry name, number integer, is_deprecated boolean, owner_name name,
                   options jsonb, search_words tsvector, definition jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 'project', 'project', p.project, p.project, 0, false, p.owner_name, p.options, p.search_words,
           venice_internal.project_definition(p)
      FROM venice.project p
     WHERE venice_internal.is_entry_member_as(p.owner_name, member)
    UNION ALL
    SELECT 'entity', 'entity', e.project, e.entity, 0, false, e.owner_name, e.options, e.search_words,
           venice_internal.entity_definition(e)
      FROM venice.entity e
      LEFT JOIN venice.project p ON p.project = e.project
     WHERE venice_internal.is_entry_member_as(e.owner_name, member)
        OR venice_internal.is_entry_member_as(p.owner_name, member)
        OR e.project || '.' || e.entity IN
           (SELECT u.reference FROM venice_internal.readable_views(member) v, pg_catalog.unnest(v.entities) u (reference))
    UNION ALL
    SELECT 'source', 'source', s.project, s.source, 0, false, s.owner_name, s.options, s.search_words,
           venice_internal.source_definition(s)
      FROM venice.source s
      LEFT JOIN venice.project p ON p.project = s.project
     WHERE venice_internal.is_entry_member_as(s.owner_name, member)
        OR venice_internal.is_entry_member_as(p.owner_name, member)
    UNION ALL
    SELECT 'view', v.kind, v.project, v.view_name, v.view_version, v.is_deprecated, v.owner_name, v.options, v.search_words,
           v.definition
      FROM venice_internal.readable_views(member) v
    UNION ALL
    SELECT 'service', 'service', s.project, s.service, 0, false, pg_catalog.pg_get_userbyid(n.nspowner), s.options, s.search_words,
           venice_internal.service_definition(s, pg_catalog.pg_get_userbyid(n.nspowner))
      FROM venice.service s
      LEFT JOIN venice.project p ON p.project = s.project
      LEFT JOIN venice_internal.service_schema n ON n.project = s.project AND n.service = s.service
     WHERE venice_internal.is_entry_member_as(pg_catalog.pg_get_userbyid(n.nspowner), member)
        OR venice_internal.is_entry_member_as(p.owner_name, member)
        OR pg_catalog.has_schema_privilege(member, n.schema_oid, 'USAGE')
    UNION ALL
    SELECT 'store', 'store', '', s.store_name, 0, false, pg_catalog.pg_get_userbyid(n.nspowner), '{}', s.search_words,
           NULL::jsonb
      FROM venice.store s
      JOIN venice.version_pointer r ON r.store_name = s.store_name
      JOIN pg_catalog.pg_class c ON c.oid = r.records
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE pg_catalog.pg_has_role(member, n.nspowner, 'USAGE')
        OR venice_internal.can_read_as(r.records, member)
    UNION ALL
    SELECT 'training_set', 'training_set', n.nspname, c.relname, 0, false, pg_catalog.pg_get_userbyid(c.relowner), t.options,
           venice_internal.search_words(c.relname::text, t.options ->> 'description', t.options ->> 'tags', ''), NULL::jsonb
      FROM venice.training_set t
      JOIN pg_catalog.pg_class c ON c.oid = t.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE pg_catalog.pg_has_role(member, c.relowner, 'USAGE')
        OR pg_catalog.has_table_privilege(member, c.oid, 'SELECT');
END;
COMMENT ON FUNCTION venice_internal.entries(oid) IS
    'Everything in the registry that a role may see, but for the features of views. Stores and training sets have no definition; project is empty for a store, the schema for a training set.';
REVOKE EXECUTE ON FUNCTION venice_internal.entries(oid) FROM PUBLIC;

CREATE FUNCTION venice_internal.entry_name(project name, entry name, number integer, part name DEFAULT '')
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN project = '' THEN '' ELSE project::text || '.' END || entry::text ||
           CASE WHEN number = 0 THEN '' ELSE '@' || number::text END || CASE WHEN part = '' THEN '' ELSE ':' || part::text END;
END;
COMMENT ON FUNCTION venice_internal.entry_name(name, name, integer, name) IS 'A reference to an entry, or to a feature.';

-- The entries that a reference may mean: of each class the one in the nearest project, the newest view version that is
-- not deprecated.
CREATE FUNCTION venice_internal.entries_named(member oid, current_project name, in_project name, named name, at_version integer)
    RETURNS TABLE (class text, kind text, project name, entry name, number integer)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT ON (e.class) e.class, e.kind, e.project, e.entry, e.number
      FROM venice_internal.entries(member) e
     WHERE e.entry = named
       AND CASE e.class WHEN 'project' THEN in_project IS NULL WHEN 'store' THEN in_project IS NULL
                WHEN 'training_set' THEN e.project = COALESCE(in_project, e.project)
                ELSE e.project IN (COALESCE(in_project, current_project), COALESCE(in_project, 'default')) END
       AND (at_version = 0 OR e.class = 'view' AND e.number = at_version)
     ORDER BY e.class, e.project <> COALESCE(in_project, current_project), e.is_deprecated, e.number DESC, e.project;
END;
COMMENT ON FUNCTION venice_internal.entries_named(oid, name, name, name, integer) IS
    'What a reference means, as far as a role may see it.';
REVOKE EXECUTE ON FUNCTION venice_internal.entries_named(oid, name, name, name, integer) FROM PUBLIC;

-- Search ------------------------------------------------------------------------------------------------------------

CREATE FUNCTION venice_internal.search_entries(member oid, query tsquery, wanted text, max_rows integer, exact text)
    RETURNS TABLE (kind text, name text, project name, owner name, description text, rank real)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT b.kind, venice_internal.entry_name(CASE b.kind WHEN 'training_set' THEN b.project ELSE '' END, b.entry, b.number, b.part),
           CASE WHEN b.kind NOT IN ('store', 'training_set') THEN b.project END, b.owner_name,
           b.options ->> 'description', b.rank
      FROM (SELECT f.*
              FROM (SELECT e.kind, e.project, e.entry, e.number, ''::name AS part, e.owner_name, e.options,
                           pg_catalog.ts_rank(e.search_words, query) + (e.entry = exact)::integer::real AS rank
                      FROM venice_internal.entries(member) e
                     WHERE (query IS NULL OR e.search_words @@ query)
                       AND (wanted IS NULL OR e.kind = wanted)
                       -- The store of a view is what the view says.
                       AND NOT (e.class = 'store' AND EXISTS (SELECT FROM venice.feature_view v
                                                               WHERE v.store_name = e.entry AND v.owns_store))
                    UNION ALL
                    SELECT 'feature', f.project, f.view_name, f.view_version, f.feature, v.owner_name, f.options,
                           pg_catalog.ts_rank(f.search_words, query) + (f.feature = exact)::integer::real
                      FROM venice.feature f
                      -- Who may see a view is asked once for each view, not for each feature.
                      JOIN (SELECT r.project, r.view_name, r.view_version, r.owner_name
                              FROM venice_internal.readable_views(member) r OFFSET 0) v USING (project, view_name, view_version)
                     WHERE (query IS NULL OR f.search_words @@ query)
                       AND (wanted IS NULL OR wanted = 'feature')) f
             ORDER BY f.rank DESC NULLS LAST, f.entry, f.number DESC, f.part, f.kind, f.project
             LIMIT max_rows) b
     ORDER BY b.rank DESC NULLS LAST, b.entry, b.number DESC, b.part, b.kind, b.project;
END;
COMMENT ON FUNCTION venice_internal.search_entries(oid, tsquery, text, integer, text) IS
    'What search answers. No query: everything.';
REVOKE EXECUTE ON FUNCTION venice_internal.search_entries(oid, tsquery, text, integer, text) FROM PUBLIC;

-- For words that no name has: those of all names that share the first letter of one of them.
CREATE FUNCTION venice_internal.words_like(words text[])
    RETURNS TABLE (candidate text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT s.word
      FROM pg_catalog.ts_stat(
               (SELECT pg_catalog.string_agg(pg_catalog.format(
                           'SELECT search_words FROM venice.%I WHERE search_words OPERATOR(pg_catalog.@@) %L::pg_catalog.tsquery',
                           t.table_name, l.letters), ' UNION ALL ')
                  FROM (VALUES ('feature'), ('feature_view'), ('entity'), ('source'), ('service'), ('store'), ('project')) t (table_name)
                 CROSS JOIN (SELECT pg_catalog.string_agg(pg_catalog.quote_literal(pg_catalog.left(u.word, 1)) || ':*A', ' | ')
                               FROM pg_catalog.unnest(words) u (word)) l (letters)), 'a') s;
END;
COMMENT ON FUNCTION venice_internal.words_like(text[]) IS
    'Words of names that have a word with the first letter of one of these.';
REVOKE EXECUTE ON FUNCTION venice_internal.words_like(text[]) FROM PUBLIC;

CREATE FUNCTION venice.search(query text, of_kind text DEFAULT NULL, max_rows integer DEFAULT 50)
    RETURNS TABLE (kind text, name text, project name, owner name, description text, rank real)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_search';
COMMENT ON FUNCTION venice.search(text, text, integer) IS
    'Find entries of the registry by the beginnings of words of their names, descriptions, tags and owners, best first.';

-- Lineage -----------------------------------------------------------------------------------------------------------

-- A node is (kind, project, entry, number, part) or, outside of the registry, (kind, object, part): relations, their
-- columns, topics, models.  "source" is who knows of the edge when its end does not tell: a column is a source's.
CREATE VIEW venice_internal.lineage_edge (from_kind, from_project, from_entry, from_number, from_part, from_object,
                                          to_kind, to_project, to_entry, to_number, to_part, to_object, via) AS
    SELECT 'relation', ''::name, ''::name, 0, ''::name, s.relation::text,
           'source', s.project, s.source, 0, ''::name, '', 'relation'
      FROM venice.source s
     WHERE s.relation IS NOT NULL
    UNION ALL
    SELECT 'topic', '', '', 0, '', s.server_name || ':' || s.topic,
           'source', s.project, s.source, 0, '', '', 'topic'
      FROM venice.source s
     WHERE s.topic IS NOT NULL
    UNION ALL
    SELECT 'store', '', s.store_name, 0, '', '',
           'source', s.project, s.source, 0, '', '', 'store'
      FROM venice.source s
     WHERE s.store_name IS NOT NULL
    UNION ALL
    SELECT 'source', pg_catalog.split_part(v.source, '.', 1)::name, pg_catalog.split_part(v.source, '.', 2)::name, 0, '', '',
           v.kind || '_view', v.project, v.view_name, v.view_version, '', '', 'source'
      FROM venice.feature_view v
     WHERE v.source IS NOT NULL
    UNION ALL
    SELECT 'entity', pg_catalog.split_part(u.entity, '.', 1)::name, pg_catalog.split_part(u.entity, '.', 2)::name, 0, '', '',
           v.kind || '_view', v.project, v.view_name, v.view_version, '', '', 'keys'
      FROM venice.feature_view v, pg_catalog.unnest(v.entities) u (entity)
    UNION ALL
    SELECT v.kind || '_view', v.project, v.view_name, v.view_version, '', '',
           'feature', f.project, f.view_name, f.view_version, f.feature, '', 'feature'
      FROM venice.feature_view v
      JOIN venice.feature f USING (project, view_name, view_version)
    UNION ALL
    SELECT v.kind || '_view', v.project, v.view_name, v.view_version, '', '',
           'store', '', v.store_name, 0, '', '', 'online store'
      FROM venice.feature_view v
     WHERE v.owns_store AND v.store_name IS NOT NULL
    UNION ALL
    SELECT 'column', s.project, s.source, 0, u.column_name::name,
           COALESCE(s.relation::text, s.store_name, s.server_name || ':' || s.topic),
           'feature', f.project, f.view_name, f.view_version, f.feature, '', f.expression
      FROM venice.source s
      JOIN venice.feature_view v ON pg_catalog.split_part(v.source, '.', 1)::name = s.project
                                AND pg_catalog.split_part(v.source, '.', 2)::name = s.source
      JOIN venice.feature f ON f.project = v.project AND f.view_name = v.view_name AND f.view_version = v.view_version
     CROSS JOIN pg_catalog.unnest(f.source_columns) u (column_name)
    UNION ALL
    SELECT 'feature', f.project, f.view_name, f.view_version, f.feature, '',
           'on_demand_view', d.project, d.view_name, d.view_version, '', '', 'input'
      FROM venice.feature_view d
     CROSS JOIN pg_catalog.unnest(d.inputs) u (input)
      JOIN venice.feature f
        ON f.project = pg_catalog.split_part(u.input, '.', 1)::name
       AND f.view_name = pg_catalog.split_part(pg_catalog.split_part(pg_catalog.split_part(u.input, ':', 1), '@', 1), '.', 2)::name
       AND f.view_version = NULLIF(pg_catalog.split_part(pg_catalog.split_part(u.input, ':', 1), '@', 2), '')::integer
       AND f.feature = pg_catalog.substr(u.input, pg_catalog.strpos(u.input, ':') + 1)::name
       AND d.inputs @> ARRAY[venice_internal.entry_name(f.project, f.view_name, f.view_version, f.feature) COLLATE "default"]
    UNION ALL
    SELECT 'feature', f.project, f.view_name, f.view_version, f.feature, '',
           'feature', g.project, g.view_name, g.view_version, g.feature, '', g.expression
      FROM venice.feature_view d
      JOIN venice.feature g ON g.project = d.project AND g.view_name = d.view_name AND g.view_version = d.view_version
     CROSS JOIN pg_catalog.unnest(g.source_columns) u (input)
      JOIN venice.feature f
        ON f.project = pg_catalog.split_part(u.input, '.', 1)::name
       AND f.view_name = pg_catalog.split_part(pg_catalog.split_part(pg_catalog.split_part(u.input, ':', 1), '@', 1), '.', 2)::name
       AND f.view_version = NULLIF(pg_catalog.split_part(pg_catalog.split_part(u.input, ':', 1), '@', 2), '')::integer
       AND f.feature = pg_catalog.substr(u.input, pg_catalog.strpos(u.input, ':') + 1)::name
       AND d.inputs @> ARRAY[venice_internal.entry_name(f.project, f.view_name, f.view_version, f.feature) COLLATE "default"]
     WHERE d.kind = 'on_demand'
    UNION ALL
    SELECT 'feature', f.view_project, f.view_name, f.view_version, f.feature, '',
           'service', f.project, f.service, 0, '', '', f.output_name
      FROM venice.service_feature f
    UNION ALL
    SELECT 'feature', pg_catalog.split_part(r.name, '.', 1)::name, pg_catalog.split_part(r.name, '.', 2)::name,
           NULLIF(pg_catalog.split_part(r.version, ':', 1), '')::integer, pg_catalog.split_part(r.version, ':', 2)::name, '',
           'training_set', n.nspname, c.relname, 0, '', '', u.column_name
      FROM venice.training_set t
      JOIN pg_catalog.pg_class c ON c.oid = t.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN ROWS FROM (pg_catalog.unnest(t.used_features), pg_catalog.unnest(t.feature_columns)) AS u (reference, column_name)
     CROSS JOIN LATERAL (SELECT pg_catalog.split_part(u.reference, '@', 1), pg_catalog.split_part(u.reference, '@', 2)) AS r (name, version)
    UNION ALL
    SELECT 'service', pg_catalog.split_part(u.service, '.', 1)::name, pg_catalog.split_part(u.service, '.', 2)::name, 0, '', '',
           'training_set', n.nspname, c.relname, 0, '', '', 'features'
      FROM venice.training_set t
      JOIN pg_catalog.pg_class c ON c.oid = t.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN pg_catalog.unnest(t.services) u (service)
    UNION ALL
    SELECT 'service', s.project, s.service, 0, '', '',
           'model', '', '', 0, '', (s.options ->> 'model') || COALESCE('@' || (s.options ->> 'model_version'), ''), 'model'
      FROM venice.service s
     WHERE s.options ? 'model';
COMMENT ON VIEW venice_internal.lineage_edge IS
    'From what to what values flow, derived from definitions. A node is an entry or a feature, or the object of that kind; a column''s entry is the source that knows it.';

CREATE FUNCTION venice_internal.node_name(kind text, project name, entry name, number integer, part name, object text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN kind = 'column' THEN object || '.' || pg_catalog.quote_ident(part)
                WHEN object <> '' THEN object
                ELSE venice_internal.entry_name(project, entry, number, part) END;
END;
COMMENT ON FUNCTION venice_internal.node_name(text, name, name, integer, name, text) IS 'How a node of the lineage is called.';

-- What kind of entry decides who sees a node; NULL: everybody.
CREATE FUNCTION venice_internal.node_class(kind text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN kind IN ('relation', 'topic', 'model') THEN NULL WHEN kind = 'column' THEN 'source'
                WHEN kind IN ('entity', 'source', 'service', 'store', 'training_set') THEN kind ELSE 'view' END;
END;
COMMENT ON FUNCTION venice_internal.node_class(text) IS 'The class of the entry that a node of the lineage belongs to.';

CREATE FUNCTION venice_internal.visible_lineage(member oid)
    RETURNS TABLE (from_kind text, from_name text, to_kind text, to_name text, via text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.from_kind, venice_internal.node_name(e.from_kind, e.from_project, e.from_entry, e.from_number, e.from_part, e.from_object),
           e.to_kind, venice_internal.node_name(e.to_kind, e.to_project, e.to_entry, e.to_number, e.to_part, e.to_object),
           e.via
      FROM venice_internal.lineage_edge e
     WHERE (venice_internal.node_class(e.from_kind) IS NULL
            OR (venice_internal.node_class(e.from_kind), e.from_project, e.from_entry, e.from_number) IN
               (SELECT v.class, v.project, v.entry, v.number FROM venice_internal.entries(member) v))
       AND (venice_internal.node_class(e.to_kind) IS NULL
            OR (venice_internal.node_class(e.to_kind), e.to_project, e.to_entry, e.to_number) IN
               (SELECT v.class, v.project, v.entry, v.number FROM venice_internal.entries(member) v));
END;
COMMENT ON FUNCTION venice_internal.visible_lineage(oid) IS 'The edges of the lineage between what a role may see.';
REVOKE EXECUTE ON FUNCTION venice_internal.visible_lineage(oid) FROM PUBLIC;

CREATE FUNCTION venice_internal.lineage()
    RETURNS TABLE (from_kind text, from_name text, to_kind text, to_name text, via text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_lineage';
COMMENT ON FUNCTION venice_internal.lineage() IS 'The edges of the lineage between what the current user may see.';

CREATE VIEW venice.lineage WITH (security_barrier) AS
    SELECT l.from_kind, l.from_name, l.to_kind, l.to_name, l.via FROM venice_internal.lineage() l;
COMMENT ON VIEW venice.lineage IS
    'From what to what values flow: columns, sources, views, features, services, models that you may see, derived from their definitions.';
GRANT SELECT ON venice.lineage TO PUBLIC;

-- The nodes that a name means: an entry, a feature, or what is outside: an object, or a column of one.
CREATE FUNCTION venice_internal.lineage_nodes(member oid, current_project name, in_project name, named name, at_version integer,
                                              feature name, in_object text, of_object text, column_name name)
    RETURNS TABLE (kind text, project name, entry name, number integer, part name, object text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT e.kind, e.project, e.entry, e.number, ''::name, ''
      FROM venice_internal.entries_named(member, current_project, in_project, named, at_version) e
     WHERE e.class <> 'project' AND feature IS NULL
    UNION ALL
    SELECT 'feature', f.project, f.view_name, f.view_version, f.feature, ''
      FROM venice_internal.entries_named(member, current_project, in_project, named, at_version) e
      JOIN venice.feature f ON f.project = e.project AND f.view_name = e.entry AND f.view_version = e.number
     WHERE e.class = 'view' AND f.feature = lineage_nodes.feature
    UNION
    SELECT e.from_kind, e.from_project, e.from_entry, e.from_number, e.from_part, e.from_object
      FROM venice_internal.lineage_edge e
      -- Who may not see the source does not learn that it is one.
      JOIN venice_internal.entries(member) s
        ON s.class = 'source' AND s.project = CASE e.from_kind WHEN 'column' THEN e.from_project ELSE e.to_project END
       AND s.entry = CASE e.from_kind WHEN 'column' THEN e.from_entry ELSE e.to_entry END
     WHERE e.from_object = in_object AND e.from_kind IN ('relation', 'topic', 'column')
        OR e.from_object = of_object AND e.from_kind = 'column' AND e.from_part = column_name
    UNION
    SELECT e.to_kind, e.to_project, e.to_entry, e.to_number, e.to_part, e.to_object
      FROM venice_internal.lineage_edge e
      JOIN venice_internal.entries(member) s ON s.class = 'service' AND s.project = e.from_project AND s.entry = e.from_entry
     WHERE e.to_kind = 'model' AND e.to_object = in_object;
END;
COMMENT ON FUNCTION venice_internal.lineage_nodes(oid, name, name, name, integer, name, text, text, name) IS
    'Nodes of the lineage by name, as far as a role may see that there is something of the name.';
REVOKE EXECUTE ON FUNCTION venice_internal.lineage_nodes(oid, name, name, name, integer, name, text, text, name) FROM PUBLIC;

CREATE FUNCTION venice.upstream(of_name text)
    RETURNS TABLE (depth integer, kind text, name text, via text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_upstream';
COMMENT ON FUNCTION venice.upstream(text) IS 'What a feature, view, source, service or model is made from, nearest first.';

CREATE FUNCTION venice.downstream(of_name text)
    RETURNS TABLE (depth integer, kind text, name text, via text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_downstream';
COMMENT ON FUNCTION venice.downstream(text) IS
    'What is made from a relation, a column, an entity, source, view or feature: who is hit when it changes, nearest first.';

CREATE FUNCTION venice.lineage_dot(name text DEFAULT NULL)
    RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_lineage_dot';
COMMENT ON FUNCTION venice.lineage_dot(text) IS
    'The lineage as a graph in Graphviz''s language: of everything, or up and down from one name.';

-- Describe ----------------------------------------------------------------------------------------------------------

CREATE FUNCTION venice_internal.readers(store name)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.string_agg(g.grantee || COALESCE(' (' || g.columns || ')', ''), ', ' ORDER BY g.grantee)
      FROM (SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS grantee,
                   CASE WHEN NOT pg_catalog.bool_or(a.attname IS NULL)
                        THEN pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY a.attnum) END AS columns
              FROM (SELECT x.grantee, NULL::name AS attname, NULL::smallint AS attnum
                      FROM venice.version_pointer p
                      JOIN pg_catalog.pg_class c ON c.oid = p.records
                     CROSS JOIN pg_catalog.aclexplode(c.relacl) x
                     WHERE p.store_name = store AND x.privilege_type = 'SELECT' AND x.grantee <> c.relowner
                    UNION ALL
                    SELECT x.grantee, t.attname, t.attnum
                      FROM venice.version_pointer p
                      JOIN pg_catalog.pg_attribute t ON t.attrelid = p.records AND NOT t.attisdropped
                     CROSS JOIN pg_catalog.aclexplode(t.attacl) x
                     WHERE p.store_name = store AND x.privilege_type = 'SELECT') a
             GROUP BY a.grantee) g;
END;
COMMENT ON FUNCTION venice_internal.readers(name) IS 'Whom a store''s owner has let read it: roles, with the columns where not all.';
REVOKE EXECUTE ON FUNCTION venice_internal.readers(name) FROM PUBLIC;

CREATE FUNCTION venice_internal.describe_store(store name)
    RETURNS TABLE (place integer, property text, value text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.place, p.property, p.value
      FROM venice.store s
      LEFT JOIN venice.store_version v ON v.store_name = s.store_name AND v.state = 'current'
     CROSS JOIN LATERAL (VALUES
               (100, 'store', s.store_name::text),
               (101, 'store keys', (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || c.column_type, ', ' ORDER BY c.position)
                                      FROM venice.store_column c WHERE c.store_name = s.store_name AND c.is_key)),
               (102, 'store values', (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || c.column_type, ', ' ORDER BY c.position)
                                        FROM venice.store_column c WHERE c.store_name = s.store_name AND NOT c.is_key)),
               (103, 'server', s.server_name::text),
               (104, 'current version', CASE WHEN v.version > 0 THEN v.version || ', since ' || v.swapped_time ELSE 'none: nothing was pushed yet' END),
               (105, 'rows', v.rows::text),
               (106, 'readable by', venice_internal.readers(s.store_name))) p (place, property, value)
     WHERE s.store_name = store;
END;
COMMENT ON FUNCTION venice_internal.describe_store(name) IS 'What describe says of a store.';
REVOKE EXECUTE ON FUNCTION venice_internal.describe_store(name) FROM PUBLIC;

-- Where the window of an aggregated feature begins, in SQL, at a time that is given as SQL.  A day of a window is 24 hours,
-- also where the session's clock is put forward.
CREATE FUNCTION venice_internal.window_start_sql(aggregation jsonb, at_time text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE WHEN l.hop IS NULL THEN l.start
                ELSE 'date_bin(' || pg_catalog.quote_literal(l.hop) || ', ' || l.start || ', ''1970-01-01 00:00:00+00'')' END
      FROM (SELECT at_time || ' - interval ' || pg_catalog.quote_literal(pg_catalog.make_interval(
                       secs => EXTRACT(epoch FROM (aggregation ->> 'window')::interval)::double precision)),
                   pg_catalog.make_interval(secs => EXTRACT(epoch FROM (aggregation ->> 'hop')::interval)::double precision)::text) l (start, hop);
END;
COMMENT ON FUNCTION venice_internal.window_start_sql(jsonb, text) IS 'The beginning of an aggregated feature''s window as an expression.';
REVOKE EXECUTE ON FUNCTION venice_internal.window_start_sql(jsonb, text) FROM PUBLIC;

-- An aggregated feature in SQL, over rows that are not behind its window.  What orders them, oldest first, is SQL as well.
CREATE FUNCTION venice_internal.aggregate_sql(expression text, aggregation jsonb, event_time text, oldest_first text, newest_first text,
                                              at_time text)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT CASE aggregation ->> 'function'
               WHEN 'avg' THEN 'avg((' || expression || ')::double precision)' || f.filter || ')'
               WHEN 'distinct_count' THEN 'count(DISTINCT ' || expression || ')' || f.filter || ')'
               WHEN 'first' THEN '(array_agg(' || expression || ' ORDER BY ' || oldest_first || ')' || f.filter || f.not_null || '))[1]'
               WHEN 'last' THEN '(array_agg(' || expression || ' ORDER BY ' || newest_first || ')' || f.filter || f.not_null || '))[1]'
               WHEN 'stddev' THEN 'stddev_samp((' || expression || ')::double precision)' || f.filter || ')'
               WHEN 'top_k' THEN '(array_agg(' || expression || ' ORDER BY ' || expression || ' DESC)' || f.filter || f.not_null ||
                                 '))[1:' || (aggregation ->> 'k') || ']'
               ELSE (aggregation ->> 'function') || '(' || expression || ')' || f.filter || ')' END
      FROM (VALUES (' FILTER (WHERE ' || event_time || ' >= ' || venice_internal.window_start_sql(aggregation, at_time),
                    ' AND (' || expression || ') IS NOT NULL')) f (filter, not_null);
END;
COMMENT ON FUNCTION venice_internal.aggregate_sql(text, jsonb, text, text, text, text) IS 'An aggregated feature as an expression of a SELECT with GROUP BY.';
REVOKE EXECUTE ON FUNCTION venice_internal.aggregate_sql(text, jsonb, text, text, text, text) FROM PUBLIC;

-- The call that fills a view's store from a relation: the newest row of each key, or what its windows hold now.
CREATE FUNCTION venice_internal.push_statement(in_project name, view name, at_version integer)
    RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT 'SELECT venice.push(' || pg_catalog.quote_literal(v.store_name) || ', ' || pg_catalog.quote_literal(
               CASE WHEN NOT v.options ? 'aggregations' THEN
                   'SELECT ' || CASE WHEN s.event_time IS NULL THEN '' ELSE 'DISTINCT ON (' || k.list || ') ' END || k.list || f.list || COALESCE(', ' || t.event_time, '') ||
                   ' FROM ' || r.name || COALESCE(' ORDER BY ' || k.list || ', ' || t.newest_first, '')
               ELSE
                   'SELECT ' || k.list || f.aggregates || ', max(' || t.event_time || ')' || ' FROM ' || r.name ||
                   ' WHERE ' || t.event_time || ' >= ' || 'LEAST(' || f.starts || ')' ||
                   ' AND ' || t.event_time || CASE WHEN v.options ->> 'upper_edge' = 'inclusive' THEN ' <= ' ELSE ' < ' END || 'now()' ||
                   ' GROUP BY ' || k.list END) || ')'
      FROM venice.feature_view v
      JOIN venice.source s ON s.project = pg_catalog.split_part(v.source, '.', 1)::name
                          AND s.source = pg_catalog.split_part(v.source, '.', 2)::name
     CROSS JOIN LATERAL (VALUES (s.relation::text || ' AS ' || pg_catalog.quote_ident(s.source),
                                 pg_catalog.quote_ident(s.source) || '.')) r (name, prefix)
     CROSS JOIN LATERAL (
           SELECT pg_catalog.string_agg(r.prefix ||
                      pg_catalog.quote_ident(COALESCE(v.options -> 'keys' ->> u.key_name, u.key_name)), ', ' ORDER BY w.position, u.position)
             FROM pg_catalog.unnest(v.entities) WITH ORDINALITY w (entity, position)
             JOIN venice.entity e ON e.project = pg_catalog.split_part(w.entity, '.', 1)::name
                                 AND e.entity = pg_catalog.split_part(w.entity, '.', 2)::name
            CROSS JOIN pg_catalog.unnest(e.key_names::text[]) WITH ORDINALITY u (key_name, position)) k (list)
     CROSS JOIN LATERAL (
           SELECT CASE WHEN z.zone IS NULL THEN c.event_time ELSE '(' || c.event_time || z.zone || ')' END,
                  c.event_time || COALESCE(', ' || c.created_time || ' NULLS FIRST', ''),
                  c.event_time || ' DESC NULLS LAST' || COALESCE(', ' || c.created_time || ' DESC NULLS LAST', '')
             FROM (VALUES (r.prefix || pg_catalog.quote_ident(s.event_time), r.prefix || pg_catalog.quote_ident(s.created_time_column)))
                  c (event_time, created_time)
             LEFT JOIN (SELECT ' AT TIME ZONE ' || pg_catalog.quote_literal(s.options ->> 'time_zone')
                          FROM pg_catalog.pg_attribute a
                         WHERE a.attrelid = s.relation AND a.attname = s.event_time
                           AND a.atttypid = 'pg_catalog.timestamp'::regtype) z (zone) ON true) t (event_time, oldest_first, newest_first)
     CROSS JOIN LATERAL (
           SELECT pg_catalog.string_agg(', ' || f.expression || ' AS ' || pg_catalog.quote_ident(f.feature), '' ORDER BY f.position),
                  pg_catalog.string_agg(', ' || venice_internal.aggregate_sql(f.expression, f.options -> 'aggregation', t.event_time,
                                            t.oldest_first, t.newest_first, 'now()') ||
                                        ' AS ' || pg_catalog.quote_ident(f.feature), '' ORDER BY f.position),
                  pg_catalog.string_agg(DISTINCT venice_internal.window_start_sql(f.options -> 'aggregation', 'now()'), ', ')
             FROM venice.feature f
            WHERE (f.project, f.view_name, f.view_version) = (v.project, v.view_name, v.view_version)) f (list, aggregates, starts)
     WHERE v.project = in_project AND v.view_name = view AND v.view_version = at_version
       AND s.relation IS NOT NULL AND v.owns_store;
END;
COMMENT ON FUNCTION venice_internal.push_statement(name, name, integer) IS 'What fills the online store of a view over a relation.';
REVOKE EXECUTE ON FUNCTION venice_internal.push_statement(name, name, integer) FROM PUBLIC;

CREATE FUNCTION venice_internal.users_of(member oid, of_class text, in_project name, named name, at_version integer,
                                         feature name DEFAULT NULL)
    RETURNS TABLE (kind text, name text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT DISTINCT e.kind, venice_internal.entry_name(e.project, e.entry, e.number)
      FROM (SELECT 'view' AS class, v.project, v.view_name AS entry, v.view_version AS number
              FROM venice.feature_view v
             WHERE of_class = 'entity' AND venice_internal.entry_name(in_project, named, 0) = ANY (v.entities)
            UNION ALL
            SELECT 'view', v.project, v.view_name, v.view_version
              FROM venice.feature_view v
             WHERE of_class = 'source' AND pg_catalog.split_part(v.source, '.', 1)::name = in_project
               AND pg_catalog.split_part(v.source, '.', 2)::name = named
            UNION ALL
            SELECT 'view', v.project, v.view_name, v.view_version
              FROM venice.feature_view v
             WHERE of_class = 'store' AND v.store_name = named
            UNION ALL
            SELECT 'source', s.project, s.source, 0
              FROM venice.source s
             WHERE of_class = 'store' AND s.store_name = named
            UNION ALL
            SELECT 'view', d.project, d.view_name, d.view_version
              FROM venice.feature f
              JOIN venice.feature_view d
                ON d.inputs @> ARRAY[venice_internal.entry_name(f.project, f.view_name, f.view_version, f.feature) COLLATE "default"]
             WHERE of_class = 'view' AND f.project = in_project AND f.view_name = named AND f.view_version = at_version
               AND (users_of.feature IS NULL OR f.feature = users_of.feature)
            UNION ALL
            SELECT 'service', f.project, f.service, 0
              FROM venice.service_feature f
             WHERE of_class = 'view' AND f.view_project = in_project AND f.view_name = named AND f.view_version = at_version
               AND (users_of.feature IS NULL OR f.feature = users_of.feature)
            UNION ALL
            SELECT 'training_set', n.nspname, c.relname, 0
              FROM venice.training_set t
              JOIN pg_catalog.pg_class c ON c.oid = t.relation
              JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
             WHERE of_class = 'service' AND venice_internal.entry_name(in_project, named, 0) = ANY (t.services)
                OR of_class = 'view' AND EXISTS (
                       SELECT FROM pg_catalog.unnest(t.used_features) r (reference)
                        WHERE CASE WHEN users_of.feature IS NULL
                                   THEN pg_catalog.split_part(r.reference, ':', 1) = venice_internal.entry_name(in_project, named, at_version)
                                   ELSE r.reference = venice_internal.entry_name(in_project, named, at_version, users_of.feature) END)) u
      JOIN venice_internal.entries(member) e USING (class, project, entry, number);
END;
COMMENT ON FUNCTION venice_internal.users_of(oid, text, name, name, integer, name) IS
    'Who uses an entry, or a feature of a view, directly, as far as a role may see it.';
REVOKE EXECUTE ON FUNCTION venice_internal.users_of(oid, text, name, name, integer, name) FROM PUBLIC;

CREATE FUNCTION venice_internal.describe_training_set(in_schema name, table_name name)
    RETURNS TABLE (place integer, property text, value text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT p.place, p.property, p.value
      FROM venice.training_set t
      JOIN pg_catalog.pg_class c ON c.oid = t.relation
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     CROSS JOIN LATERAL (
           VALUES (2, 'owner', pg_catalog.pg_get_userbyid(c.relowner)::text),
                  (3, 'description', t.options ->> 'description'),
                  (4, 'tags', t.options ->> 'tags'),
                  (10, 'features', pg_catalog.array_to_string(t.features, ', ')),
                  (11, 'event_time', t.event_time),
                  (12, 'options', NULLIF(t.options - '{description,tags}'::text[], '{}')::text),
                  (14, 'created', t.created_time::text)
           UNION ALL
           SELECT 20 + i.number::integer, 'spine', (i.part ->> 'spine') || ' (' || (i.part ->> 'rows') || ' rows, ' || (i.part ->> 'time') || ')'
             FROM pg_catalog.jsonb_array_elements(t.parts) WITH ORDINALITY AS i (part, number)
           UNION ALL
           SELECT 10400 + u.number::integer, 'column ' || u.column_name,
                  u.reference || COALESCE(' ' || (t.statistics -> u.column_name)::text, '')
             FROM ROWS FROM (pg_catalog.unnest(t.used_features), pg_catalog.unnest(t.feature_columns))
                  WITH ORDINALITY AS u (reference, column_name, number)) p (place, property, value)
     WHERE n.nspname = in_schema AND c.relname = table_name;
END;
COMMENT ON FUNCTION venice_internal.describe_training_set(name, name) IS 'What describe says of a training set.';
REVOKE EXECUTE ON FUNCTION venice_internal.describe_training_set(name, name) FROM PUBLIC;

CREATE FUNCTION venice_internal.describe(member oid, current_project name, in_project name, named name, at_version integer, feature name)
    RETURNS TABLE (property text, value text)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT d.property, d.value
      FROM (
    SELECT e.class, p.place, p.property, p.value
      FROM venice_internal.entries_named(member, current_project, in_project, named, at_version) e
      LEFT JOIN venice.feature_view v
        ON e.class = 'view' AND v.project = e.project AND v.view_name = e.entry AND v.view_version = e.number
     CROSS JOIN LATERAL (
           SELECT 0 AS place, 'kind' AS property, e.kind AS value
           UNION ALL
           SELECT 1, 'name', venice_internal.entry_name(e.project, e.entry, e.number)
            WHERE e.class <> 'project'
           UNION ALL
           -- What was defined, but for what stands above.
           SELECT CASE d.key WHEN 'name' THEN 1 WHEN 'owner' THEN 2 WHEN 'description' THEN 3 WHEN 'tags' THEN 4 ELSE 10 END,
                  d.key, d.value
             FROM venice_internal.definition o, pg_catalog.jsonb_each_text(o.definition) d
            WHERE o.kind = e.kind AND o.project = e.project AND o.name = e.entry AND COALESCE(o.view_version, 0) = e.number
              AND d.value IS NOT NULL
              AND (e.class = 'project' OR d.key <> 'name')
              AND d.key NOT IN ('view_version', 'store', 'deprecated_until', 'feature_descriptions', 'feature_tags')
           UNION ALL
           SELECT 15, 'from store', s.store_name::text FROM venice.source s
            WHERE e.class = 'source' AND s.project = e.project AND s.source = e.entry
           UNION ALL
           SELECT 20, 'deprecated until', v.deprecated_until::text
           UNION ALL
           SELECT 30 + f.position, 'feature ' || f.feature,
                  f.feature_type || COALESCE(': ' || (f.options ->> 'description'), '') ||
                  COALESCE(' ' || (f.options ->> 'tags'), '')
             FROM venice.feature f
            WHERE f.project = v.project AND f.view_name = v.view_name AND f.view_version = v.view_version
           UNION ALL
           SELECT 10000 + s.place, s.property, s.value
             FROM venice_internal.describe_store(COALESCE(v.store_name, CASE WHEN e.class = 'store' THEN e.entry END)) s
           UNION ALL
           SELECT 10200, 'filled by', venice_internal.push_statement(v.project, v.view_name, v.view_version)
           UNION ALL
           SELECT 10300, 'called as',
                  pg_catalog.quote_ident(s.schema_name) || '.get(' ||
                  (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(k.key ->> 'name') || ' ' ||
                              COALESCE(pg_catalog.to_regtype(k.key ->> 'type')::text, k.key ->> 'type'), ', ' ORDER BY k.position)
                     FROM pg_catalog.jsonb_array_elements(s.keys) WITH ORDINALITY k (key, position)) || ')'
             FROM venice.service s
            WHERE e.class = 'service' AND s.project = e.project AND s.service = e.entry
           UNION ALL
           SELECT 10400 + f.position, 'column ' || f.output_name,
                  f.output_type || ' from ' || venice_internal.entry_name(f.view_project, f.view_name, f.view_version, f.feature)
             FROM venice.service_feature f
            WHERE e.class = 'service' AND f.project = e.project AND f.service = e.entry
           UNION ALL
           SELECT t.place, t.property, t.value FROM venice_internal.describe_training_set(e.project, e.entry) t
            WHERE e.class = 'training_set'
           UNION ALL
           SELECT 20000, 'used by', pg_catalog.string_agg(u.kind || ' ' || u.name, ', ' ORDER BY u.kind, u.name)
             FROM venice_internal.users_of(member, e.class, e.project, e.entry, e.number) u) p
     WHERE describe.feature IS NULL AND p.value IS NOT NULL
       -- A store that belongs to a view that is described is described with it.
       AND NOT (e.class = 'store' AND EXISTS (SELECT FROM venice.feature_view o WHERE o.store_name = e.entry AND o.owns_store))
    UNION ALL
    SELECT e.class, p.place, p.property, p.value
      FROM venice_internal.entries_named(member, current_project, in_project, named, at_version) e
      JOIN venice.feature_view v ON v.project = e.project AND v.view_name = e.entry AND v.view_version = e.number
      JOIN venice.feature f ON f.project = e.project AND f.view_name = e.entry AND f.view_version = e.number
     CROSS JOIN LATERAL (VALUES
               (0, 'kind', 'feature'),
               (1, 'name', venice_internal.entry_name(f.project, f.view_name, f.view_version, f.feature)),
               (2, 'owner', v.owner_name::text),
               (3, 'description', f.options ->> 'description'),
               (4, 'tags', f.options ->> 'tags'),
               (5, 'type', f.feature_type),
               (6, 'expression', f.expression),
               (7, 'aggregation', f.options ->> 'aggregation'),
               (8, 'view description', v.options ->> 'description'),
               (9, 'entities', pg_catalog.array_to_string(v.entities, ', ')),
               (10, 'source', v.source),
               (11, 'ttl', v.ttl::text),
               (12, 'store', v.store_name::text),
               (13, 'readable by', venice_internal.readers(v.store_name)),
               (14, 'used by', (SELECT pg_catalog.string_agg(u.kind || ' ' || u.name, ', ' ORDER BY u.kind, u.name)
                                  FROM venice_internal.users_of(member, 'view', e.project, e.entry, e.number, f.feature) u)))
               p (place, property, value)
     WHERE e.class = 'view' AND f.feature = describe.feature AND p.value IS NOT NULL) d
     ORDER BY d.class DESC, d.place, d.property;
END;
COMMENT ON FUNCTION venice_internal.describe(oid, name, name, name, integer, name) IS 'What describe answers.';
REVOKE EXECUTE ON FUNCTION venice_internal.describe(oid, name, name, name, integer, name) FROM PUBLIC;

CREATE FUNCTION venice.describe(name text)
    RETURNS TABLE (property text, value text)
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_describe';
COMMENT ON FUNCTION venice.describe(text) IS
    'What is known of a project, an entity, a source, a view, a feature (view:feature), a service or a store.';

-- Export ------------------------------------------------------------------------------------------------------------

-- The kinds of entries: how their section of a definition file is called, in the order in which they are made.
CREATE VIEW venice_internal.definition_kind (place, kind, section) AS
    VALUES (1, 'project', 'projects'), (2, 'entity', 'entities'), (3, 'source', 'sources'),
           (4, 'feature_view', 'feature_views'), (5, 'label_view', 'label_views'),
           (6, 'on_demand_view', 'on_demand_views'), (7, 'service', 'services');
COMMENT ON VIEW venice_internal.definition_kind IS 'Sections of a definition file, in the order in which entries are made.';

CREATE FUNCTION venice_internal.export(member oid, in_project name)
    RETURNS TABLE (place integer, section text, project name, name name, number integer, definition jsonb)
    LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT k.place, k.section, e.project, e.entry, e.number, e.definition
      FROM venice_internal.definition_kind k
      LEFT JOIN venice_internal.entries(member) e ON e.kind = k.kind AND (in_project IS NULL OR e.project = in_project);
END;
COMMENT ON FUNCTION venice_internal.export(oid, name) IS 'What export answers; a section without entries has one row.';
REVOKE EXECUTE ON FUNCTION venice_internal.export(oid, name) FROM PUBLIC;

CREATE FUNCTION venice.export(project text DEFAULT NULL)
    RETURNS jsonb
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'venice_export';
COMMENT ON FUNCTION venice.export(text) IS
    'The registry, or one project of it, as a definition that venice.apply makes again.';
