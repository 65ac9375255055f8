-- Theme: three tenants, each with everything that there is: none sees or touches what is another's, through no function and no view,
-- and each reads what is shared with him.
-- Functions and views are found in the catalogs, and called with arguments by their names: an argument that is unknown here is an error.
-- What nobody else may see holds "hush_<tenant>"; what is shared is said to be "open_<tenant>".

CREATE ROLE tenant_a;
CREATE ROLE tenant_b;
CREATE ROLE tenant_c;
GRANT CREATE ON DATABASE regression TO tenant_a, tenant_b, tenant_c;

-- Nothing here is committed: no worker ever sees it.
BEGIN;
SET LOCAL client_min_messages = warning;

-- The view "shown" of each is shared with the next one, the service "model_shown" with the one after.
CREATE TEMP TABLE tenant (me text, view_reader text, service_reader text);
INSERT INTO tenant VALUES ('a', 'b', 'c'), ('b', 'c', 'a'), ('c', 'a', 'b');
CREATE FUNCTION pg_temp.run(script text, tenant tenant) RETURNS void LANGUAGE plpgsql AS $$BEGIN
    EXECUTE replace(replace(replace(script, '<me>', tenant.me), '<view_reader>', tenant.view_reader), '<service_reader>', tenant.service_reader);
END$$;
SELECT pg_temp.run($script$
    CREATE SERVER tenant_<me>_kafka FOREIGN DATA WRAPPER venice_kafka
        OPTIONS (bootstrap_servers '127.0.0.1:1', security_protocol 'SSL', ssl_ca_pem 'none');
    GRANT USAGE ON FOREIGN SERVER tenant_<me>_kafka TO tenant_<me>;
    CREATE SCHEMA tenant_<me>_data AUTHORIZATION tenant_<me>;
    SET LOCAL ROLE tenant_<me>;
    SET LOCAL venice.project = 'team_<me>';
    CREATE TABLE tenant_<me>_data.events (id integer, v integer, w text, at timestamptz);
    INSERT INTO tenant_<me>_data.events VALUES (1, 1, 'hush_<me>', now() - interval '1 hour');
    SELECT venice.create_store('tenant_<me>_store', 'id integer', 'v integer, w text, x real[]');
    SELECT venice.push('tenant_<me>_store', 'VALUES (1, 1, ''hush_<me>'', ''{1}'')', 'hush_<me>');
    SELECT venice.push('tenant_<me>_store', 'VALUES (1, 2, ''hush_<me>'', ''{1}''::real[])');
    SELECT venice.create_store('tenant_<me>_filling', 'id integer', 'v integer', 'tenant_<me>_kafka', '{"version_topic": "hush_<me>"}');
    SELECT venice.start_push('tenant_<me>_filling', 'hush_<me>');
    SELECT venice.create_store('tenant_<me>_hybrid', 'id integer', 'v integer', options => '{"key_format": "json", "value_format": "json",
        "real_time_topics": [{"server": "tenant_<me>_kafka", "topic": "hush_<me>"}]}');
    SELECT tenant_<me>_hybrid.put(1, 2);
    CREATE MATERIALIZED VIEW tenant_<me>_data.stays AS SELECT v FROM tenant_<me>_store.records;

    SELECT venice.create_project('team_<me>', options => '{"description": "hush_<me>", "tags": {"hush_<me>": "hush_<me>"}}');
    SELECT venice.create_entity('key', 'id integer', '{"description": "hush_<me>"}');
    SELECT venice.create_entity('unused', 'id integer', '{"tags": {"of": "hush_<me>"}}');
    SELECT venice.create_source('src', relation => 'tenant_<me>_data.events', event_time => 'at', options => '{"description": "hush_<me>"}');
    SELECT venice.create_source('unused', store => 'tenant_<me>_store', options => '{"tags": {"of": "hush_<me>"}}');
    SELECT venice.create_source('topical', server => 'tenant_<me>_kafka', topic => 'hush_<me>', options => '{"columns": "v integer DEFAULT 1"}');
    SELECT venice.create_feature_view('quiet', '{key}', 'src', 'v, w || ''hush_<me>'' AS w', '1 day', options =>
        '{"store": "tenant_<me>_quiet", "description": "hush_<me>", "tags": {"hush_<me>": "x"}, "feature_descriptions": {"v": "hush_<me>"},
          "feature_tags": {"w": {"of": "hush_<me>"}}, "expectations": ["w <> ''hush_<me>''"]}');
    SELECT venice.push('tenant_<me>_quiet', 'VALUES (1, 10, ''hush_<me>'', now())');
    SELECT venice.create_store('tenant_<me>_kept', 'id integer', 'w text');
    SELECT venice.create_source('kept', store => 'tenant_<me>_kept', options => '{"description": "hush_<me>"}');
    SELECT venice.create_feature_view('kept', '{key}', 'kept', 'w', options => '{"description": "hush_<me>"}');
    SELECT venice.push('tenant_<me>_kept', 'VALUES (1, ''hush_<me>'')');
    SELECT venice.create_on_demand_view('twice', '{quiet:v}', 'v * 2 + length(''hush_<me>'') AS v2', options => '{"description": "hush_<me>"}');
    SELECT venice.create_label_view('late', '{key}', 'src', 'w = ''hush_<me>'' AS late', '1 day', '{"description": "hush_<me>"}');
    SELECT venice.create_feature_view('alone', '{key}', 'src', 'v', online => false, options => '{"description": "hush_<me>"}');
    SELECT venice.create_on_demand_view('alone_twice', '{quiet:v}', 'v * 2 AS v2', options => '{"description": "hush_<me>"}');
    SELECT venice.create_service('model', '{quiet:w, twice:v2}', '{"description": "hush_<me>", "model": "hush_<me>", "defaults": {"w": "hush_<me>"}}');

    SELECT venice.create_training_set('tenant_<me>_data.train', 'SELECT 1 AS id, now() AS at, now() AS event_time', '{quiet:w}', options => '{"description": "hush_<me>"}');

    SELECT venice.create_entity('key_shown', 'id integer', '{"description": "open_<me>"}');
    SELECT venice.create_feature_view('shown', '{key_shown}', 'src', 'v, v + 1 AS n', options =>
        '{"store": "tenant_<me>_shown", "description": "open_<me>", "feature_descriptions": {"v": "open_<me>", "n": "open_<me>"}}');
    SELECT venice.push('tenant_<me>_shown', 'VALUES (1, 10, 11, now())');
    SELECT venice.grant_feature('shown:v', 'tenant_<view_reader>');
    SELECT venice.create_service('model_shown', '{shown:v}', '{"description": "open_<me>", "model": "open_<me>"}');
    GRANT USAGE ON SCHEMA team_<me>_model_shown TO tenant_<service_reader>;
    RESET ROLE;

    UPDATE venice.store_version SET error = 'hush_<me>', detail = 'hush_<me>' WHERE store_name = 'tenant_<me>_store';
    INSERT INTO venice.rejected_record (store_name, version, topic, partition, kafka_offset, key, value, sqlstate, error)
    VALUES ('tenant_<me>_store', 2, 'hush_<me>', 0, 0, 'hush_<me>', 'hush_<me>', '22P02', 'hush_<me>');
    INSERT INTO venice.served_feature (schema_oid, request_time, arguments, features)
    VALUES ('team_<me>_model_shown'::regnamespace, now(), '{"id": "hush_<me>"}', '{"v": "hush_<me>"}');
    INSERT INTO venice.unlogged_partition_state (store_name, version, topic, partition) VALUES ('tenant_<me>_store', 2, 'hush_<me>', 0);
$script$, tenant) FROM tenant;
-- Everybody looks up what is his, so that there are statistics.
SELECT count(*) FROM tenant, LATERAL (SELECT pg_temp.run(
    'SET LOCAL ROLE tenant_<me>; SELECT * FROM tenant_<me>_store.get(1); SELECT * FROM team_<me>_model_shown.get(1); RESET ROLE', tenant)) r;

