-- Definitions as a whole: what a file would change, and changing it.

-- Features written as an array of objects become a select list, and descriptions and tags by feature.
CREATE FUNCTION venice_internal.fold_features(object jsonb, feature_key text)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT object || pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object(
               feature_key, pg_catalog.string_agg(
                   COALESCE(f.feature ->> 'expression', pg_catalog.quote_ident(f.feature ->> 'name')) || ' AS ' ||
                   pg_catalog.quote_ident(f.feature ->> 'name'), ', ' ORDER BY f.position),
               'feature_descriptions', pg_catalog.jsonb_object_agg(f.feature ->> 'name', f.feature -> 'description')
                   FILTER (WHERE f.feature ? 'description'),
               'feature_tags', pg_catalog.jsonb_object_agg(f.feature ->> 'name', f.feature -> 'tags')
                   FILTER (WHERE f.feature ? 'tags')))
      FROM pg_catalog.jsonb_array_elements(object -> feature_key) WITH ORDINALITY f (feature, position);
END;
COMMENT ON FUNCTION venice_internal.fold_features(jsonb, text) IS 'A view''s features as text, from an array of objects.';

-- What has to change for an entry to be as wanted: what is not mentioned is reset.
CREATE FUNCTION venice_internal.definition_changes(before jsonb, wanted jsonb)
    RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.jsonb_object_agg(c.key, c.value)
      FROM (SELECT w.key, w.value FROM pg_catalog.jsonb_each(wanted) w
             WHERE w.value IS DISTINCT FROM COALESCE(before -> w.key, 'null')
            UNION ALL
            SELECT b.key, 'null' FROM pg_catalog.jsonb_object_keys(before) b (key)
             WHERE NOT wanted ? b.key AND b.key <> 'owner') c
     WHERE c.key NOT IN ('name', 'view_version');
END;
COMMENT ON FUNCTION venice_internal.definition_changes(jsonb, jsonb) IS 'Options that make one definition another; NULL: none.';

CREATE FUNCTION venice_internal.definition_detail(before jsonb, after jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.string_agg(
               k.key || CASE WHEN before -> k.key IS NULL THEN ' ' || (after ->> k.key)
                             WHEN after -> k.key IS NULL THEN ' ' || (before ->> k.key) || ' -> default'
                             ELSE ' ' || (before ->> k.key) || ' -> ' || (after ->> k.key) END, '; ' ORDER BY k.key)
      FROM (SELECT pg_catalog.jsonb_object_keys(before) UNION SELECT pg_catalog.jsonb_object_keys(after)) k (key)
     WHERE before -> k.key IS DISTINCT FROM after -> k.key AND k.key NOT IN ('name', 'view_version');
END;
COMMENT ON FUNCTION venice_internal.definition_detail(jsonb, jsonb) IS 'For people: what differs between two definitions.';

CREATE FUNCTION venice.plan(definition jsonb, prune boolean DEFAULT false)
    RETURNS TABLE (action text, kind text, name text, detail text, breaking boolean, used_by text[])
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_plan';
COMMENT ON FUNCTION venice.plan(jsonb, boolean) IS
    'What venice.apply would do with a definition. It is tried and undone: nothing is changed.';

CREATE FUNCTION venice.apply(definition jsonb, prune boolean DEFAULT false)
    RETURNS TABLE (action text, kind text, name text, detail text, breaking boolean, used_by text[])
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_apply';
COMMENT ON FUNCTION venice.apply(jsonb, boolean) IS
    'Make the registry what a definition says, all or nothing. prune: drop what its project has and it does not mention.';
