-- Theme: every function and every view, as everybody there is: who may, and who sees.
-- A function that is missing here is an error: add it.

CREATE ROLE matrix_owner;
CREATE ROLE matrix_member IN ROLE matrix_owner;
CREATE ROLE matrix_heir NOINHERIT IN ROLE matrix_owner;
CREATE ROLE matrix_reader;
CREATE ROLE matrix_monitor IN ROLE pg_read_all_stats;
CREATE ROLE matrix_stranger;
CREATE ROLE matrix_dba;
-- Its certificate is refused at once, so that nobody waits for a broker.
CREATE SERVER matrix_kafka FOREIGN DATA WRAPPER venice_kafka
    OPTIONS (bootstrap_servers '127.0.0.1:1', security_protocol 'SSL', ssl_ca_pem 'none');
GRANT USAGE ON FOREIGN SERVER matrix_kafka TO matrix_owner;
GRANT CREATE ON DATABASE regression TO matrix_owner;
ALTER DATABASE regression OWNER TO matrix_dba;
REVOKE CREATE ON DATABASE regression FROM matrix_dba;

-- Nothing here is committed: no worker ever sees it.
BEGIN;
SET LOCAL client_min_messages = warning;
SET LOCAL ROLE matrix_owner;
SELECT venice.create_store('matrix', 'id integer', 'v integer, hidden integer');
SELECT venice.push('matrix', 'SELECT 1, 10, 100');
SELECT venice.push('matrix', 'SELECT 1, 20, 200');
SELECT venice.create_store('matrix_filling', 'id integer', 'v integer', 'matrix_kafka');
SELECT version FROM venice.start_push('matrix_filling');
SELECT venice.create_store('matrix_hybrid', 'id integer', 'v integer', options => '{"key_format": "json", "value_format": "json",
    "real_time_topics": [{"server": "matrix_kafka", "topic": "t"}]}');
SELECT matrix_hybrid.put(1, 2);
SELECT venice.create_project('matrix_team');
SELECT venice.create_entity('matrix_team.matrix_entity', 'id integer');
SELECT venice.create_source('matrix_source', store => 'matrix');
SELECT venice.create_store('matrix_viewed', 'id integer', 'v integer, hidden integer');
SELECT venice.create_source('matrix_viewed', store => 'matrix_viewed');
SELECT venice.create_entity('matrix_key', 'id integer');
SELECT venice.create_feature_view('matrix_view', '{matrix_key}', 'matrix_viewed', 'v');
SELECT venice.create_on_demand_view('matrix_twice', '{matrix_view}', 'v * 2 AS v2');
SELECT venice.create_label_view('matrix_label', '{matrix_key}', 'matrix_viewed', 'hidden', '1 day');
SELECT venice.create_feature_view('matrix_served', '{matrix_key}', 'matrix_viewed', 'v');
SELECT venice.create_service('matrix_service', '{matrix_served:v}');
SELECT venice.create_service('matrix_model', '{matrix_served:v}');
CREATE SCHEMA matrix_sets;
CREATE TABLE matrix_sets.event AS SELECT 1 AS id, now() AS at, 1 AS v;
SELECT venice.create_source('matrix_event', relation => 'matrix_sets.event', event_time => 'at');
SELECT venice.create_feature_view('matrix_past', '{matrix_key}', 'matrix_event', 'v', online => false);
SELECT venice.create_training_set('matrix_sets.made', 'SELECT 1 AS id, now() AS event_time', '{matrix_past:v}');
GRANT USAGE ON SCHEMA matrix_sets TO matrix_reader;
GRANT SELECT ON matrix_sets.made TO matrix_reader;
GRANT USAGE ON SCHEMA matrix_model TO matrix_reader;
GRANT USAGE ON SCHEMA matrix TO matrix_reader;
GRANT SELECT (id, v) ON matrix.records TO matrix_reader;
GRANT USAGE ON SCHEMA matrix_viewed TO matrix_reader;
GRANT SELECT (id, v) ON matrix_viewed.records TO matrix_reader;
RESET ROLE;
INSERT INTO venice.rejected_record (store_name, version, topic, partition, kafka_offset, key, value, sqlstate, error)
VALUES ('matrix', 2, 't', 0, 0, '\x01', '\x02', '22P02', 'secret');