-- What a statement says to somebody, and whether anything that was there is gone or changed; it leaves no trace.
CREATE FUNCTION pg_temp.rows_of(whom text) RETURNS SETOF text LANGUAGE plpgsql AS $$BEGIN
    RETURN QUERY EXECUTE (SELECT string_agg(format('SELECT %L || t::text FROM %s t WHERE t::text ~ %L', relation, relation, '_' || whom || '\M|_' || whom || '_'), ' UNION ALL ')
                            FROM (SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'venice'::regnamespace AND relkind = 'r'
                                   UNION ALL SELECT 'pg_namespace'
                                   UNION ALL SELECT format('(SELECT attrelid::regclass, attname, attacl FROM pg_attribute WHERE attnum > 0 AND attrelid = %L::regclass)', format('tenant_%s_%s.records', whom, store))
                                     FROM unnest('{store,quiet,shown,filling}'::text[]) store) r (relation));
END$$;
CREATE TEMP TABLE before AS SELECT me AS whom, pg_temp.rows_of(me) AS value FROM tenant;
CREATE FUNCTION pg_temp.try_as(who text, whom text, statement text, OUT state text, OUT said text, OUT touched boolean) LANGUAGE plpgsql AS $$
DECLARE
    detail text; hint text; context text; col text; tab text; typ text;
BEGIN
    PERFORM set_config('role', 'tenant_' || who, true), set_config('venice.project', 'team_' || who, true);
    EXECUTE format('SELECT string_agg(r::text, '' '') FROM (%s) r', statement) INTO said;
    PERFORM set_config('role', 'none', true);
    touched := who <> whom AND EXISTS (SELECT b.value FROM before b WHERE b.whom = try_as.whom EXCEPT SELECT pg_temp.rows_of(whom));
    RAISE SQLSTATE 'VVVVV';
