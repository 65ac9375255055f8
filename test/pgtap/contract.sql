-- The contract: what users may type.  Whatever is in schema venice is in these lists, in this shape, and what is in
-- the lists is there: to change a name, an argument or a column means to change it here, on purpose.
--
-- Needs the extensions venice, preloaded, and pgtap.  Leaves nothing behind.
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT no_plan();

-- Functions and procedures of schema venice -------------------------------------------------------------------------

CREATE TEMP TABLE routine (name text, arguments text, result text);
INSERT INTO routine VALUES
    -- stores
    ('create_store', 'store text, key text, value text, server text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb', 'void'),
    ('alter_store', 'store text, options jsonb DEFAULT ''{}''::jsonb, value text DEFAULT NULL::text', 'void'),
    ('drop_store', 'store text, force boolean DEFAULT false', 'void'),
    ('register_value_schema', 'store text, schema text, schema_id integer DEFAULT NULL::integer', 'integer'),
    ('rebuild_functions', 'store text', 'void'),
    -- pushes
    ('start_push', 'store text, push_id text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb, OUT version integer, OUT schema name', 'SETOF record'),
    ('end_push', 'store text, version integer DEFAULT NULL::integer, swap boolean DEFAULT true', 'text'),
    ('abort_push', 'store text, version integer DEFAULT NULL::integer', 'void'),
    ('wait_for_push', 'IN store text, IN version integer DEFAULT NULL::integer, IN timeout interval DEFAULT NULL::interval', NULL),
    ('push', 'store text, query text, push_id text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb', 'integer'),
    ('incremental_push', 'store text, query text, push_id text DEFAULT NULL::text', 'text'),
    ('repush', 'store text, query text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb', 'integer'),
    -- versions
    ('swap_version', 'store text, version integer', 'void'),
    ('rollback_version', 'store text, version integer DEFAULT NULL::integer', 'integer'),
    ('drop_version', 'store text, version integer', 'void'),
    ('warm', 'store text', 'bigint'),
    -- ingestion
    ('pause_ingestion', 'store text DEFAULT NULL::text', 'void'),
    ('resume_ingestion', 'store text DEFAULT NULL::text', 'void'),
    ('check_server', 'server text', 'TABLE(part text, ok boolean, detail text)'),
    ('peek', 'server text, topic text, partition integer DEFAULT 0, start_offset bigint DEFAULT NULL::bigint, max_records integer DEFAULT 10',
     'TABLE(partition integer, kafka_offset bigint, record_time timestamp with time zone, key bytea, value bytea, message jsonb)'),
    ('run_maintenance', '', NULL),
    -- registry: entries
    ('create_project', 'project text, owner name DEFAULT CURRENT_USER, options jsonb DEFAULT ''{}''::jsonb', 'void'),
    ('alter_project', 'project text, options jsonb', 'void'),
    ('drop_project', 'project text, force boolean DEFAULT false', 'void'),
    ('create_entity', 'entity text, keys text, options jsonb DEFAULT ''{}''::jsonb', 'void'),
    ('alter_entity', 'entity text, options jsonb', 'void'),
    ('drop_entity', 'entity text, force boolean DEFAULT false', 'void'),
    ('create_service', 'service text, features text[], options jsonb DEFAULT ''{}''::jsonb', 'void'),
    ('alter_service', 'service text, options jsonb DEFAULT ''{}''::jsonb, features text[] DEFAULT NULL::text[]', 'void'),
    ('move_service', 'service text, view text', 'void'),
    ('drop_service', 'service text, force boolean DEFAULT false', 'void'),
    ('log_service', 'service text, fraction double precision', 'void'),
    ('search', 'query text, of_kind text DEFAULT NULL::text, max_rows integer DEFAULT 50',
     'TABLE(kind text, name text, project name, owner name, description text, rank real)'),
    ('describe', 'name text', 'TABLE(property text, value text)'),
    ('upstream', 'of_name text', 'TABLE(depth integer, kind text, name text, via text)'),
    ('downstream', 'of_name text', 'TABLE(depth integer, kind text, name text, via text)'),
    ('lineage_dot', 'name text DEFAULT NULL::text', 'text'),
    ('export', 'project text DEFAULT NULL::text', 'jsonb'),
    ('plan', 'definition jsonb, prune boolean DEFAULT false',
     'TABLE(action text, kind text, name text, detail text, breaking boolean, used_by text[])'),
    ('apply', 'definition jsonb, prune boolean DEFAULT false',
     'TABLE(action text, kind text, name text, detail text, breaking boolean, used_by text[])'),
    ('get_online_features', 'features text[], entities jsonb, options jsonb DEFAULT ''{}''::jsonb',
     'TABLE(ordinality bigint, feature text, value jsonb, event_time timestamp with time zone, status text)'),
    -- the past
    ('compact_history', 'view text', 'void'),
    ('get_historical_features', 'spine text, features text[], event_time text DEFAULT ''event_time''::text, options jsonb DEFAULT ''{}''::jsonb', 'SETOF record'),
    ('historical_features_query', 'spine text, features text[], event_time text DEFAULT ''event_time''::text, options jsonb DEFAULT ''{}''::jsonb', 'text'),
    ('explain_historical_features', 'spine text, features text[], event_time text DEFAULT ''event_time''::text, options jsonb DEFAULT ''{}''::jsonb',
     'TABLE("QUERY PLAN" text)'),
    ('create_source', 'source text, relation regclass DEFAULT NULL::regclass, store text DEFAULT NULL::text, server text DEFAULT NULL::text, '
        'topic text DEFAULT NULL::text, event_time text DEFAULT NULL::text, created_time text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb', 'void'),
    ('alter_source', 'source text, options jsonb', 'void'),
    ('drop_source', 'source text, force boolean DEFAULT false', 'void'),
    -- registry: views
    ('create_feature_view', 'view text, entities text[], source text, features text DEFAULT NULL::text, ttl interval DEFAULT NULL::interval, '
        'online boolean DEFAULT true, offline boolean DEFAULT true, options jsonb DEFAULT ''{}''::jsonb', 'integer'),
    ('alter_feature_view', 'view text, options jsonb DEFAULT ''{}''::jsonb, features text DEFAULT NULL::text, '
        'ttl interval DEFAULT NULL::interval, new_version boolean DEFAULT false', 'integer'),
    ('drop_feature_view', 'view text, force boolean DEFAULT false', 'void'),
    ('create_on_demand_view', 'view text, inputs text[], expressions text, request text DEFAULT NULL::text, options jsonb DEFAULT ''{}''::jsonb', 'integer'),
    ('alter_on_demand_view', 'view text, options jsonb DEFAULT ''{}''::jsonb, expressions text DEFAULT NULL::text, new_version boolean DEFAULT false', 'integer'),
    ('drop_on_demand_view', 'view text, force boolean DEFAULT false', 'void'),
    ('create_label_view', 'view text, entities text[], source text, features text, window_length interval, options jsonb DEFAULT ''{}''::jsonb', 'integer'),
    ('alter_label_view', 'view text, options jsonb DEFAULT ''{}''::jsonb, features text DEFAULT NULL::text, new_version boolean DEFAULT false', 'integer'),
    ('drop_label_view', 'view text, force boolean DEFAULT false', 'void'),
    ('deprecate', 'view text, notice interval DEFAULT ''90 days''::interval', 'timestamp with time zone'),
    ('grant_feature', 'feature text, grantee name', 'void'),
    ('revoke_feature', 'feature text, grantee name', 'void'),
    -- training sets
    ('create_training_set', 'name text, spine text, features text[], event_time text DEFAULT ''event_time''::text, options jsonb DEFAULT ''{}''::jsonb', 'bigint'),
    ('refresh_training_set', 'name text', 'bigint'),
    ('extend_training_set', 'name text, spine text', 'bigint'),
    ('compare_training_sets', 'name text, other text',
     'TABLE(feature text, compared bigint, changed bigint, null_in_name bigint, null_in_other bigint, only_in_name bigint, only_in_other bigint)'),
    ('check_consistency', 'service text, sample integer DEFAULT 1000', 'TABLE(feature text, compared bigint, mismatched bigint, example jsonb)'),
    ('hash_fraction', 'VARIADIC keys "any"', 'double precision'),
    -- read compute
    ('dot_product', 'a real[], b real[]', 'double precision'),
    ('dot_product', 'a double precision[], b double precision[]', 'double precision'),
    ('dot_product_compat', 'a real[], b real[]', 'real'),
    ('cosine_similarity', 'a real[], b real[]', 'double precision'),
    ('cosine_similarity', 'a double precision[], b double precision[]', 'double precision'),
    ('cosine_similarity_compat', 'a real[], b real[]', 'real'),
    ('hadamard_product', 'a real[], b real[]', 'real[]'),
    ('hadamard_product', 'a double precision[], b double precision[]', 'double precision[]'),
    ('hadamard_product_compat', 'a real[], b real[]', 'real[]'),
    ('l1_norm', 'vector real[]', 'double precision'),
    ('l1_norm', 'vector double precision[]', 'double precision'),
    ('l2_norm', 'vector real[]', 'double precision'),
    ('l2_norm', 'vector double precision[]', 'double precision'),
    ('l1_distance', 'a real[], b real[]', 'double precision'),
    ('l1_distance', 'a double precision[], b double precision[]', 'double precision'),
    ('l2_distance', 'a real[], b real[]', 'double precision'),
    ('l2_distance', 'a double precision[], b double precision[]', 'double precision'),
    ('count', 'elements anyarray', 'integer'),
    ('count', 'elements jsonb', 'integer'),
    ('count_compat', 'elements anyarray', 'integer'),
    ('count_compat', 'elements jsonb', 'integer');