INSERT INTO venice.served_feature (schema_oid, request_time, arguments, features)
VALUES ('matrix_model'::regnamespace, now(), '{}', '{}');
INSERT INTO venice.unlogged_partition_state (store_name, version, topic, partition) VALUES ('matrix', 2, 't', 0);

CREATE TEMP TABLE act (number integer GENERATED ALWAYS AS IDENTITY, function regproc, statement text);
GRANT SELECT ON act TO PUBLIC;
INSERT INTO act (function, statement) VALUES
    ('venice.create_store', $$SELECT venice.create_store('more', 'id integer', 'v integer')$$),
    ('venice.alter_store', $$SELECT venice.alter_store('matrix')$$),
    ('venice.drop_store', $$SELECT venice.drop_store('matrix')$$),
    ('venice.register_value_schema', $$SELECT venice.register_value_schema('matrix', '"int"', 1)$$),
    ('venice.rebuild_functions', $$SELECT venice.rebuild_functions('matrix')$$),
    ('venice.start_push', $$SELECT venice.start_push('matrix')$$),
    ('venice.end_push', $$SELECT venice.end_push('matrix_filling')$$),
    ('venice.abort_push', $$SELECT venice.abort_push('matrix_filling')$$),
    ('venice.push', $$SELECT venice.push('matrix', 'SELECT 1, 1, 1')$$),
    ('venice.incremental_push', $$SELECT venice.incremental_push('matrix', 'SELECT 1, 1, 1', 'matrix')$$),
    ('venice.repush', $$SELECT venice.repush('matrix')$$),
    ('venice.swap_version', $$SELECT venice.swap_version('matrix', 1)$$),
    ('venice.rollback_version', $$SELECT venice.rollback_version('matrix')$$),
    ('venice.warm', $$SELECT venice.warm('matrix')$$),
    ('venice.drop_version', $$SELECT venice.drop_version('matrix', 1)$$),
    ('venice.pause_ingestion', $$SELECT venice.pause_ingestion('matrix')$$),
    ('venice.pause_ingestion', $$SELECT venice.pause_ingestion()$$),
    ('venice.resume_ingestion', $$SELECT venice.resume_ingestion('matrix')$$),
    ('venice.resume_ingestion', $$SELECT venice.resume_ingestion()$$),
    ('venice.check_server', $$SELECT venice.check_server('matrix_kafka')$$),
    ('venice.peek', $$SELECT venice.peek('matrix_kafka', 't')$$),
    ('venice.create_project', $$SELECT venice.create_project('matrix_more', 'matrix_owner')$$),
    ('venice.alter_project', $$SELECT venice.alter_project('matrix_team', '{}')$$),
    ('venice.alter_project', $$SELECT venice.alter_project('default', '{}')$$),
    ('venice.drop_project', $$SELECT venice.drop_project('matrix_team', force => true)$$),
    ('venice.create_entity', $$SELECT venice.create_entity('matrix_team.more', 'id integer')$$),
    ('venice.create_entity', $$SELECT venice.create_entity('matrix_more', 'id integer')$$),
    ('venice.alter_entity', $$SELECT venice.alter_entity('matrix_team.matrix_entity', '{}')$$),
    ('venice.drop_entity', $$SELECT venice.drop_entity('matrix_team.matrix_entity')$$),
    ('venice.create_source', $$SELECT venice.create_source('matrix_more', store => 'matrix')$$),
    ('venice.alter_source', $$SELECT venice.alter_source('matrix_source', '{}')$$),
    ('venice.drop_source', $$SELECT venice.drop_source('matrix_source')$$),
    ('venice.create_feature_view', $$SELECT venice.create_feature_view('matrix_more', '{matrix_key}', 'matrix_source')$$),
    ('venice.alter_feature_view', $$SELECT venice.alter_feature_view('matrix_view')$$),
    ('venice.alter_feature_view', $$SELECT venice.alter_feature_view('matrix_view', new_version => true)$$),
    ('venice.drop_feature_view', $$SELECT venice.drop_feature_view('matrix_view', force => true)$$),
    ('venice.create_on_demand_view', $$SELECT venice.create_on_demand_view('matrix_more', '{matrix_view}', 'v + 1 AS v1')$$),
    ('venice.alter_on_demand_view', $$SELECT venice.alter_on_demand_view('matrix_twice')$$),
    ('venice.drop_on_demand_view', $$SELECT venice.drop_on_demand_view('matrix_twice')$$),
    ('venice.create_label_view', $$SELECT venice.create_label_view('matrix_more', '{matrix_key}', 'matrix_source', 'v', '1 day')$$),
    ('venice.alter_label_view', $$SELECT venice.alter_label_view('matrix_label')$$),
    ('venice.drop_label_view', $$SELECT venice.drop_label_view('matrix_label')$$),
    ('venice.deprecate', $$SELECT venice.deprecate('matrix_view')$$),
    ('venice.grant_feature', $$SELECT venice.grant_feature('matrix_view:v', 'matrix_stranger')$$),
    ('venice.revoke_feature', $$SELECT venice.revoke_feature('matrix_view:v', 'matrix_reader')$$),
    ('venice.create_service', $$SELECT venice.create_service('matrix_more', '{matrix_served:v}')$$),
    ('venice.alter_service', $$SELECT venice.alter_service('matrix_service')$$),
    ('venice.alter_service', $$SELECT venice.alter_service('matrix_model')$$),
    ('venice.move_service', $$SELECT venice.move_service('matrix_service', 'matrix_served@1')$$),
    ('venice.drop_service', $$SELECT venice.drop_service('matrix_service')$$),
    ('venice.log_service', $$SELECT venice.log_service('matrix_service', 0)$$),
    ('venice.get_online_features', $$SELECT venice.get_online_features('{matrix_service}', '{"id": 1}')$$),
    ('venice.get_online_features', $$SELECT venice.get_online_features('{matrix_model}', '{"id": 1}')$$),
    ('venice.get_online_features', $$SELECT venice.get_online_features('{matrix_served:v}', '{"id": 1}')$$),
    ('matrix_service.get', $$SELECT * FROM matrix_service.get(1)$$),
    ('matrix_service.batch_get', $$SELECT * FROM matrix_service.batch_get('{1}')$$),
    ('matrix_model.get', $$SELECT * FROM matrix_model.get(1)$$),
    ('matrix_model.as_of', $$SELECT * FROM matrix_model.as_of(1, now())$$),
    ('venice_internal.service_as_of', $$SELECT * FROM venice_internal.service_as_of('default.matrix_service', 1, now()) AS r (v integer, _status jsonb)$$),
    ('venice.check_consistency', $$SELECT venice.check_consistency('matrix_model')$$),
    ('venice_internal.service_get', $$SELECT * FROM venice_internal.service_get('default.matrix_service', 1) AS r (v integer, _status jsonb)$$),
    ('venice_internal.service_batch_get', $$SELECT * FROM venice_internal.service_batch_get('default.matrix_model', '{1}'::integer[]) AS r (n bigint, id int, v int, s jsonb)$$),
    ('venice.get_historical_features', $$SELECT * FROM venice.get_historical_features('SELECT 1 AS id, now() AS event_time', '{matrix_past:v}') AS r (id integer, event_time timestamptz, v integer)$$),
    ('venice.historical_features_query', $$SELECT venice.historical_features_query('SELECT 1 AS id, now() AS event_time', '{matrix_past:v}')$$),
    ('venice.explain_historical_features', $$SELECT venice.explain_historical_features('SELECT 1 AS id, now() AS event_time', '{matrix_past:v}')$$),
    ('venice.compact_history', $$SELECT venice.compact_history('matrix_view')$$),
    ('venice.create_training_set', $$SELECT venice.create_training_set('matrix_sets.more', 'SELECT 1 AS id, now() AS event_time', '{matrix_past:v}')$$),
    ('venice.refresh_training_set', $$SELECT venice.refresh_training_set('matrix_sets.made')$$),
    ('venice.extend_training_set', $$SELECT venice.extend_training_set('matrix_sets.made', 'SELECT 2 AS id, now() AS event_time')$$),
    ('venice.compare_training_sets', $$SELECT venice.compare_training_sets('matrix_sets.made', 'matrix_sets.made')$$),
    ('venice.search', $$SELECT venice.search('matrix')$$),
    ('venice.describe', $$SELECT venice.describe('matrix_view')$$),
    ('venice.upstream', $$SELECT venice.upstream('matrix_view')$$),
    ('venice.downstream', $$SELECT venice.downstream('matrix_view:v')$$),
    ('venice.lineage_dot', $$SELECT venice.lineage_dot('matrix_service')$$),
    ('venice.export', $$SELECT venice.export()$$),
    ('venice.plan', $$SELECT venice.plan('{"entities": [{"name": "matrix_team.matrix_entity", "keys": "id integer", "description": "planned"}]}')$$),
    ('venice.apply', $$SELECT venice.apply('{"entities": [{"name": "matrix_team.matrix_entity", "keys": "id integer", "description": "applied"}]}')$$),
    -- In a transaction block both say so before anything else; see below.
    ('venice.wait_for_push', $$CALL venice.wait_for_push('matrix')$$),
    ('venice.run_maintenance', $$CALL venice.run_maintenance()$$),
    ('venice_internal.get', $$SELECT * FROM venice_internal.get('matrix', 1) AS r (v integer)$$),
    ('venice_internal.get', $$SELECT * FROM venice_internal.get('matrix', 1) AS r (hidden integer)$$),
    ('venice_internal.batch_get', $$SELECT * FROM venice_internal.batch_get('matrix', '{1}'::integer[]) AS r (ordinality bigint, v integer)$$),
    ('venice_internal.batch_get', $$SELECT * FROM venice_internal.batch_get('matrix', '{1}'::integer[]) AS r (ordinality bigint, hidden integer)$$),
    ('venice_internal.get_packed', $$SELECT venice_internal.get_packed('matrix', 1)$$),
    ('venice_internal.batch_get_packed', $$SELECT venice_internal.batch_get_packed('matrix', '{1}'::integer[])$$),
    ('venice_internal.compute', $$SELECT * FROM venice_internal.compute('matrix', 'dot_product', 'v', '{1}', '{1}'::integer[]) AS r (ordinality bigint, id integer, result real)$$),
    ('venice_internal.compute_packed', $$SELECT venice_internal.compute_packed('matrix', 'dot_product', 'v', '{1}', '{1}'::integer[])$$),
    ('venice_internal.top_k', $$SELECT * FROM venice_internal.top_k('matrix', 'dot_product', 'v', '{1}', 1, NULL::integer[]) AS r (id integer, result real)$$),
    ('matrix.get', $$SELECT * FROM matrix.get(1)$$),
    ('matrix.batch_get', $$SELECT * FROM matrix.batch_get('{1}')$$),
    ('matrix.get_packed', $$SELECT matrix.get_packed(1)$$),
    ('matrix.compute', $$SELECT * FROM matrix.compute('dot_product', 'v', '{1}', '{1}')$$),
    ('matrix.compute_packed', $$SELECT matrix.compute_packed('dot_product', 'v', '{1}', '{1}')$$),
    ('matrix.top_k', $$SELECT * FROM matrix.top_k('dot_product', 'v', '{1}', 1)$$),
    ('matrix.batch_get_packed', $$SELECT matrix.batch_get_packed('{1}')$$),
    ('venice_internal.put', $$SELECT venice_internal.put('matrix', '{id,v}', NULL, 1, 1)$$),
    ('venice_internal.update', $$SELECT venice_internal.update('matrix', '{id}', NULL, '{"v": 1}', 1)$$),
    ('venice_internal.delete', $$SELECT venice_internal.delete('matrix', '{id}', NULL, 1)$$),
    ('matrix.put', $$SELECT matrix.put(1, 1, 1)$$),
    ('matrix.update', $$SELECT matrix.update(1, '{"v": 1}')$$),
    ('matrix.delete', $$SELECT matrix.delete(1)$$),
    ('venice_internal.extension_created', $$SELECT venice_internal.extension_created()$$),
    ('venice_internal.forget_row', $$SELECT venice_internal.forget_row()$$),
    ('venice_internal.refuse_direct_dml', $$SELECT venice_internal.refuse_direct_dml()$$),
    ('venice_internal.refuse_server_drop', $$SELECT venice_internal.refuse_server_drop()$$),
    ('venice_internal.forget_training_sets', $$SELECT venice_internal.forget_training_sets()$$),
    -- These tell nothing that is not the caller's: what they answer is below.
    ('venice_internal.is_store_member', $$SELECT venice_internal.is_store_member('matrix')$$),
    ('venice_internal.is_entry_member', $$SELECT venice_internal.is_entry_member('matrix_owner')$$),
    ('venice_internal.can_read', $$SELECT venice_internal.can_read('matrix.records'::regclass)$$),
    ('venice_internal.is_entry_member_as', $$SELECT venice_internal.is_entry_member_as('matrix_owner', 10)$$),
    ('venice_internal.can_read_as', $$SELECT venice_internal.can_read_as('matrix.records'::regclass, 10)$$),
    ('venice_internal.lineage', $$SELECT venice_internal.lineage()$$),
    ('venice_internal.can_see_statistics', $$SELECT venice_internal.can_see_statistics('matrix')$$),
    ('venice_internal.ingestion_units', $$SELECT venice_internal.ingestion_units()$$),
    ('venice_internal.read_statistics', $$SELECT venice_internal.read_statistics()$$),
    ('venice_internal.served_statistics', $$SELECT venice_internal.served_statistics()$$),
    ('venice_internal.build_progress', $$SELECT venice_internal.build_progress()$$),
    ('venice_internal.outboxes', $$SELECT venice_internal.outboxes()$$),
    ('venice_internal.join_progress', $$SELECT venice_internal.join_progress()$$),
    ('venice_internal.unlogged_partition_states', $$SELECT venice_internal.unlogged_partition_states()$$),
    -- These read the tables for a role that is given.
    ('venice_internal.readable_views', $$SELECT venice_internal.readable_views(10)$$),
    ('venice_internal.entries', $$SELECT venice_internal.entries(10)$$),
    ('venice_internal.entries_named', $$SELECT venice_internal.entries_named(10, 'default', NULL, 'matrix_view', 0)$$),
    ('venice_internal.search_entries', $$SELECT venice_internal.search_entries(10, NULL, NULL, 1, NULL)$$),
    ('venice_internal.words_like', $$SELECT venice_internal.words_like('{matrix}')$$),
    ('venice_internal.visible_lineage', $$SELECT venice_internal.visible_lineage(10)$$),
    ('venice_internal.lineage_nodes', $$SELECT venice_internal.lineage_nodes(10, 'default', NULL, 'matrix_view', 0, NULL, NULL, NULL, NULL)$$),
    ('venice_internal.readers', $$SELECT venice_internal.readers('matrix')$$),
    ('venice_internal.describe_store', $$SELECT venice_internal.describe_store('matrix')$$),
    ('venice_internal.describe_training_set', $$SELECT venice_internal.describe_training_set('matrix_sets', 'made')$$),
    ('venice_internal.push_statement', $$SELECT venice_internal.push_statement('default', 'matrix_view', 1)$$),
    ('venice_internal.users_of', $$SELECT venice_internal.users_of(10, 'view', 'default', 'matrix_view', 1)$$),
    ('venice_internal.describe', $$SELECT venice_internal.describe(10, 'default', NULL, 'matrix_view', 0, NULL)$$),
    ('venice_internal.project_definition', $$SELECT venice_internal.project_definition(NULL)$$),
    ('venice_internal.entity_definition', $$SELECT venice_internal.entity_definition(NULL)$$),
    ('venice_internal.source_definition', $$SELECT venice_internal.source_definition(NULL)$$),
    ('venice_internal.view_definition', $$SELECT venice_internal.view_definition(NULL)$$),
    ('venice_internal.service_definition', $$SELECT venice_internal.service_definition(NULL, 'matrix')$$),
    ('venice_internal.definition_object', $$SELECT venice_internal.definition_object('{}', 'name', 'matrix')$$),
    ('venice_internal.export', $$SELECT venice_internal.export(10, NULL)$$),
    -- And these nothing about stores but what everybody may read in pg_catalog.
    ('venice_internal.dependents', $$SELECT venice_internal.dependents('pg_class'::regclass)$$),
    ('venice_internal.node_is_known', $$SELECT venice_internal.node_is_known()$$),
    ('venice_internal.system_identifier', $$SELECT venice_internal.system_identifier()$$),
    ('venice_internal.next_arrival', $$SELECT venice_internal.next_arrival()$$),
    ('venice_internal.effective_options', $$SELECT venice_internal.effective_options('{}')$$),
    ('venice_internal.kafka_validator', $$SELECT venice_internal.kafka_validator('{bootstrap_servers=b}', 'pg_foreign_server'::regclass)$$);