EXCEPTION
    WHEN SQLSTATE 'VVVVV' THEN state := 'may';
    WHEN OTHERS THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT, context = PG_EXCEPTION_CONTEXT,
            col = COLUMN_NAME, tab = TABLE_NAME, typ = PG_DATATYPE_NAME;
        state := SQLSTATE;
        touched := false;
        said := concat_ws(' ', SQLERRM, detail, hint, split_part(context, 'SQL statement "SELECT string_agg', 1), col, tab, typ);
END$$;

-- Arguments: what is one's own, and what is another's, shared or not.  The longer pattern of function names counts.
CREATE TEMP TABLE argument (functions text, name text, type regtype, mine text, theirs text[]);
INSERT INTO argument VALUES
    ('', 'store', 'text', 'tenant_<me>_store', '{tenant_<them>_store,tenant_<them>_quiet,tenant_<them>_shown}'),
    ('', 'store', 'name', 'tenant_<me>_store', '{tenant_<them>_store,tenant_<them>_quiet,tenant_<them>_shown}'),
    ('^create_store$', 'store', 'text', 'tenant_<me>_fresh', '{tenant_<them>_store,tenant_<them>_store_v1}'),
    ('^create_source$', 'store', 'text', 'tenant_<me>_store', '{tenant_<them>_store,tenant_<them>_shown}'),
    ('^(end|abort)_push$', 'store', 'text', 'tenant_<me>_filling', '{tenant_<them>_filling}'),
    ('', 'version', 'integer', '1', NULL), ('', 'key', 'text', 'id integer', NULL), ('', 'value', 'text', 'v integer, w text, x real[]', NULL),
    ('', 'server', 'text', 'tenant_<me>_kafka', '{tenant_<them>_kafka}'), ('', 'options', 'jsonb', '{}', NULL),
    ('', 'schema', 'text', '"int"', NULL), ('', 'schema_id', 'integer', '1', NULL), ('', 'push_id', 'text', 'p', NULL),
    ('', 'swap', 'boolean', 'false', NULL), ('', 'force', 'boolean', 'true', NULL),
    ('', 'query', 'text', 'VALUES (1, 1, ''x'', ''{1}''::real[])', '{TABLE tenant_<them>_store.records,"SELECT 1, g.* FROM tenant_<them>_store.get(1) g","SELECT 1, 1, error, ''{1}'' FROM venice.rejected_record"}'),
    ('', 'topic', 'text', 't', NULL), ('', 'partition', 'integer', '0', NULL), ('', 'start_offset', 'bigint', '0', NULL), ('', 'max_records', 'integer', '1', NULL),
    ('', 'project', 'text', 'team_<me>', '{team_<them>}'), ('^create_project$', 'project', 'text', 'fresh_<me>', '{team_<them>}'),
    ('', 'owner', 'name', 'tenant_<me>', '{tenant_<them>}'), ('', 'grantee', 'name', 'tenant_<me>', NULL),
    ('', 'entity', 'text', 'unused', '{team_<them>.key,team_<them>.key_shown}'), ('^create_', 'entity', 'text', 'fresh', '{team_<them>.fresh,team_<them>.key}'),
    ('', 'keys', 'text', 'id integer', NULL),
    ('', 'source', 'text', 'src', '{team_<them>.src}'), ('^(alter|drop)_source$', 'source', 'text', 'unused', '{team_<them>.src,team_<them>.unused}'),
    ('^create_source$', 'source', 'text', 'fresh', '{team_<them>.fresh,team_<them>.src}'),
    ('', 'relation', 'regclass', 'tenant_<me>_data.events', '{tenant_<them>_data.events,tenant_<them>_store.records,venice.rejected_record}'),
    ('', 'event_time', 'text', 'at', NULL), ('', 'created_time', 'text', 'at', NULL),
    ('', 'view', 'text', 'quiet', '{team_<them>.quiet,team_<them>.shown,team_<them>.alone,team_<them>.late}'),
    ('^compact_history$', 'view', 'text', 'kept', '{team_<them>.kept,team_<them>.shown}'),
    ('^create_', 'view', 'text', 'fresh', '{team_<them>.fresh,team_<them>.quiet}'),
    ('on_demand_view$', 'view', 'text', 'twice', '{team_<them>.twice,team_<them>.quiet}'), ('label_view$', 'view', 'text', 'late', '{team_<them>.late}'),
    ('^create_on_demand_view$', 'view', 'text', 'fresh', '{team_<them>.fresh}'), ('^create_label_view$', 'view', 'text', 'fresh', '{team_<them>.fresh}'),
    ('', 'entities', 'text[]', '{key}', '{"{team_<them>.key}","{team_<them>.key_shown}"}'), ('', 'features', 'text', 'v', NULL),
    ('^alter_feature_view$', 'features', 'text', 'v, w', NULL), ('^alter_label_view$', 'features', 'text', 'v > 1 AS late', NULL),
    ('', 'ttl', 'interval', '1 day', NULL), ('', 'online', 'boolean', 'true', NULL), ('', 'offline', 'boolean', 'true', NULL),
    ('', 'new_version', 'boolean', 'true', NULL), ('', 'window_length', 'interval', '1 day', NULL), ('', 'notice', 'interval', '1 day', NULL),
    ('', 'inputs', 'text[]', '{quiet:v}', '{"{team_<them>.quiet:v}","{team_<them>.shown:v}","{team_<them>.alone:v}"}'),
    ('', 'expressions', 'text', 'v + 1 AS v2', NULL), ('', 'request', 'text', 'x integer', NULL),
    ('', 'service', 'text', 'model', '{team_<them>.model,team_<them>.model_shown}'), ('^create_', 'service', 'text', 'fresh', '{team_<them>.fresh,team_<them>.model}'),
    ('', 'features', 'text[]', '{quiet:v}', '{"{team_<them>.quiet:v}","{team_<them>.shown:v}","{team_<them>.shown:n}","{team_<them>.shown}","{team_<them>.twice}","{team_<them>.late}"}'),
    ('^get_online_features$', 'features', 'text[]', '{quiet:v}', '{"{team_<them>.quiet:v}","{team_<them>.shown:v}","{team_<them>.shown:n}","{team_<them>.twice:v2}","{team_<them>.model}","{team_<them>.model_shown}"}'),
    ('(historical_features|training_set)', 'features', 'text[]', '{quiet:w}', '{"{team_<them>.quiet:w}","{team_<them>.shown:v}","{team_<them>.shown:n}","{team_<them>.twice:v2}","{team_<them>.late}","{team_<them>.model}","{team_<them>.model_shown}"}'),
    ('', 'spine', 'text', 'SELECT 1 AS id, now() AS at, now() AS event_time', '{"SELECT id, at, at AS event_time FROM tenant_<them>_data.events","SELECT id, at, event_time FROM tenant_<them>_data.train","SELECT 1 AS id, now() AS at, now() AS event_time, g.* FROM tenant_<them>_store.get(1) g"}'),
    ('', 'entities', 'jsonb', '{"id": 1}', NULL), ('', 'fraction', 'float8', '0', NULL),
    ('', 'feature', 'text', 'quiet:v', '{team_<them>.quiet:v,team_<them>.shown:v}'),
    ('^revoke_', 'grantee', 'name', 'tenant_<me>', '{tenant_<them>}'),
    ('', 'records', 'oid', 'tenant_<me>_store.records', '{tenant_<them>_store.records}'), ('', 'catalog', 'oid', 'pg_foreign_server', NULL),
    ('', 'options', 'text[]', '{bootstrap_servers=b}', NULL),
    ('^search$', 'query', 'text', 'quiet', '{tenant_<them>,hush_<them>,team_<them>,quiet,shown,open_<them>,""}'),
    ('', 'of_kind', 'text', 'feature', NULL), ('', 'max_rows', 'integer', '1000', NULL),
    ('', 'name', 'text', 'quiet', '{team_<them>.quiet,team_<them>.quiet:w,team_<them>.twice,team_<them>.shown,team_<them>.model,team_<them>.model_shown,team_<them>.key,'
        'team_<them>.key_shown,team_<them>.src,team_<them>,tenant_<them>_store,tenant_<them>_shown}'),
    ('', 'of_name', 'text', 'quiet', '{team_<them>.quiet,team_<them>.quiet:w,team_<them>.twice,team_<them>.shown,team_<them>.model,team_<them>.model_shown,team_<them>.key,'
        'team_<them>.key_shown,team_<them>.src,tenant_<them>_store,tenant_<them>_shown,tenant_<them>_data.events,tenant_<them>_data.events.w}'),
    ('^create_training_set$', 'name', 'text', 'tenant_<me>_data.fresh', '{tenant_<them>_data.fresh,tenant_<them>_data.train}'),
    ('^(refresh|extend|compare)_training_sets?$', 'name', 'text', 'tenant_<me>_data.train', '{tenant_<them>_data.train,tenant_<them>_data.fresh}'),
    ('', 'sample', 'integer', '5', NULL), ('', 'other', 'text', 'tenant_<me>_data.train', '{tenant_<them>_data.train}'),
    ('', 'definition', 'jsonb', '{"entities": [{"name": "unused", "keys": "id integer"}]}', ARRAY[
        '{"entities": [{"name": "team_<them>.unused", "keys": "id integer", "description": "changed"}]}',
        '{"project": "team_<them>", "entities": [{"name": "added", "keys": "id integer"}]}',
        '{"project": "team_<them>"}',
        '{"feature_views": [{"name": "added", "entities": ["team_<them>.key"], "source": "team_<them>.src"}]}',
        '{"services": [{"name": "added", "features": ["team_<them>.shown:*"]}]}']),
    ('', 'prune', 'boolean', 'true', NULL);