CREATE TEMP VIEW arithmetic AS SELECT name FROM routine WHERE result IN ('double precision', 'real', 'real[]', 'double precision[]')
    UNION VALUES ('count'), ('count_compat');
CREATE TEMP VIEW reading (name) AS VALUES ('search'), ('describe'), ('upstream'), ('downstream'), ('lineage_dot'), ('export');

CREATE TEMP VIEW found_routine AS
    SELECT p.oid, p.proname::text AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result,
           p.proisstrict, p.prokind = 'p' AS is_procedure, p.provolatile, p.proparallel, p.prosecdef, p.proconfig, l.lanname
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang
     WHERE p.pronamespace = 'venice'::regnamespace;

SELECT results_eq(
    format('SELECT result FROM found_routine WHERE name = %L AND arguments = %L', name, arguments),
    format('VALUES (%L::text)', result),
    format('venice.%s has the arguments and the result of the contract', name))
  FROM routine;
SELECT set_eq('SELECT name, arguments FROM found_routine', 'SELECT name, arguments FROM routine', 'no function of schema venice is missing or unlisted');
SELECT is_empty('SELECT name FROM found_routine WHERE is_procedure <> (result IS NULL)', 'what returns nothing at all is a procedure');
SELECT is_empty($$SELECT name FROM found_routine WHERE name NOT IN (TABLE arithmetic UNION ALL TABLE reading) AND (provolatile <> 'v' OR proparallel <> 'u')$$,
    'every function of schema venice but arithmetic and those that only read the registry changes or waits for something: volatile, and not parallel safe');