-- No function is missing above, but for arithmetic.
SELECT p.oid::regprocedure AS untested FROM pg_proc p
 WHERE p.pronamespace IN ('venice'::regnamespace, 'venice_internal'::regnamespace, 'matrix'::regnamespace)
   AND p.oid NOT IN (SELECT function::oid FROM act) AND p.provolatile <> 'i'
 ORDER BY 1;

-- What a statement comes to as somebody, leaving no trace.
CREATE FUNCTION pg_temp.try_as(who name, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('role', who, true);
    EXECUTE statement;
    RAISE SQLSTATE 'VVVVV';
EXCEPTION
    WHEN SQLSTATE 'VVVVV' THEN RETURN 'may';
    WHEN OTHERS THEN RETURN CASE SQLSTATE WHEN '42501' THEN '-' ELSE SQLSTATE END;
END$$;

-- A dash is 42501, insufficient privilege; another code is why it was refused to who may.
SELECT substr(statement, position('venice' in statement)) AS statement,
       pg_temp.try_as('matrix_owner', statement) AS owner, pg_temp.try_as('matrix_member', statement) AS member,
       pg_temp.try_as('matrix_heir', statement) AS heir, pg_temp.try_as('matrix_reader', statement) AS reader,
       pg_temp.try_as('matrix_monitor', statement) AS monitor, pg_temp.try_as('matrix_stranger', statement) AS stranger,
       pg_temp.try_as('matrix_dba', statement) AS dba
  FROM act ORDER BY number;

-- How many rows of each view somebody sees.
SET LOCAL ROLE matrix_owner;
CREATE SCHEMA matrix_around;
CREATE MATERIALIZED VIEW matrix_around.stays AS SELECT v FROM matrix.records;
RESET ROLE;
CREATE FUNCTION pg_temp.ask_as(who name, query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    PERFORM set_config('role', who, true);
    EXECUTE query INTO answer;
    PERFORM set_config('role', 'none', true);
    RETURN answer;
END$$;
SELECT relname AS view, pg_temp.ask_as('matrix_owner', query) AS owner, pg_temp.ask_as('matrix_member', query) AS member,
       pg_temp.ask_as('matrix_heir', query) AS heir, pg_temp.ask_as('matrix_reader', query) AS reader,
       pg_temp.ask_as('matrix_monitor', query) AS monitor, pg_temp.ask_as('matrix_stranger', query) AS stranger,
       pg_temp.ask_as('matrix_dba', query) AS dba
  FROM pg_class, format('SELECT count(*) FROM venice.%I AS v WHERE COALESCE(to_jsonb(v) ->> ''service'', to_jsonb(v) ->> ''view'', to_jsonb(v) ->> ''name'', to_jsonb(v) ->> ''to_name'', to_jsonb(v) ->> ''store'') ~ ''^(default.)?matrix''', relname) AS query
 WHERE relnamespace = 'venice'::regnamespace AND relkind = 'v' ORDER BY 1;
DROP MATERIALIZED VIEW matrix_around.stays;
SELECT who, pg_temp.ask_as(who, 'SELECT venice_internal.is_store_member(''matrix'')') AS is_member,
       pg_temp.ask_as(who, 'SELECT venice_internal.can_see_statistics(''matrix'')') AS sees_statistics,
       pg_temp.ask_as(who, 'SELECT count(*) FROM venice_internal.unlogged_partition_states() AS p WHERE p::text ~ ''matrix''') AS unlogged_states
  FROM unnest('{matrix_owner,matrix_member,matrix_heir,matrix_reader,matrix_monitor,matrix_stranger,matrix_dba}'::name[]) AS who;

-- Nobody but a superuser reads or writes a table of ours; the database's owner may read and restore what is dumped.
SELECT relname AS relation, pg_temp.try_as('matrix_owner', 'TABLE venice.' || relname) AS owner,
       pg_temp.try_as('matrix_monitor', 'TABLE venice.' || relname) AS monitor,
       pg_temp.try_as('matrix_dba', 'TABLE venice.' || relname) AS dba,
       pg_temp.try_as('matrix_dba', 'DELETE FROM venice.' || relname) AS dba_deletes
  FROM pg_class WHERE relnamespace = 'venice'::regnamespace AND relkind = 'r' ORDER BY 1;

-- A cheap function in somebody's WHERE is not shown what a view withholds.
CREATE FUNCTION pg_temp.spy(text) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$BEGIN RAISE WARNING 'saw %', $1; RETURN true; END$$;
SET LOCAL ROLE matrix_stranger;
SELECT count(*) FROM venice.rejected_records WHERE pg_temp.spy(error);
SELECT count(*) FROM venice.stores WHERE pg_temp.spy(store::text);
SELECT count(*) FROM venice.entities WHERE pg_temp.spy(name::text);
SELECT count(*) FROM venice.audit WHERE pg_temp.spy(name);
SELECT count(*) FROM venice.feature_views WHERE pg_temp.spy(name::text);
SELECT count(*) FROM venice.features WHERE pg_temp.spy(name::text);
RESET ROLE;

-- NOINHERIT: what the owner may, after SET ROLE.
SET LOCAL SESSION AUTHORIZATION matrix_heir;
SELECT count(*) FROM venice.stores;
SET LOCAL ROLE matrix_owner;
SELECT count(*) FROM venice.stores;
SELECT venice.push('matrix', 'SELECT 1, 30, 300') IS NOT NULL AS pushed;
RESET SESSION AUTHORIZATION;

-- Row security decides what a reader gets, and an owner is not exempt where he says so.
SET LOCAL ROLE matrix_owner;
SELECT venice.push('matrix', 'SELECT n, n * 10, 0 FROM generate_series(1, 4) n') IS NOT NULL AS pushed;
ALTER TABLE matrix.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY even ON matrix.records FOR SELECT TO matrix_reader USING (id % 2 = 0);
GRANT SELECT ON matrix.records TO matrix_reader, matrix_member;
SET LOCAL ROLE matrix_reader;
SELECT n, g.v FROM generate_series(1, 4) n LEFT JOIN LATERAL matrix.get(n) g ON true ORDER BY 1;
SELECT ordinality, id FROM matrix.batch_get('{4,3,2,1}');
SET LOCAL row_security = off;
SAVEPOINT off;
SELECT * FROM matrix.get(2);
ROLLBACK TO off;
RESET row_security;
SET LOCAL ROLE matrix_owner;
SELECT count(*) FROM matrix.batch_get('{4,3,2,1}');
ALTER TABLE matrix.records FORCE ROW LEVEL SECURITY;
SELECT count(*) FROM matrix.batch_get('{4,3,2,1}');
ROLLBACK;

-- The procedures, which need a session of their own.
SET ROLE matrix_owner;
SELECT venice.create_store('matrix', 'id integer', 'v integer');
SELECT venice.push('matrix', 'SELECT 1, 10');
CALL venice.wait_for_push('matrix');
CALL venice.run_maintenance();
SET ROLE matrix_member;
CALL venice.wait_for_push('matrix');
SET ROLE matrix_heir;
CALL venice.wait_for_push('matrix');
SET ROLE matrix_stranger;
CALL venice.wait_for_push('matrix');
CALL venice.run_maintenance();
SET ROLE matrix_dba;
CALL venice.wait_for_push('matrix');
CALL venice.run_maintenance();
RESET ROLE;

-- A restored database ingests again when its owner or a superuser says so, and for nobody else.
CREATE TEMP TABLE node AS TABLE venice.node;
DELETE FROM venice.node;
SET ROLE matrix_owner;
SELECT venice.resume_ingestion();
SELECT venice_internal.node_is_known();
SET ROLE matrix_dba;
SELECT venice.resume_ingestion();
SELECT venice_internal.node_is_known();
RESET ROLE;
DELETE FROM venice.node;
INSERT INTO venice.node SELECT * FROM node;

SELECT venice.drop_store('matrix', force => true);
SELECT format('ALTER DATABASE regression OWNER TO %I', current_user) \gexec
REVOKE CREATE ON DATABASE regression FROM matrix_owner;
DROP SERVER matrix_kafka CASCADE;
DROP ROLE matrix_member, matrix_heir, matrix_owner, matrix_reader, matrix_monitor, matrix_stranger, matrix_dba;