-- Each function with the arguments that it needs, and with each of the others besides; one of them, or a project's setting, another's.
CREATE TEMP TABLE act (function oid, statement text);
INSERT INTO act
WITH parameter AS (
    SELECT p.oid AS function, p.proname, n.position, n.name, (p.proargtypes::oid[])[n.position - 1] AS type, n.position <= p.pronargs - p.pronargdefaults AS required
      FROM pg_proc p LEFT JOIN LATERAL unnest(p.proargnames[1:p.pronargs]) WITH ORDINALITY AS n (name, position) ON true
     WHERE p.pronamespace IN ('venice'::regnamespace, 'venice_internal'::regnamespace) AND p.prokind = 'f' AND p.provolatile <> 'i'
       AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND NOT p.proargtypes::oid[] @> ARRAY['"any"'::regtype::oid]
       -- Those whose rows have the columns that the caller says are below.
       AND NOT (p.prorettype = 'record'::regtype AND p.proallargtypes IS NULL)
       AND has_function_privilege('public', p.oid, 'EXECUTE')
), known AS (
    SELECT p.*, a.mine, a.theirs
      FROM parameter p LEFT JOIN LATERAL (SELECT * FROM argument a WHERE a.name = p.name AND a.type = p.type AND p.proname ~ a.functions
                                           ORDER BY length(a.functions) DESC LIMIT 1) a ON true
), choice AS (
    SELECT DISTINCT k.function, o.position AS extra FROM known k
      LEFT JOIN LATERAL (SELECT NULL::bigint AS position UNION ALL SELECT position FROM known o WHERE o.function = k.function AND NOT o.required) o ON true
), used AS (
    SELECT c.extra, k.* FROM choice c JOIN known k USING (function) WHERE k.required OR k.position = c.extra OR k.position IS NULL
), variant AS (
    SELECT u.function, u.extra, u.position AS theirs_at, t.value FROM used u, unnest(u.theirs) t (value)
    UNION ALL SELECT u.function, u.extra, NULL, NULL FROM used u GROUP BY 1, 2 HAVING count(u.theirs) = 0
)
SELECT v.function, format('SELECT * FROM %s(%s)', v.function::regproc,
           string_agg(format('%I => %L::%s', u.name, CASE WHEN u.position = v.theirs_at THEN v.value ELSE u.mine END,
           CASE u.type WHEN 'oid'::regtype THEN 'regclass' ELSE u.type::regtype END), ', ' ORDER BY u.position)
               FILTER (WHERE u.name IS NOT NULL))
  FROM variant v JOIN used u ON u.function = v.function AND u.extra IS NOT DISTINCT FROM v.extra
 GROUP BY v.function, v.extra, v.theirs_at, v.value