SELECT is_empty($$SELECT name FROM found_routine WHERE name IN (TABLE reading) AND (provolatile <> 's' OR proparallel <> 'r')$$,
    'what only reads the registry is stable');
SELECT is_empty($$SELECT name FROM found_routine WHERE name IN (TABLE arithmetic) AND (provolatile <> 'i' OR proparallel <> 's')$$,
    'arithmetic depends on its arguments only: immutable, and parallel safe');
SELECT is_empty($$SELECT name FROM found_routine WHERE lanname <> 'c' OR prosecdef OR proconfig IS NOT NULL$$,
    'every function of schema venice is C, checks rights itself and has no settings');
SELECT is_empty('SELECT name FROM found_routine WHERE proisstrict AND name NOT IN (TABLE arithmetic)', 'no function of schema venice but arithmetic ignores a call: a NULL is refused');
SELECT is_empty($$SELECT name FROM found_routine WHERE NOT has_function_privilege('public', oid, 'EXECUTE')$$,
    'every function of schema venice is executable by PUBLIC');
SELECT is_empty($$SELECT name FROM found_routine WHERE obj_description(oid, 'pg_proc') IS NULL$$, 'every function of schema venice has a comment');
SELECT is_empty($$
    SELECT r.name, k.word FROM found_routine r JOIN pg_proc p ON p.oid = r.oid JOIN pg_get_keywords() k ON k.word = ANY (p.proargnames)
     WHERE k.catcode = 'R'$$,
    'no argument or result column is named by a reserved word');

-- Views -------------------------------------------------------------------------------------------------------------

CREATE TEMP TABLE view_columns (name text, columns text);
INSERT INTO view_columns VALUES
    ('stores', 'store name, owner name, schema name, state text, key_columns text, value_columns text, server name, '
        'current_version integer, future_version integer, options jsonb, created_time timestamp with time zone'),
    ('versions', 'store name, version integer, state text, schema name, records regclass, push_id text, origin text, rows bigint, '
        'bytes bigint, started_time timestamp with time zone, ended_time timestamp with time zone, '
        'swapped_time timestamp with time zone, retire_after timestamp with time zone, error text, detail text'),
    ('pushes', 'store name, push_id text, version integer, origin text, state text, started_time timestamp with time zone, '
        'ended_time timestamp with time zone, started_by name, rows bigint, rejected bigint, error text'),
    ('swap_dependents', 'store name, version integer, kind text, object text, reason text'),
    ('columns', 'store name, column_name name, position integer, is_key boolean, pg_type regtype, source_field text, source_type text'),
    ('rejected_records', 'store name, version integer, topic text, partition integer, kafka_offset bigint, '
        'record_time timestamp with time zone, key bytea, value bytea, sqlstate text, error text, '
        'rejected_time timestamp with time zone'),
    ('stat_ingestion', 'store name, version integer, topic text, partition integer, state text, pid integer, kafka_offset bigint, '
        'end_offset bigint, lag bigint, lag_time interval, messages bigint, bytes bigint, rows_inserted bigint, '
        'rows_updated bigint, rows_deleted bigint, rejected bigint, batches bigint, '
        'last_message_time timestamp with time zone, last_commit_time timestamp with time zone, last_error text, '
        'last_error_time timestamp with time zone, next_retry_time timestamp with time zone, region integer'),
    ('stat_outbox', 'store name, state text, pid integer, pending bigint, oldest_time timestamp with time zone, produced bigint, '
        'last_error text, last_error_time timestamp with time zone, next_retry_time timestamp with time zone'),
    ('stat_progress_join', 'pid integer, phase text, key_sets_done integer, key_sets_total integer, rows_done bigint, rows_total bigint, percent real, '
        'workers integer, started_time timestamp with time zone, estimated_end_time timestamp with time zone'),
    ('stat_progress_push', 'store name, version integer, phase text, rows_done bigint, rows_total bigint, percent real, '
        'started_time timestamp with time zone, estimated_end_time timestamp with time zone, pid integer'),
    ('stat_read', 'store name, gets bigint, keys bigint, hits bigint, misses bigint, evictions bigint, bytes bigint'),
    ('stat_store', 'store name, reads bigint, keys bigint, rows_inserted bigint, rows_updated bigint, rows_deleted bigint, '
        'pushes bigint, swaps bigint, rollbacks bigint, rejected bigint, stats_reset timestamp with time zone'),
    ('lineage', 'from_kind text, from_name text, to_kind text, to_name text, via text'),
    ('projects', 'name name, owner name, description text, tags jsonb, created_time timestamp with time zone'),
    ('entities', 'name name, project name, owner name, keys text, description text, tags jsonb, created_time timestamp with time zone'),
    ('sources', 'name name, project name, owner name, relation regclass, store name, server name, topic text, event_time text, '
        'created_time_column text, columns text, options jsonb, description text, tags jsonb, created_time timestamp with time zone'),
    ('feature_views', 'name name, project name, view_version integer, kind text, owner name, entities text[], source text, features text, '
        'inputs text[], request text, ttl interval, window_length interval, online boolean, offline boolean, store name, '
        'description text, tags jsonb, expectations jsonb, aggregations jsonb, upper_edge text, '
        'deprecated_until timestamp with time zone, created_time timestamp with time zone'),
    ('features', 'name name, project name, view name, view_version integer, position integer, type text, expression text, '
        'source_columns text[], owner name, description text, tags jsonb, aggregation jsonb'),
    ('services', 'name name, project name, owner name, schema name, features text[], arguments text, model text, model_version text, '
        'description text, tags jsonb, options jsonb, created_time timestamp with time zone'),
    ('service_features', 'service name, project name, position integer, name name, type text, view_project name, view name, '
        'view_version integer, feature name, alias name, keys jsonb, default_value text'),
    ('served_features', 'service name, project name, request_time timestamp with time zone, arguments jsonb, features jsonb, status jsonb'),
    ('stat_served', 'service name, project name, logged bigint, dropped bigint'),
    ('histories', 'store name, views text, relation regclass, partitions bigint, rows bigint, bytes bigint, '
        'start_time timestamp with time zone, end_time timestamp with time zone, compacted bigint, '
        'compacted_time timestamp with time zone'),
    ('training_sets', 'name text, relation regclass, owner name, description text, tags jsonb, definition jsonb, view_versions text[], '
        'options jsonb, snapshot text, rows bigint, statistics jsonb, parts jsonb, created_time timestamp with time zone, '
        'changed_time timestamp with time zone'),
    ('audit', 'audit_id bigint, changed_time timestamp with time zone, role name, session_role name, action text, kind text, '
        'project name, name text, owner name, before jsonb, after jsonb');

