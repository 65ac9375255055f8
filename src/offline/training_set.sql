-- Training sets.  Each is an ordinary table, whose owner does with it what he likes; its row says how it was made.

CREATE FUNCTION venice.hash_fraction(VARIADIC keys "any")
    RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_hash_fraction';
COMMENT ON FUNCTION venice.hash_fraction("any") IS
    'A number from 0 to less than 1 that these keys have on every server, for ever: WHERE venice.hash_fraction(id) < 0.8 is a split.';

CREATE FUNCTION venice.create_training_set(name text, spine text, features text[], event_time text DEFAULT 'event_time',
                                           options jsonb DEFAULT '{}')
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_create_training_set';
COMMENT ON FUNCTION venice.create_training_set(text, text, text[], text, jsonb) IS
    'Make a table of what venice.get_historical_features answers, and note how it was made. Returns the number of rows.';

CREATE FUNCTION venice.refresh_training_set(name text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_refresh_training_set';
COMMENT ON FUNCTION venice.refresh_training_set(text) IS
    'Make the rows of a training set anew from what its spines and features are now. Returns the number of rows.';

CREATE FUNCTION venice.extend_training_set(name text, spine text)
    RETURNS bigint
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_extend_training_set';
COMMENT ON FUNCTION venice.extend_training_set(text, text) IS
    'Add the rows of another spine, with the same columns, to a training set. Returns their number.';

CREATE FUNCTION venice.compare_training_sets(name text, other text)
    RETURNS TABLE (feature text, compared bigint, changed bigint, null_in_name bigint, null_in_other bigint, only_in_name bigint,
                   only_in_other bigint)
    LANGUAGE c VOLATILE PARALLEL UNSAFE ROWS 20
    AS 'MODULE_PATHNAME', 'venice_compare_training_sets';
COMMENT ON FUNCTION venice.compare_training_sets(text, text) IS
    'For each feature that two training sets share: in how many rows of the same spine it differs. only_in: rows without a counterpart.';

-- What a row says is what the table's owner was given: his table's comment has the digest of it.
CREATE FUNCTION venice_internal.training_set_digest(parts jsonb, features text[], event_time text, options jsonb)
    RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    SELECT pg_catalog.substr(pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.jsonb_build_array(
               (SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(p.part -> 'spine', p.part -> 'settings') ORDER BY p.number)
                  FROM pg_catalog.jsonb_array_elements(parts) WITH ORDINALITY AS p (part, number)),
               features, event_time, options)::text, 'UTF8')), 'hex'), 1, 32);
END;
COMMENT ON FUNCTION venice_internal.training_set_digest(jsonb, text[], text, jsonb) IS
    'A hash of everything that is run when a training set is refreshed.';
REVOKE EXECUTE ON FUNCTION venice_internal.training_set_digest(jsonb, text[], text, jsonb) FROM PUBLIC;

CREATE FUNCTION venice_internal.forget_training_sets()
    RETURNS event_trigger
    LANGUAGE c VOLATILE PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'venice_forget_training_sets';
COMMENT ON FUNCTION venice_internal.forget_training_sets() IS 'Event trigger: what was a training set is none any more.';

CREATE EVENT TRIGGER venice_training_set_drop ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED')
    EXECUTE FUNCTION venice_internal.forget_training_sets();
COMMENT ON EVENT TRIGGER venice_training_set_drop IS 'Has the rows of venice.training_sets go with their tables.';

CREATE VIEW venice.training_sets WITH (security_barrier) AS
    SELECT t.relation::text AS name, t.relation, pg_catalog.pg_get_userbyid(c.relowner) AS owner,
           t.options ->> 'description' AS description, t.options -> 'tags' AS tags,
           pg_catalog.jsonb_build_object('features', t.features, 'event_time', t.event_time, 'spines',
               pg_catalog.jsonb_path_query_array(t.parts, '$[*].spine')) AS definition,
           ARRAY(SELECT DISTINCT pg_catalog.split_part(u.feature, ':', 1)
                   FROM pg_catalog.unnest(t.used_features) u (feature) ORDER BY 1) AS view_versions,
           t.options - '{description,tags}'::text[] AS options,
           t.parts -> -1 ->> 'snapshot' AS snapshot,
           (SELECT pg_catalog.sum((p.part ->> 'rows')::bigint)::bigint FROM pg_catalog.jsonb_array_elements(t.parts) p (part)) AS rows,
           t.statistics, t.parts, t.created_time, (t.parts -> -1 ->> 'time')::timestamptz AS changed_time
      FROM venice.training_set t
      JOIN pg_catalog.pg_class c ON c.oid = t.relation
     WHERE pg_catalog.pg_has_role(c.relowner, 'USAGE')
        OR pg_catalog.has_table_privilege(c.oid, 'SELECT');
COMMENT ON VIEW venice.training_sets IS
    'Training sets that you own or may read: what each was made from, by which view versions and options, and what its columns are like.';
GRANT SELECT ON venice.training_sets TO PUBLIC;