HAVING bool_and(u.name IS NULL OR u.mine IS NOT NULL);
-- What has to be written by hand.
INSERT INTO act
SELECT p.oid, statement FROM pg_proc p JOIN (VALUES
    ('create_source', $$SELECT venice.create_source('fresh', server => 'tenant_<them>_kafka', topic => 't', options => '{"columns": "v integer"}')$$),
    ('alter_entity', $$SELECT venice.alter_entity('unused', '{"owner": "tenant_<them>"}')$$),
    ('alter_source', $$SELECT venice.alter_source('src', '{"relation": "tenant_<them>_data.events"}')$$),
    ('alter_project', $$SELECT venice.alter_project('team_<me>', '{"owner": "tenant_<them>"}')$$),
    ('alter_feature_view', $$SELECT venice.alter_feature_view('quiet', '{"owner": "tenant_<them>"}')$$),
    ('alter_feature_view', $$SELECT venice.alter_feature_view('quiet', '{"source": "team_<them>.src"}', new_version => true)$$),
    ('alter_feature_view', $$SELECT venice.alter_feature_view('quiet', '{"entities": ["team_<them>.key"]}', new_version => true)$$),
    ('alter_feature_view', $$SELECT venice.alter_feature_view('quiet', '{"store": "tenant_<them>_fresh"}', features => 'v, (SELECT w FROM tenant_<them>_store.records) AS w', new_version => true)$$),
    ('create_feature_view', $$SELECT venice.create_feature_view('fresh', '{key}', 'src', 'v', options => '{"store": "tenant_<them>_store"}')$$),
    ('alter_on_demand_view', $$SELECT venice.alter_on_demand_view('twice', '{"inputs": ["team_<them>.quiet:v"]}')$$),
    ('alter_service', $$SELECT venice.alter_service('model', '{"owner": "tenant_<them>"}')$$),
    ('alter_service', $$SELECT venice.alter_service('model', '{"joins": [{"view": "team_<them>.quiet", "alias": "other"}]}', '{other:v}')$$),
    ('move_service', $$SELECT venice.move_service('model', 'team_<them>.quiet')$$),
    ('get_historical_features', $$SELECT * FROM venice.get_historical_features('SELECT 1 AS id, now() AS event_time', '{team_<them>.quiet:w}') AS r (id integer, event_time timestamptz, w text)$$),
    ('get_historical_features', $$SELECT * FROM venice.get_historical_features('SELECT 1 AS id, now() AS event_time', '{team_<them>.shown:v}') AS r (id integer, event_time timestamptz, v integer)$$),
    ('get_historical_features', $$SELECT * FROM venice.get_historical_features('SELECT 1 AS id, now() AS event_time', '{team_<them>.model}') AS r (id integer, event_time timestamptz, w text, v2 integer)$$),
    ('get_historical_features', $$SELECT * FROM venice.get_historical_features('SELECT 1 AS id, now() AS event_time', '{team_<them>.model_shown}') AS r (id integer, event_time timestamptz, v integer)$$),
    ('alter_store', $$SELECT venice.alter_store('tenant_<me>_store', '{"owner": "tenant_<them>"}')$$),
    ('get', $$SELECT * FROM venice_internal.get('tenant_<them>_store', 1) AS r (w text)$$),
    ('get', $$SELECT * FROM venice_internal.get('tenant_<them>_shown', 1) AS r (n integer)$$),
    ('batch_get', $$SELECT * FROM venice_internal.batch_get('tenant_<them>_store', '{1}'::integer[]) AS r (ordinality bigint, w text)$$),
    ('get_packed', $$SELECT encode(venice_internal.get_packed('tenant_<them>_quiet', 1), 'escape')$$),
    ('batch_get_packed', $$SELECT encode(venice_internal.batch_get_packed('tenant_<them>_store', '{1}'::integer[]), 'escape')$$),
    ('compute', $$SELECT * FROM venice_internal.compute('tenant_<them>_store', 'dot_product', 'x', '{1}', '{1}'::integer[]) AS r (ordinality bigint, id integer, result real)$$),
    ('compute_packed', $$SELECT venice_internal.compute_packed('tenant_<them>_store', 'dot_product', 'x', '{1}', '{1}'::integer[])$$),
    ('top_k', $$SELECT * FROM venice_internal.top_k('tenant_<them>_store', 'dot_product', 'x', '{1}', 1, NULL::integer[]) AS r (id integer, result real)$$),
    ('put', $$SELECT venice_internal.put('tenant_<them>_store', '{id,w}', NULL, 1, 'x'::text)$$),
    ('update', $$SELECT venice_internal.update('tenant_<them>_store', '{id}', NULL, '{"w": "x"}', 1)$$),
    ('delete', $$SELECT venice_internal.delete('tenant_<them>_store', '{id}', NULL, 1)$$),
    ('service_get', $$SELECT * FROM venice_internal.service_get('team_<them>.model', 1) AS r (w text, v2 integer, s jsonb)$$),
    ('service_get', $$SELECT * FROM venice_internal.service_get('team_<them>.model_shown', 1) AS r (v integer, s jsonb)$$),
    ('service_as_of', $$SELECT * FROM venice_internal.service_as_of('team_<them>.model', 1, now()) AS r (w text, v2 integer, s jsonb)$$),
    ('service_as_of', $$SELECT * FROM venice_internal.service_as_of('team_<them>.model_shown', 1, now()) AS r (v integer, s jsonb)$$),
    ('service_batch_get', $$SELECT * FROM venice_internal.service_batch_get('team_<them>.model', '{1}'::integer[]) AS r (o bigint, id integer, w text, v2 integer, s jsonb)$$),
    ('service_batch_get', $$SELECT * FROM venice_internal.service_batch_get('team_<them>.model_shown', '{1}'::integer[]) AS r (o bigint, id integer, v integer, s jsonb)$$)
) AS v (name, statement) ON p.proname = v.name AND p.pronamespace IN ('venice'::regnamespace, 'venice_internal'::regnamespace);
INSERT INTO act
SELECT NULL, statement FROM (VALUES ('SELECT * FROM tenant_<them>_store.get(1)'), ('SELECT * FROM tenant_<them>_shown.get(1)'), ('TABLE tenant_<them>_quiet.records'), ('TABLE tenant_<them>_kept_history.rows'),
    ('SELECT v FROM tenant_<them>_shown.records'), ('SELECT n FROM tenant_<them>_shown.records'),
    ('SELECT * FROM team_<them>_model.get(1)'), ('SELECT * FROM team_<them>_model_shown.get(1)'), ('SELECT v FROM team_<them>_model_shown.batch_get(''{1}'')')) v (statement);