CREATE TEMP VIEW found_relation AS
    SELECT c.oid, c.relname::text AS name, c.relkind,
           (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
              FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) AS columns,
           c.reloptions
      FROM pg_class c WHERE c.relnamespace = 'venice'::regnamespace;

SELECT is((SELECT f.columns FROM found_relation f WHERE f.name = v.name AND f.relkind = 'v'), v.columns,
    format('view venice.%s has the columns of the contract', v.name))
  FROM view_columns v;
SELECT set_eq($$SELECT name FROM found_relation WHERE relkind = 'v'$$, 'SELECT name FROM view_columns',
    'no view of schema venice is missing or unlisted');
SELECT is_empty($$SELECT name FROM found_relation WHERE relkind NOT IN ('v', 'r', 'i', 'c') AND name NOT IN ('audit_entry_audit_id_seq', 'served_feature_served_id_seq')$$,
    'schema venice has views, tables, their indexes, the numbers of two tables'' rows, and nothing else');
SELECT is_empty($$SELECT name FROM found_relation WHERE relkind = 'v' AND NOT has_table_privilege('public', oid, 'SELECT')$$,
    'PUBLIC may read every view');
SELECT is_empty($$
    SELECT name FROM found_relation WHERE relkind = 'v'
       AND (has_table_privilege('public', oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege('public', oid, 'INSERT, UPDATE'))$$,
    'PUBLIC may do nothing else with a view');
SELECT is_empty($$SELECT name FROM found_relation WHERE relkind = 'v' AND 'security_barrier=true' <> ALL (COALESCE(reloptions, '{}'))$$,
    'every view is a security barrier');
SELECT is_empty($$SELECT name FROM found_relation WHERE relkind IN ('v', 'r') AND obj_description(oid, 'pg_class') IS NULL$$,
    'every view and table has a comment');

-- Tables: internal.  What is dumped is read and restored by the database's owner, and by nobody else. -----------------

CREATE TEMP VIEW dumped AS
    SELECT unnest(extconfig) AS oid FROM pg_extension WHERE extname = 'venice';
SELECT is_empty($$
    SELECT name FROM found_relation WHERE relkind = 'r'
       AND (has_table_privilege('public', oid, 'SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER') OR has_any_column_privilege('public', oid, 'SELECT, INSERT, UPDATE, REFERENCES'))$$,
    'PUBLIC may do nothing with a table');
SELECT set_eq($$
    SELECT c.oid FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'venice'::regnamespace AND c.relkind = 'r' AND a.grantee = 'pg_database_owner'::regrole
     GROUP BY c.oid HAVING array_agg(a.privilege_type ORDER BY a.privilege_type) = '{INSERT,SELECT}'$$,
    $$SELECT oid FROM dumped JOIN pg_class USING (oid) WHERE relkind = 'r'$$,
    'pg_database_owner may read and insert into the tables that are dumped, and them only');
SELECT is_empty($$
    SELECT c.oid::regclass, a.grantee::regrole FROM pg_class c, aclexplode(c.relacl) a
     WHERE c.relnamespace = 'venice'::regnamespace AND a.grantee NOT IN (0, c.relowner, 'pg_database_owner'::regrole)$$,
    'nobody else has rights in schema venice');
SELECT is_empty($$
    SELECT attrelid::regclass, attname FROM pg_attribute JOIN dumped ON attrelid = dumped.oid
     WHERE attnum > 0 AND atttypid IN ('oid'::regtype, 'regrole'::regtype, 'regnamespace'::regtype)$$,
    'no dumped column holds a bare OID');

-- Schemas and members -----------------------------------------------------------------------------------------------

CREATE TEMP VIEW member AS
    SELECT o.* FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'venice'
     CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) o
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e';
SELECT is_empty($$SELECT type, identity FROM member WHERE schema NOT IN ('venice', 'venice_internal')$$,
    'members of the extension are in its own two schemas');
SELECT set_eq('SELECT type, identity FROM member WHERE schema IS NULL',
    $$VALUES ('schema', 'venice'), ('schema', 'venice_internal'), ('foreign-data wrapper', 'venice_kafka'),
             ('event trigger', 'venice_server_drop'), ('event trigger', 'venice_training_set_drop')$$,
    'outside of schemas there are those two, the foreign-data wrapper, and what keeps its servers');
SELECT is(array_agg(n.nspname::text || ' ' || a.privilege_type ORDER BY n.nspname), '{venice USAGE,venice_internal USAGE}',
    'PUBLIC may use both schemas, and make nothing in them')
  FROM pg_namespace n, aclexplode(n.nspacl) a WHERE n.nspname ~ '^venice' AND a.grantee = 0;
SELECT isnt(obj_description(oid, 'pg_namespace'), NULL, format('schema %I has a comment', nspname))
  FROM pg_namespace WHERE nspname ~ '^venice';
SELECT is_empty($$
    SELECT oid::regprocedure FROM pg_proc WHERE pronamespace = 'venice_internal'::regnamespace
       AND (obj_description(oid, 'pg_proc') IS NULL OR prosecdef)$$,
    'every internal function has a comment and its caller''s rights');
SELECT is_empty($$
    SELECT c.oid::regclass FROM pg_class c WHERE c.relnamespace = 'venice_internal'::regnamespace
       AND c.relname NOT IN ('definition', 'definition_kind', 'lineage_edge', 'over_quota', 'service_schema')$$,
    'schema venice_internal has functions, and the registry as definitions and what leads from one to another, only');
SELECT is_empty($$SELECT oid::regclass FROM pg_class WHERE relnamespace = 'venice_internal'::regnamespace AND relacl IS NOT NULL$$,
    'which nobody but the extension''s owner reads');

-- Connections -------------------------------------------------------------------------------------------------------

SELECT results_eq($$SELECT fdwhandler::oid, fdwvalidator::regprocedure::text, fdwacl::text FROM pg_foreign_data_wrapper WHERE fdwname = 'venice_kafka'$$,
    $$VALUES (0::oid, 'venice_internal.kafka_validator(text[],oid)', NULL::text)$$,
    'venice_kafka has a validator and no handler, and is to be granted by whom it belongs to');
SELECT isnt(obj_description(oid, 'pg_foreign_data_wrapper'), NULL, 'venice_kafka has a comment')
  FROM pg_foreign_data_wrapper WHERE fdwname = 'venice_kafka';
SELECT lives_ok($$
    CREATE SERVER contract_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1',
        security_protocol 'SASL_SSL', sasl_mechanism 'SCRAM-SHA-512', ssl_ca_pem 'x', ssl_certificate_pem 'x',
        schema_registry_url 'https://127.0.0.1:1/path')$$,
    'a server takes librdkafka''s properties with "_" for ".", and the registry''s URL');
SELECT lives_ok($$
    CREATE USER MAPPING FOR PUBLIC SERVER contract_kafka OPTIONS (sasl_username 'x', sasl_password 'x', ssl_key_pem 'x',
        ssl_key_password 'x', schema_registry_user 'x', schema_registry_password 'x')$$,
    'a user mapping takes the secrets');
SELECT lives_ok($$ALTER USER MAPPING FOR PUBLIC SERVER contract_kafka OPTIONS (DROP schema_registry_user,
        DROP schema_registry_password, ADD schema_registry_token 'x')$$, 'or a token for the registry');
SELECT throws_ok($$ALTER SERVER contract_kafka OPTIONS (ADD sasl_password 'x')$$, 'HV00D', NULL, 'a server takes no secret');
SELECT throws_ok($$ALTER SERVER contract_kafka OPTIONS (ADD "security.protocol" 'x')$$, 'HV00D', NULL, 'nor a name with a dot');
SELECT throws_ok($$CREATE SERVER other FOREIGN DATA WRAPPER venice_kafka$$, 'HV002', NULL, 'a server needs its brokers');

-- Settings ----------------------------------------------------------------------------------------------------------

SELECT results_eq($$
    SELECT name, context, vartype, unit, boot_val FROM pg_settings WHERE name LIKE 'venice.%' ORDER BY name COLLATE "C"$$,
    $$VALUES
    ('venice.allow_direct_dml', 'superuser', 'bool', NULL, 'off'),
    ('venice.audit_retention', 'sighup', 'integer', 's', '34560000'),
    ('venice.batch_delay', 'sighup', 'integer', 'ms', '50'),
    ('venice.batch_rows', 'sighup', 'integer', NULL, '10000'),
    ('venice.cache_size', 'postmaster', 'integer', 'kB', '0'),
    ('venice.drop_lock_timeout', 'sighup', 'integer', 'ms', '100'),
    ('venice.ingestion', 'sighup', 'bool', NULL, 'on'),
    ('venice.max_ingest_workers', 'postmaster', 'integer', NULL, '2'),
    ('venice.pit_plan', 'user', 'enum', NULL, 'auto'),
    ('venice.project', 'user', 'string', NULL, 'default'),
    ('venice.read_cache', 'user', 'bool', NULL, 'on'),
    ('venice.rejected_record_retention', 'sighup', 'integer', 's', '604800'),
    ('venice.run_retention', 'sighup', 'integer', 's', '7776000'),
    ('venice.served_log_retention', 'sighup', 'integer', 's', '604800'),
    ('venice.served_log_rows', 'sighup', 'integer', NULL, '1000000'),
    ('venice.swap_lock_timeout', 'sighup', 'integer', 'ms', '50'),
    ('venice.worker_memory', 'sighup', 'integer', 'kB', '65536')$$,
    'settings have the names, contexts, units and defaults of the contract');