-- Every function is called that PUBLIC may execute: one that has an argument which is not above is listed here.  Triggers are called by nobody;
-- procedures are in rights_matrix.
SELECT p.oid::regprocedure AS untested FROM pg_proc p
 WHERE p.pronamespace IN ('venice'::regnamespace, 'venice_internal'::regnamespace) AND p.prokind = 'f' AND p.provolatile <> 'i'
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) AND NOT EXISTS (SELECT FROM act WHERE function = p.oid)
   AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1;

-- What is asked is sensible: each function does something for whom all of it is his.  Not all can here: what asks a worker does not find what is
-- not committed.
SET LOCAL client_min_messages = error;
SELECT act.function::regprocedure AS never_works FROM act, LATERAL (SELECT replace(replace(act.statement, '<me>', 'a'), '<them>', 'a')) s (statement),
       LATERAL pg_temp.try_as('a', 'a', s.statement) t
 WHERE act.function IS NOT NULL GROUP BY 1 HAVING NOT bool_or(t.state = 'may') ORDER BY 1;
SET LOCAL client_min_messages = warning;

-- To others nobody is told what they keep for themselves, in no answer and no error, and nothing of theirs changes.
CREATE TEMP TABLE answer AS
SELECT act.statement, me.me, them.me AS them, CASE WHEN them.view_reader = me.me THEN 'view' ELSE 'service' END AS shared, t.*
  FROM act, tenant me, tenant them, LATERAL (SELECT replace(replace(act.statement, '<me>', me.me), '<them>', them.me)) s (statement),
       LATERAL pg_temp.try_as(me.me, them.me, s.statement) t
 WHERE me.me <> them.me;