SELECT is_empty($$SELECT name FROM pg_settings WHERE name LIKE 'venice.%' AND short_desc !~ '^[A-Z].*\.$'$$,
    'every setting is described in a sentence');
SELECT throws_ok($$SET venice.no_such_setting = 1$$, '42602', NULL, 'nobody else may use the prefix');

-- A store -----------------------------------------------------------------------------------------------------------

CREATE ROLE contract_owner;
CREATE ROLE contract_reader;
DO $$BEGIN EXECUTE format('GRANT CREATE ON DATABASE %I TO contract_owner', current_database()); END$$;
SET LOCAL ROLE contract_owner;
SELECT lives_ok($$SELECT venice.create_store('contract_sample', 'user_id bigint, country text',
        'clicks bigint, ctr double precision, embedding real[], ordinality integer')$$, 'CREATE on the database is what making a store needs');
SELECT is(venice.push('contract_sample', $$VALUES (1::bigint, 'de', 2::bigint, 0.5, '{1}'::real[], 3)$$, 'first'), 1, 'the first push makes version 1');
RESET ROLE;

CREATE TEMP VIEW generated AS
    SELECT p.*, p.proname::text COLLATE "default" AS name, pg_get_function_arguments(p.oid) AS arguments, pg_get_function_result(p.oid) AS result, l.lanname
      FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang JOIN pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname = 'contract_sample';
SELECT results_eq('SELECT name, arguments, result, prorows::integer FROM generated ORDER BY name', $$VALUES
    ('batch_get', 'user_id bigint[], country text[]',
     'TABLE(_ordinality bigint, user_id bigint, country text, clicks bigint, ctr double precision, embedding real[], ordinality integer)', 100),
    ('batch_get_packed', 'user_id bigint[], country text[]', 'bytea', 0),
    ('compute', 'operation text, field text, query real[], user_id bigint[], country text[]',
     'TABLE(ordinality bigint, user_id bigint, country text, result real)', 100),
    ('compute_packed', 'operation text, field text, query real[], user_id bigint[], country text[]', 'bytea', 0),
    ('delete', 'user_id bigint, country text, _logical_time timestamp with time zone DEFAULT NULL::timestamp with time zone', 'void', 0),
    ('get', 'user_id bigint, country text', 'TABLE(clicks bigint, ctr double precision, embedding real[], ordinality integer)', 1),
    ('get_packed', 'user_id bigint, country text', 'bytea', 0),
    ('put', 'user_id bigint, country text, clicks bigint DEFAULT NULL::bigint, ctr double precision DEFAULT NULL::double precision, embedding real[] DEFAULT NULL::real[], ordinality integer DEFAULT NULL::integer, _logical_time timestamp with time zone DEFAULT NULL::timestamp with time zone', 'void', 0),
    ('top_k', 'operation text, field text, query real[], k integer, user_id bigint[] DEFAULT NULL::bigint[], country text[] DEFAULT NULL::text[]',
     'TABLE(user_id bigint, country text, result real)', 10),
    ('update', 'user_id bigint, country text, patch jsonb, _logical_time timestamp with time zone DEFAULT NULL::timestamp with time zone', 'void', 0)$$,
    'a store has get, batch_get, compute, the packed forms of them, top_k, put, update and delete, typed by its columns, to which our names give way, and nothing else');
SELECT is_empty($$
    SELECT name FROM generated WHERE lanname <> 'sql' OR proisstrict OR prosecdef
        OR provolatile <> CASE WHEN name IN ('put', 'update', 'delete') THEN 'v' ELSE 's' END
        OR proparallel <> CASE WHEN name IN ('put', 'update', 'delete') THEN 'u' WHEN name IN ('get_packed', 'batch_get_packed') THEN 'r' ELSE 's' END
        OR proconfig IS NOT NULL OR proowner <> 'contract_owner'::regrole OR NOT has_function_privilege('public', oid, 'EXECUTE')
        OR obj_description(oid, 'pg_proc') IS NULL OR probin IS NOT NULL OR prosqlbody IS NOT NULL$$,
    'they are inlinable SQL of the store''s owner with a string body and a comment, which everybody may call');
SELECT is_empty($$
    SELECT g.name FROM generated g JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = g.oid AND d.deptype = 'e'$$,
    'they are no members of the extension, which can be dropped without them');
SELECT results_eq('SELECT * FROM contract_sample.get(1, ''de'')', $$VALUES (2::bigint, 0.5::double precision, '{1}'::real[], 3)$$,
    'get answers with the value columns');
SELECT results_eq('SELECT * FROM contract_sample.batch_get(''{9,1}'', ''{x,de}'')',
    $$VALUES (2::bigint, 1::bigint, 'de', 2::bigint, 0.5::double precision, '{1}'::real[], 3)$$, 'batch_get with all, and where in the input');
SELECT set_eq($$SELECT format('%s %s', c.relname, c.relkind) FROM pg_class c WHERE c.relnamespace = 'contract_sample'::regnamespace$$,
    $$VALUES ('records r'), ('records_pkey i'), ('swap_gate_v1 r')$$, 'a store''s schema holds records, their key and the gate');
SELECT is((SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = 'contract_sample.records'::regclass AND attnum > 0),
    'user_id bigint, country text, clicks bigint, ctr double precision, embedding real[], ordinality integer',
    'records has the keys, then the values, in the order in which they were declared');
SELECT is_empty($$
    SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = 'contract_sample' AND (c.relowner <> 'contract_owner'::regrole OR n.nspowner <> 'contract_owner'::regrole)$$,
    'all of it is the store''s owner''s');
SELECT matches(obj_description('contract_sample'::regnamespace, 'pg_namespace'), '^venice store contract_sample, version 1', 'its schema says what it is');
SELECT results_eq($$
    SELECT store, owner, schema, state, key_columns, value_columns, server, current_version, future_version FROM venice.stores WHERE store = 'contract_sample'$$,
    $$VALUES ('contract_sample'::name, 'contract_owner'::name, 'contract_sample'::name, 'ok', 'user_id bigint, country text' COLLATE "C",
        'clicks bigint, ctr double precision, embedding real[], ordinality integer' COLLATE "C", NULL::name, 1, NULL::integer)$$,
    'venice.stores describes it');
SELECT is((SELECT options FROM venice.stores WHERE store = 'contract_sample'),
    '{"accept_loss": false, "backup_retention": "7 days", "fillfactor": 100, "key_format": "confluent-avro", "max_record_bytes": 16777216,
      "cache": false, "conflict_resolution": "arrival", "rewind": "1 day", "rewind_from": "end_of_push", "tombstone_retention": "7 days", "history": false, "history_partition": "1 month", "max_lag": 1000, "max_lag_time": "1 minute", "max_rejected": 0, "on_duplicate": "error", "unlogged": false, "value_format": "confluent-avro",
      "version_topic": "{store}_v{version}", "versions_to_keep": 2, "write_mode": "full"}',
    'options have the defaults of the contract');