SELECT count(*) > 1000 AS many, count(*) FILTER (WHERE state IN ('42501', '42704')) > 800 AS most_refused FROM answer;
SELECT statement, me, them, state, said FROM answer WHERE said ~ ('hush_' || them) ORDER BY 1, 2, 3;
SELECT statement, me, them, state, said FROM answer WHERE touched ORDER BY 1, 2, 3;
-- What answers nevertheless: what is shared, by which of the two; what is anybody's; and what is about nobody.
SELECT statement, string_agg(DISTINCT shared, ', ' ORDER BY shared) AS shared, count(DISTINCT me || them) AS pairs FROM answer WHERE state = 'may' GROUP BY 1 ORDER BY 1;
-- What is refused otherwise than for want of a right, or of anything of the name.
SELECT state, statement FROM answer WHERE state NOT IN ('may', '42501', '42704') GROUP BY 1, 2 ORDER BY 1, 2;

-- Every view: whoever has something in it sees that, and of another's what is shared, which says so.
CREATE FUNCTION pg_temp.rows_in(view text, who text, whom text, OUT seen bigint, OUT hidden bigint) LANGUAGE plpgsql AS $$BEGIN
    PERFORM set_config('role', 'tenant_' || who, true);
    EXECUTE format('SELECT count(*), count(*) FILTER (WHERE v::text ~ %L OR v::text !~ %L) FROM venice.%I v WHERE v::text ~ %L',
                   'hush_' || whom, 'open_' || whom || '|shown', view, '(tenant|team|hush|open)_' || whom) INTO seen, hidden;
    PERFORM set_config('role', 'none', true);
END$$;
SELECT relname AS view, bool_and(r.seen > 0) FILTER (WHERE me.me = them.me) AS own,
       string_agg(DISTINCT r.seen::text, ',') FILTER (WHERE them.view_reader = me.me) AS of_shared_view,
       string_agg(DISTINCT r.seen::text, ',') FILTER (WHERE them.service_reader = me.me) AS of_shared_service,
       sum(r.hidden) FILTER (WHERE me.me <> them.me) AS not_shared
  FROM pg_class, tenant me, tenant them, LATERAL pg_temp.rows_in(relname, me.me, them.me) r
 WHERE relnamespace = 'venice'::regnamespace AND relkind = 'v' GROUP BY 1 ORDER BY 1;
-- Nobody else sees any of it, but for what is in statistics and pg_read_all_stats.
CREATE ROLE tenant_stranger;
SELECT relname AS view FROM pg_class, tenant, LATERAL pg_temp.rows_in(relname, 'stranger', me) r
 WHERE relnamespace = 'venice'::regnamespace AND relkind = 'v' AND r.seen > 0;

-- A cheap function in somebody's WHERE is not shown what a view withholds, in any column, and whatever the plan: it is asked behind the view.
CREATE FUNCTION pg_temp.spy(value text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS
    $$BEGIN IF value ~ '(hush|tenant|team)_[abc]' THEN RAISE WARNING 'saw %', value; END IF; RETURN true; END$$;
CREATE FUNCTION pg_temp.spy_on(view text, col text) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
    plan jsonb;
BEGIN
    SET LOCAL ROLE tenant_stranger;
    EXECUTE format('SELECT count(*) FROM venice.%I v WHERE pg_temp.spy(v.%I::text)', view, col);
    EXECUTE format('EXPLAIN (FORMAT json) SELECT count(*) FROM venice.%I v WHERE pg_temp.spy(v.%I::text)', view, col) INTO plan;
    RESET ROLE;
    RETURN jsonb_path_query_array(plan, '$.** ? (@.* like_regex "spy\\(")."Alias"');
END$$;
SELECT relname AS view, attname AS column, asked_at FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid, LATERAL pg_temp.spy_on(relname, attname) asked_at
 WHERE relnamespace = 'venice'::regnamespace AND relkind = 'v' AND attnum > 0 AND (asked_at - 'v' <> '[]' OR NOT asked_at ? 'v') ORDER BY 1, 2;

-- Who makes a schema of the name of a service whose own was dropped by hand becomes its owner no more than a store's.
SET LOCAL client_min_messages = warning;
SET LOCAL ROLE tenant_a;
DROP SCHEMA team_a_model CASCADE;
SET LOCAL ROLE tenant_b;
CREATE SCHEMA team_a_model;
SELECT count(*) FROM venice.services WHERE name = 'model' AND project = 'team_a';
RESET ROLE;
SELECT statement, t.state, t.said FROM (VALUES ($$SELECT venice.alter_service('team_a.model', '{"description": null}')$$), ($$SELECT venice.drop_service('team_a.model')$$),
    ($$SELECT * FROM venice_internal.service_get('team_a.model', 1) AS r (w text, v2 integer, s jsonb)$$)) s (statement), LATERAL pg_temp.try_as('b', 'a', statement) t;
-- Who may see it is told, and dropping what is left of it, which the database's owner may, takes nothing of others' along.
SELECT * FROM pg_temp.try_as('a', 'a', $$SELECT * FROM venice_internal.service_get('team_a.model', 1) AS r (w text, v2 integer, s jsonb)$$);
SELECT venice.drop_service('team_a.model', force => true);
SELECT nspowner::regrole FROM pg_namespace WHERE nspname = 'team_a_model';
-- Nor does one who makes a schema lend his rights to a service that once had its name.
SET LOCAL ROLE tenant_b;
SELECT venice.create_service('team_b.lure', '{team_a.shown:v}');
DROP SCHEMA team_b_lure CASCADE;
SET LOCAL ROLE tenant_a;
SELECT venice.revoke_feature('team_a.shown:v', 'tenant_b');
CREATE SCHEMA team_b_lure;
GRANT USAGE ON SCHEMA team_b_lure TO tenant_b;
RESET ROLE;
SELECT state FROM pg_temp.try_as('b', 'a', $$SELECT * FROM venice_internal.service_get('team_b.lure', 1) AS r (v integer, s jsonb)$$);

-- What is wrong with a service is told to who may call it.
SET LOCAL ROLE tenant_a;
REVOKE SELECT ON tenant_a_shown.records FROM tenant_a;
REVOKE SELECT (v) ON tenant_a_shown.records FROM tenant_a;
RESET ROLE;
SELECT who, t.state, t.said FROM unnest('{c,b}'::text[]) who,
       LATERAL pg_temp.try_as(who, 'a', $$SELECT * FROM venice_internal.service_get('team_a.model_shown', 1) AS r (v integer, s jsonb)$$) t;

-- Views of others that read one's source are counted, not named.
SELECT venice.create_feature_view('default.over_a', '{team_a.key}', 'team_a.src', 'v', online => false);
SET LOCAL ROLE tenant_a;
CREATE TABLE tenant_a_data.narrow (id integer, w text, at timestamptz);
RESET ROLE;
SELECT * FROM pg_temp.try_as('a', 'a', $$SELECT venice.alter_source('src', '{"relation": "tenant_a_data.narrow"}')$$);

-- What became of a project is not for whoever makes another one of its name.
SET LOCAL ROLE tenant_c;
SELECT venice.drop_project('team_c', force => true);
SET LOCAL ROLE tenant_b;
SELECT venice.create_project('team_c');
SELECT action, kind, name, owner FROM venice.audit WHERE project = 'team_c';
SET LOCAL ROLE tenant_c;
SELECT count(*) > 10 AS his FROM venice.audit WHERE project = 'team_c';

-- On a server that pg_upgrade made OIDs of schemas mean something else: names say which are services', and what was logged before is nobody's.
RESET ROLE;
UPDATE venice.service_schema SET schema_oid = 1, system_identifier = 1;
UPDATE venice.served_feature SET system_identifier = 1;
SET LOCAL ROLE tenant_b;
SELECT (SELECT count(*) FROM venice.services WHERE owner = 'tenant_b' AND name ~ '^model') AS services, (SELECT count(*) FROM venice.served_features) AS logged;
SELECT venice.alter_service('team_b.model');
RESET ROLE;
SELECT schema_oid::regnamespace FROM venice.service_schema WHERE system_identifier = venice_internal.system_identifier();

-- An expression is evaluated with the rights of who owns a service: what reads stores, or the registry, is not for one.
RESET ROLE;
SELECT p.oid::regprocedure, t.state FROM pg_proc p, LATERAL (SELECT format('SELECT venice.create_on_demand_view(%L, %L, %L, %L)', 'fresh', '{}',
           format('(%s(%s))::text AS stolen', p.oid::regproc, (SELECT string_agg(CASE t WHEN '"any"'::regtype THEN '1' ELSE format('NULL::%s', t::regtype) END, ', ') FROM unnest(p.proargtypes) t)), 'x integer')) s (statement),
       LATERAL pg_temp.try_as('b', 'a', statement) t
 WHERE p.pronamespace IN ('venice'::regnamespace, 'venice_internal'::regnamespace) AND p.prokind = 'f' AND p.provolatile <> 'i' AND NOT p.proretset
   AND p.prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype, 'void'::regtype) AND t.said !~ '(runs queries|is volatile)' ORDER BY 1;
ROLLBACK;
REVOKE CREATE ON DATABASE regression FROM tenant_a, tenant_b, tenant_c;
DROP ROLE tenant_a, tenant_b, tenant_c;