SELECT lives_ok($$SELECT venice.alter_store('contract_sample', '{"accept_loss": true, "backup_retention": "1 day", "cache": true, "cache_ttl": "1 hour", "conflict_resolution": "field", "fields": {"clicks": "c"},
    "rewind": "2 days", "rewind_from": "start_of_push", "tombstone_retention": "1 day", "fillfactor": 90, "history": true, "history_partition": "7 days", "history_retention": "1 year", "key_format": "value", "max_record_bytes": 1000, "max_lag": 1, "max_lag_time": "1 hour", "max_rejected": 1, "on_duplicate": "last", "real_time_topics": [], "owner": "contract_owner",
    "tablespace": "pg_default", "unlogged": true, "value_format": "json", "version_topic": "t", "versions_to_keep": 3, "write_mode": "partial",
    "ttl": "1 day", "storage_quota": 1000000, "write_quota": 100}')$$, 'and these are all');
SELECT throws_ok(format($$SELECT venice.alter_store('contract_sample', '{%s: null}')$$, to_json(name)), '22023', NULL,
    format('option %s is refused by name: it is of a later release', name))
  FROM unnest('{partitioner,partitions,ingest_mode}'::text[]) AS name;
SELECT lives_ok(format('SELECT venice.create_store(%L, %L, %L, options => %L)', 'contract_' || key || '_' || value, key_columns, value_columns,
                       json_build_object('key_format', key, 'value_format', value)),
    format('key_format takes %s, value_format %s', key, value))
  FROM (VALUES ('confluent-avro', 'k integer'), ('avro', '{"type": "record", "name": "k", "fields": [{"name": "k", "type": "int"}]}'),
               ('json', 'k integer'), ('text', 'k text'), ('int4', 'k integer'), ('int8', 'k bigint'), ('uuid', 'k uuid'), ('value', 'k integer')) AS k (key, key_columns),
       (VALUES ('confluent-avro', 'v integer'), ('avro', '{"type": "record", "name": "v", "fields": [{"name": "v", "type": "int"}]}'), ('json', 'v integer')) AS v (value, value_columns);
SELECT throws_ok($$SELECT venice.alter_store('contract_sample', '{"value_format": "venice"}')$$, '22023', NULL, 'not yet Venice''s own format');

-- The SQLSTATEs that programs branch on -------------------------------------------------------------------------------

SELECT throws_ok(statement, sqlstate, NULL, format('%s: %s', sqlstate, why)) FROM (VALUES
    ($$SELECT venice.create_store(NULL, 'a int', 'b int')$$, '22004', 'no name for a store'),
    ($$SELECT venice.create_store('a', NULL, 'b int')$$, '22004', 'no key'),
    ($$SELECT venice.create_store('a', 'a int', NULL)$$, '22004', 'no value'),
    ($$SELECT venice.alter_store(NULL)$$, '22004', 'no store to alter'),
    ($$SELECT venice.drop_store(NULL)$$, '22004', 'no store to drop'),
    ($$SELECT venice.rebuild_functions(NULL)$$, '22004', 'no store to make functions for'),
    ($$SELECT venice.register_value_schema('contract_sample', NULL)$$, '22004', 'no schema to register'),
    ($$SELECT venice.start_push(NULL)$$, '22004', 'no store to push to'),
    ($$SELECT venice.push('contract_sample', NULL)$$, '22004', 'no query to push'),
    ($$SELECT venice.end_push(NULL)$$, '22004', 'no store to end a push of'),
    ($$SELECT venice.abort_push(NULL)$$, '22004', 'no store to abort a push of'),
    ($$SELECT venice.swap_version('contract_sample', NULL)$$, '22004', 'no version to swap in'),
    ($$SELECT venice.rollback_version(NULL)$$, '22004', 'no store to roll back'),
    ($$SELECT venice.drop_version('contract_sample', NULL)$$, '22004', 'no version to drop'),
    ($$SELECT venice.check_server(NULL)$$, '22004', 'no server to check'),
    ($$SELECT venice.peek('contract_kafka', NULL)$$, '22004', 'no topic to look into'),
    ($$SELECT venice.push('no_such_store', 'SELECT 1')$$, '42704', 'no such store'),
    ($$SELECT venice.swap_version('contract_sample', 99)$$, '42704', 'no such version'),
    ($$SELECT venice.create_store('contract_sample', 'a int', 'b int')$$, '42710', 'there is such a store'),
    ($$SELECT venice.create_store('public', 'a int', 'b int')$$, '42P06', 'there is such a schema'),
    ($$SELECT venice.create_store('a_v2', 'a int', 'b int')$$, '42602', 'a reserved name'),
    ($$SELECT venice.create_store('a_history', 'a int', 'b int')$$, '42602', 'a reserved name'),
    ($$SELECT venice.create_store(repeat('a', 49), 'a int', 'b int')$$, '42602', 'a name too long'),
    ($$SELECT venice.create_store('a', 'a int', '_b int')$$, '42939', 'a column whose name is ours'),
    ($$SELECT venice.create_store('a', 'a int', 'b int', options => '{"colour": 1}')$$, '22023', 'no such option'),
    ($$SELECT venice.create_store('a', 'a int', 'b int', options => '{"fillfactor": 9}')$$, '22023', 'an option out of its range'),
    ($$SELECT venice.create_store('a', 'a int', 'b int', 'no_such_server')$$, '42704', 'no such server'),
    ($$SELECT venice.push('contract_sample', 'VALUES (true, ''x'', 1, 1, NULL::real[], 1)')$$, '42804', 'rows that do not fit'),
    ($$SELECT venice.end_push('contract_sample')$$, '55000', 'no push to end'),
    ($$SELECT venice.abort_push('contract_sample')$$, '55000', 'no push to abort'),
    ($$SELECT venice.rollback_version('contract_sample')$$, '55000', 'nothing to roll back to'),
    ($$SELECT venice.drop_version('contract_sample', 1)$$, '55000', 'the current version cannot be dropped'),
    ($$INSERT INTO contract_sample.records VALUES (2, 'de')$$, '55000', 'a complete version takes no plain DML'),
    ($$CALL venice.wait_for_push('contract_sample')$$, '25001', 'waiting in a transaction block'),
    ($$CALL venice.run_maintenance()$$, '25001', 'maintenance in a transaction block')
    ) AS refusal (statement, sqlstate, why);
SELECT throws_ok($$
    SELECT venice.alter_store('contract_sample', '{"on_duplicate": null, "unlogged": null}');
    SELECT venice.push('contract_sample', 'VALUES (1, ''x'', 1, 1, NULL::real[], 1), (1, ''x'', 1, 1, NULL, 1)')$$,
    '23505', NULL, '23505: duplicate keys');
SELECT throws_ok($$
    SELECT * FROM venice.start_push('contract_sample', 'one', '{"origin": "sql"}');
    SELECT * FROM venice.start_push('contract_sample', 'two', '{"origin": "sql"}')$$,
    '55006', NULL, '55006: a push is running');

-- Who may -----------------------------------------------------------------------------------------------------------

SET LOCAL ROLE contract_reader;
SELECT is_empty('SELECT store FROM venice.stores', 'a stranger sees no store');
SELECT throws_ok(statement, '42501', NULL, format('a stranger may not: %s', statement)) FROM (VALUES
    ($$SELECT venice.create_store('a', 'a int', 'b int')$$),
    ($$SELECT venice.alter_store('contract_sample')$$),
    ($$SELECT venice.drop_store('contract_sample')$$),
    ($$SELECT venice.register_value_schema('contract_sample', '"int"')$$),
    ($$SELECT venice.rebuild_functions('contract_sample')$$),
    ($$SELECT venice.start_push('contract_sample')$$),
    ($$SELECT venice.push('contract_sample', 'SELECT 1')$$),
    ($$SELECT venice.end_push('contract_sample')$$),
    ($$SELECT venice.abort_push('contract_sample')$$),
    ($$SELECT venice.swap_version('contract_sample', 1)$$),
    ($$SELECT venice.rollback_version('contract_sample')$$),
    ($$SELECT venice.drop_version('contract_sample', 1)$$),
    ($$SELECT venice.pause_ingestion('contract_sample')$$),
    ($$SELECT venice.pause_ingestion()$$),
    ($$SELECT venice.resume_ingestion('contract_sample')$$),
    ($$SELECT venice.resume_ingestion()$$),
    ($$SELECT venice.check_server('contract_kafka')$$),
    ($$SELECT venice.peek('contract_kafka', 'topic')$$),
    ($$SELECT * FROM contract_sample.get(1, 'de')$$),
    ($$TABLE venice.store$$)
    ) AS act (statement);
RESET ROLE;
GRANT USAGE ON SCHEMA contract_sample TO contract_reader;
GRANT SELECT (user_id, country, clicks, ctr, embedding, ordinality) ON contract_sample.records TO contract_reader;
SET LOCAL ROLE contract_reader;
SELECT isnt_empty('SELECT clicks FROM contract_sample.get(1, ''de'')', 'USAGE on the schema and SELECT on the columns are what a reader needs');
RESET ROLE;

SELECT finish();
ROLLBACK;
