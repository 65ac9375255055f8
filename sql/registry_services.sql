-- Theme: services: what their functions return, to whom, and what becomes of them when something changes underneath.

CREATE ROLE services_team;
CREATE ROLE services_other;
CREATE ROLE services_api;
GRANT CREATE ON DATABASE regression TO services_team, services_other;
SET ROLE services_team;
CREATE SCHEMA services_data;
CREATE TABLE services_data.flights (carrier text, delay double precision, n integer, at timestamptz);
CREATE TABLE services_data.observations (station text, temp double precision, carrier_hint text);
SELECT venice.create_entity('svc_carrier', 'carrier text');
SELECT venice.create_entity('svc_station', 'station text');
SELECT venice.create_source('svc_flights', relation => 'services_data.flights', event_time => 'at');
SELECT venice.create_source('svc_observations', relation => 'services_data.observations');
SELECT venice.create_feature_view('svc_carriers', '{svc_carrier}', 'svc_flights', 'delay AS avg_delay, n AS flights', ttl => '7 days');
SELECT venice.create_feature_view('svc_weather', '{svc_station}', 'svc_observations', 'temp');
SELECT venice.create_on_demand_view('svc_ratio', '{svc_carriers:avg_delay}', 'avg_delay / nullif(distance, 0) AS per_mile, 100 / flights_to_come AS share',
                                    request => 'distance double precision, flights_to_come integer');
SELECT venice.push('svc_carriers', $$VALUES ('UA', 12.5::float8, 3, now()), ('AA', 1, 1, now() - interval '8 days'), ('DL', NULL, 7, now())$$);
SELECT venice.push('svc_weather', $$VALUES ('EWR', 20.5::float8), ('JFK', 1)$$);

-- Arguments are the keys in order of appearance, as joins call them, then what is requested; features keep their order and types.
SELECT venice.create_service('svc_model', '{svc_carriers:*, origin:temp, svc_ratio:per_mile}',
    '{"model": "arrival", "description": "arrival delay", "joins": [{"view": "svc_weather", "alias": "origin", "keys": {"station": "origin"}}],
      "defaults": {"temp": -1}}');
SELECT proname, pg_get_function_arguments(oid) AS arguments, pg_get_function_result(oid) AS result
  FROM pg_proc WHERE pronamespace = 'svc_model'::regnamespace ORDER BY 1;
SELECT name, project, owner, schema, features, arguments, model, description, options FROM venice.services;
SELECT position, name, type, view, view_version, feature, alias, keys, default_value FROM venice.service_features ORDER BY 1;
SELECT obj_description('svc_model'::regnamespace, 'pg_namespace');

-- Every status is told from the others, and only what is not present is told; a default stands for what is not there.
SELECT * FROM svc_model.get('UA', 'EWR', 1000, 1);
SELECT * FROM svc_model.get('UA', 'nowhere', 0, 1);
SELECT * FROM svc_model.get('AA', NULL, 1000, 1);
SELECT * FROM svc_model.get('DL', 'JFK', distance => 1000, flights_to_come => 1);
SELECT * FROM svc_model.get(NULL, NULL, NULL, NULL);

-- batch_get has a row for each element, in input order; nothing is no rows.
SELECT * FROM svc_model.batch_get('{DL,UA,ZZ,UA}', '{EWR,JFK,EWR,NULL}', '{1,2,3,NULL}', '{1,1,1,1}');
SELECT * FROM svc_model.batch_get('{}', '{}', '{}', '{}');
SELECT * FROM svc_model.batch_get(NULL, '{EWR}', '{1}', '{1}');
SELECT * FROM svc_model.batch_get('{UA}', '{EWR,JFK}', '{1}', '{1}');

-- An error of an on-demand expression says whose it is.
SELECT venice.create_service('svc_share', '{svc_ratio:share}');
SELECT * FROM svc_share.get('UA', 1, 5);
\set VERBOSITY default
\set SHOW_CONTEXT always
SELECT * FROM svc_share.get('UA', 1, 0);
\set SHOW_CONTEXT errors
SELECT venice.drop_service('svc_share');

-- The generic function says the same, in rows, of services, views and features; keys that are not there are missed by name.
SELECT ordinality, feature, value, event_time IS NOT NULL AS has_time, status
  FROM venice.get_online_features('{svc_model}', '[{"carrier": "UA", "origin": "EWR", "distance": 1000, "flights_to_come": 1},
                                                   {"carrier": "AA", "origin": null, "distance": null, "flights_to_come": null}]');
SELECT ordinality, feature, value, status
  FROM venice.get_online_features('{svc_weather, svc_model, svc_carriers:flights}',
                                  '{"carrier": "DL", "station": "JFK", "origin": "EWR", "distance": 1, "flights_to_come": 1}');
SELECT feature, value, status
  FROM venice.get_online_features('{svc_carriers, origin:temp}', '{"carrier": "UA", "from": "EWR"}',
                                  '{"full_names": true, "joins": [{"view": "svc_weather", "alias": "origin", "keys": {"station": "from"}}]}');
SELECT * FROM venice.get_online_features('{svc_model}', '{"carrier": "UA"}');
SELECT * FROM venice.get_online_features('{svc_model}', '[{"carrier": "UA", "origin": "EWR", "flights_to_come": 1}]');
-- A value that is none of its type is told by its name, and by the number of its entity.
SELECT * FROM venice.get_online_features('{svc_ratio}', '{"carrier": "UA", "distance": "far", "flights_to_come": 1}');
SELECT venice.create_entity('svc_number', 'n integer');
SELECT venice.create_feature_view('svc_numbered', '{svc_number}', 'svc_flights', 'delay');
SELECT * FROM venice.get_online_features('{svc_numbered}', '[{"n": 1}, {"n": "one"}]');
SELECT * FROM venice.get_online_features('{svc_numbered}', '[{"n": 12345678901}]');
SELECT count(*) FROM venice.get_online_features('{svc_numbered}', '[{"n": 1}, {"n": "2"}, {"n": null}]');
SELECT venice.drop_feature_view('svc_numbered');
SELECT venice.drop_entity('svc_number');
SELECT * FROM venice.get_online_features('{svc_model}', '"UA"');
SELECT * FROM venice.get_online_features('{svc_model}', '["UA"]');
SELECT * FROM venice.get_online_features('{svc_nothing}', '[]');
SELECT * FROM venice.get_online_features('{svc_model}', '[]');
SELECT * FROM venice.get_online_features('{svc_model}', '[]', '{"full_name": true}');

-- A request column that is an array has a row of a two-dimensional one in batch_get.
SELECT venice.create_on_demand_view('svc_near', '{svc_carriers:avg_delay}', 'venice.dot_product(query, query) + 0 * avg_delay AS norm', request => 'query real[]');
SELECT venice.create_service('svc_vector', '{svc_near:norm}');
SELECT * FROM svc_vector.get('UA', '{3,4}');
SELECT * FROM svc_vector.batch_get('{UA,UA}', '{{3,4},{6,8}}');
SELECT * FROM svc_vector.batch_get('{UA}', '{3}');
SELECT venice.drop_service('svc_vector');

-- Names of ours give way to those of features.
CREATE TABLE services_data.clash (carrier text, ordinality integer, value integer);
SELECT venice.create_source('svc_clash', relation => 'services_data.clash');
SELECT venice.create_entity('svc_clashing', 'value integer');
SELECT venice.create_feature_view('svc_clashes', '{svc_clashing}', 'svc_clash', 'carrier AS ordinality');
SELECT venice.create_service('svc_clash', '{svc_clashes}');
SELECT pg_get_function_result('svc_clash.batch_get'::regproc);
SELECT venice.drop_service('svc_clash');

-- What cannot be a service is refused by the name of what is wrong.
SELECT venice.create_service('svc_bad', '{}');
SELECT venice.create_service('svc_bad', '{svc_nothing:x}');
SELECT venice.create_service('svc_bad', '{svc_carriers:nothing}');
SELECT venice.create_service('svc_bad', '{svc_carriers:flights,svc_carriers:*}');
SELECT venice.create_service('svc_bad', '{a:temp,b:temp}', '{"joins": [{"view": "svc_weather", "alias": "a"}, {"view": "svc_weather", "alias": "b", "keys": {"station": "other"}}]}');
SELECT venice.create_service('svc_bad', '{a:temp}', '{"joins": [{"view": "svc_weather", "alias": "a", "keys": {"gate": "x"}}]}');
SELECT venice.create_service('svc_bad', '{a:temp}', '{"joins": [{"view": "svc_weather", "alias": "a", "keys": {"station": "_x"}}]}');
SELECT venice.create_service('svc_bad', '{a:temp}', '{"joins": [{"view": "svc_weather", "name": "a"}]}');
SELECT venice.create_service('svc_bad', '{a:temp}', '{"joins": {"view": "svc_weather"}}');
SELECT venice.create_service('svc_bad', '{svc_weather:temp}', '{"defaults": {"tmp": 1}}');
SELECT venice.create_service('svc_bad', '{svc_weather:temp}', '{"defaults": {"temp": "warm"}}');
SELECT venice.create_service('svc_bad', '{svc_weather:temp}', '{"models": "x"}');
SELECT venice.create_service('svc_bad', '{svc_weather:temp}', '{"log_fraction": 2}');
\set VERBOSITY sqlstate
SELECT venice.create_service('svc_bad', '{svc_weather:temp}', '{"owner": "services_other"}');
\set VERBOSITY default
SELECT venice.create_service('svc_model', '{svc_weather:temp}');
SELECT venice.create_service('svc_weather', '{svc_weather:temp}');
SELECT venice.create_service('services_data', '{svc_weather:temp}');
SELECT venice.create_service('svc_bad@2', '{svc_weather:temp}');
SELECT count(*) FROM pg_namespace WHERE nspname = 'svc_bad';

-- Two joins of one view are two look-ups, which full_names tells apart.
SELECT venice.create_service('svc_route', '{a:temp,b:temp}',
    '{"full_names": true, "joins": [{"view": "svc_weather", "alias": "a", "keys": {"station": "origin"}}, {"view": "svc_weather", "alias": "b", "keys": {"station": "destination"}}]}');
SELECT * FROM svc_route.get('EWR', 'JFK');
SELECT * FROM svc_route.get(destination => 'EWR', origin => 'nowhere');

-- A caller needs USAGE on the schema and nothing else; who may see the service may not see what it reads.
SET ROLE services_api;
SELECT * FROM svc_model.get('UA', 'EWR', 1000, 1);
SELECT * FROM venice_internal.service_get('default.svc_model', 'UA'::text, 'EWR'::text, 1000::float8, 1)
    AS record(avg_delay float8, flights integer, temp float8, per_mile float8, _status jsonb);
SELECT * FROM venice.get_online_features('{svc_model}', '[]');
SELECT name FROM venice.services;
SET ROLE services_team;
GRANT USAGE ON SCHEMA svc_model TO services_api;
SET ROLE services_api;
SELECT * FROM svc_model.get('UA', 'EWR', 1000, 1);
SELECT count(*) FROM venice.get_online_features('{svc_model}', '[]');
SELECT name FROM venice.services;
SELECT * FROM svc_carriers.get('UA');
SELECT venice.alter_service('svc_model', '{"description": "mine"}');
SELECT venice.move_service('svc_model', 'svc_carriers@2');
SELECT venice.drop_service('svc_model');
SELECT venice.log_service('svc_model', 1);

-- Called by hand with other types or columns it is refused, not believed.
SELECT * FROM venice_internal.service_get('default.svc_model', 1, 'EWR'::text, 1000::float8, 1)
    AS record(avg_delay float8, flights integer, temp float8, per_mile float8, _status jsonb);
SELECT * FROM venice_internal.service_get('default.svc_model', 'UA'::text, 'EWR'::text, 1000::float8, 1)
    AS record(avg_delay text, flights integer, temp float8, per_mile float8, _status jsonb);
SELECT * FROM venice_internal.service_get('default.svc_model', 'UA'::text, 'EWR'::text, 1000::float8, 1)
    AS record(avg_delay float8);
SELECT * FROM venice_internal.service_get('svc_model', 'UA'::text) AS record(a integer);
RESET ROLE;

-- A service reads with its owner's rights, at each call: what he may not read any more, it does not answer.
GRANT USAGE ON SCHEMA svc_weather TO services_other;
GRANT SELECT (station, temp) ON svc_weather.records TO services_other;
SET ROLE services_other;
SELECT venice.create_service('svc_shared', '{svc_weather:temp}');
SELECT * FROM svc_shared.get('EWR');
SELECT venice.create_service('svc_denied', '{svc_carriers:flights}');
RESET ROLE;
REVOKE SELECT (temp) ON svc_weather.records FROM services_other;
SELECT * FROM svc_shared.get('EWR');
SET ROLE services_other;
SELECT * FROM svc_shared.get('EWR');
RESET ROLE;
GRANT SELECT (temp) ON svc_weather.records TO services_other;
SELECT * FROM svc_shared.get('EWR');

-- Who may not read event times can do without them, unless a ttl asks.
GRANT USAGE ON SCHEMA svc_carriers TO services_other;
GRANT SELECT (carrier, flights) ON svc_carriers.records TO services_other;
SET ROLE services_other;
SELECT venice.create_service('svc_timeless', '{svc_carriers:flights}');
RESET ROLE;
SELECT venice.create_feature_view('svc_always', '{svc_carrier}', 'svc_flights', 'n', options => '{"owner": "services_team"}');
GRANT USAGE ON SCHEMA svc_always TO services_other;
GRANT SELECT (carrier, n) ON svc_always.records TO services_other;
SET ROLE services_other;
SELECT venice.create_service('svc_timeless', '{svc_always:n}');
SELECT * FROM svc_timeless.get('UA');
SELECT venice.drop_service('svc_timeless');
RESET ROLE;
REVOKE ALL ON svc_carriers.records FROM services_other;
REVOKE ALL ON SCHEMA svc_carriers FROM services_other;

-- His row security applies to what it reads, and not the caller's.
ALTER TABLE svc_weather.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY not_newark ON svc_weather.records FOR SELECT TO services_other USING (station <> 'EWR');
SELECT * FROM svc_shared.get('EWR');
SELECT * FROM svc_shared.batch_get('{EWR,JFK}');
ALTER TABLE svc_weather.records DISABLE ROW LEVEL SECURITY;
SELECT * FROM svc_shared.get('EWR');

-- A statement that was prepared goes on over a swap, a roll-back, and another version of a view.
SET ROLE services_team;
PREPARE model AS SELECT avg_delay, flights, _status FROM svc_model.get($1, 'EWR', 1000, 1);
EXECUTE model('UA');
SELECT venice.push('svc_carriers', $$VALUES ('UA', 13::float8, 4, now())$$);
EXECUTE model('UA');
SELECT venice.rollback_version('svc_carriers');
EXECUTE model('UA');
SELECT venice.alter_feature_view('svc_carriers', features => 'delay * 60 AS avg_delay, n AS flights', new_version => true);
SELECT venice.push('svc_carriers_at2', $$VALUES ('UA', 720::float8, 5, now())$$);
EXECUTE model('UA');
SELECT 'svc_model.get'::regproc::oid AS before \gset
SELECT venice.move_service('svc_model', 'svc_carriers@2');
EXECUTE model('UA');
SELECT 'svc_model.get'::regproc::oid = :before AS is_the_same_function;
SELECT features FROM venice.services WHERE name = 'svc_model';
-- What computes from the other version goes on with it.
SELECT per_mile FROM svc_model.get('UA', 'EWR', 1000, 1);
SELECT venice.move_service('svc_model', 'svc_weather@2');
SELECT venice.move_service('svc_model', 'svc_ratio:share');

-- Who goes on with what is deprecated is warned.
\set VERBOSITY terse
BEGIN;
SELECT venice.deprecate('svc_weather@1') > now() AS is_some_time_off;
SELECT venice.alter_service('svc_model');
ROLLBACK;
\set VERBOSITY default

-- An alteration keeps versions, privileges and functions, unless arguments or features are others.
SELECT venice.alter_service('svc_model', '{"description": null, "model_version": "4"}');
SELECT description, model_version, features FROM venice.services WHERE name = 'svc_model';
SELECT 'svc_model.get'::regproc::oid = :before AS is_the_same_function;
REVOKE ALL ON FUNCTION svc_model.get FROM PUBLIC;
GRANT EXECUTE ON FUNCTION svc_model.get TO services_api;
SELECT venice.alter_service('svc_model', features => '{svc_carriers:flights, origin:temp}');
SELECT 'svc_model.get'::regproc::oid = :before AS is_the_same_function, proacl FROM pg_proc WHERE oid = 'svc_model.get'::regproc;
SELECT * FROM svc_model.get('UA', 'EWR');
SELECT features FROM venice.services WHERE name = 'svc_model';
EXECUTE model('UA');
CREATE VIEW services_data.over AS SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT venice.alter_service('svc_model', features => '{svc_carriers:flights}');
SELECT venice.alter_service('svc_model', '{"defaults": null}', '{svc_carriers:flights}');
DROP VIEW services_data.over;

-- Types are pinned: a feature that is widened underneath is cast back, and what does not fit says so.
SELECT venice.alter_feature_view('svc_carriers@2', features => 'delay * 60 AS avg_delay, n::bigint AS flights');
SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT venice.push('svc_carriers_at2', $$VALUES ('UA', 720::float8, 6::bigint, now()), ('AA', 1, 3000000000, now())$$);
SELECT pg_get_function_result('svc_model.get'::regproc);
SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT flights FROM svc_model.get('AA', 'EWR');
SELECT flights FROM svc_model.batch_get('{UA,ZZ}', '{EWR,EWR}');
-- Both ways, within one statement's plan.
SELECT venice.rollback_version('svc_carriers_at2');
SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT venice.swap_version('svc_carriers_at2', 2);
SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT venice.alter_service('svc_model');
SELECT pg_get_function_result('svc_model.get'::regproc);
SELECT flights FROM svc_model.get('AA', 'EWR');
-- Nothing is rounded to fit.
SELECT venice.alter_feature_view('svc_carriers@2', features => 'delay * 60 AS avg_delay, n::numeric AS flights');
SELECT venice.push('svc_carriers_at2', $$VALUES ('UA', 720::float8, 6::numeric, now()), ('AA', 1, 1.5, now())$$);
SELECT flights FROM svc_model.get('UA', 'EWR');
SELECT flights FROM svc_model.get('AA', 'EWR');

-- A row in the registry's tables, which the database's owner restores, gives him nobody's rights.
RESET ROLE;
BEGIN;
ALTER DATABASE regression OWNER TO services_api;
GRANT USAGE ON SCHEMA svc_carriers TO services_api;
GRANT SELECT ON svc_carriers.records TO services_api;
SET LOCAL ROLE services_api;
INSERT INTO venice.service (project, service, schema_name, features, keys, options)
VALUES ('default', 'svc_forged', 'pg_catalog', '{}', '[{"name": "carrier", "type": "text", "request": false}]', '{}');
INSERT INTO venice.service_feature
VALUES ('default', 'svc_forged', 1, 'flights', 'integer', 'default', 'svc_carriers', 1, 'flights', 'svc_carriers', '{}'),
       ('default', 'svc_model', 9, 'carrier', 'text', 'default', 'svc_carriers', 1, 'flights', 'svc_carriers', '{}');
SAVEPOINT forged;
SELECT * FROM venice_internal.service_get('default.svc_forged', 'UA'::text) AS record(flights integer, _status jsonb);
ROLLBACK TO forged;
SELECT * FROM venice_internal.service_get('default.svc_model', 'UA'::text, 'EWR'::text) AS record(flights bigint, temp float8, carrier text, _status jsonb);
ROLLBACK TO forged;
INSERT INTO venice.feature_view (project, view_name, view_version, kind, owner_name, entities, features, inputs, online, offline, owns_store, options)
VALUES ('default', 'svc_forged', 1, 'on_demand', 'services_api', '{default.svc_carrier}', '', '{default.svc_carriers@1:flights}', true, false, false, '{}');
INSERT INTO venice.feature
VALUES ('default', 'svc_forged', 1, 1, 'x', 'text', '(SELECT pg_catalog.current_setting(''data_directory''))', '{}', '{}');
SELECT * FROM venice.get_online_features('{svc_forged:x}', '{"carrier": "UA"}');
ROLLBACK TO forged;
RESET ROLE;
SELECT venice.drop_service('svc_forged', force => true);
ROLLBACK;
SET ROLE services_team;

-- In an old snapshot a service answers from what was current then.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT flights FROM svc_model.get('UA', 'EWR');
COMMIT;

-- A change that is undone leaves nothing behind, in the registry or in memory.
BEGIN;
SELECT venice.alter_service('svc_model', '{"defaults": {"temp": 99}}');
SELECT temp FROM svc_model.get('UA', 'nowhere');
ROLLBACK;
SELECT temp FROM svc_model.get('UA', 'nowhere');

-- A service goes to another owner with its functions, who must be able to read what it reads.
RESET ROLE;
SELECT venice.alter_service('svc_route', '{"owner": "services_api"}');
GRANT USAGE ON SCHEMA svc_weather TO services_api;
GRANT SELECT ON svc_weather.records TO services_api;
SELECT venice.alter_service('svc_route', '{"owner": "services_api"}');
SELECT owner FROM venice.services WHERE name = 'svc_route';
SELECT DISTINCT proowner::regrole FROM pg_proc WHERE pronamespace = 'svc_route'::regnamespace;

-- What belongs to somebody keeps a service from being dropped, until it is forced.
CREATE VIEW services_data.over AS SELECT a__temp FROM svc_route.get('EWR', 'JFK');
SELECT venice.drop_service('svc_route');
DROP VIEW services_data.over;
CREATE TABLE svc_route.mine ();
SELECT venice.drop_service('svc_route');
SELECT venice.drop_service('svc_route', force => true);
SELECT count(*) FROM pg_namespace WHERE nspname = 'svc_route';
SELECT * FROM venice_internal.service_get('default.svc_route', 'a'::text) AS record(a integer);

-- A store that was dropped by hand is gone, and not to be asked again.
SELECT venice.create_feature_view('svc_gone', '{svc_station}', 'svc_observations', 'temp');
SELECT venice.push('svc_gone', $$VALUES ('EWR', 20.5::float8)$$);
SELECT venice.create_service('svc_of_gone', '{svc_gone:*}');
BEGIN;
SET LOCAL client_min_messages = warning;
DROP SCHEMA svc_gone CASCADE;
COMMIT;
\set VERBOSITY sqlstate
SELECT * FROM svc_of_gone.get('EWR');
SELECT * FROM venice.get_online_features('{svc_gone}', '{"station": "EWR"}');
\set VERBOSITY default
SELECT * FROM svc_of_gone.get('EWR');
SELECT venice.drop_service('svc_of_gone');
SELECT venice.drop_feature_view('svc_gone');

-- Who has dropped the schema by hand can still drop the service.
DROP SCHEMA svc_shared CASCADE;
SELECT venice.alter_service('svc_shared');
SELECT venice.drop_service('svc_shared');

-- All of it is in the audit.
SELECT action, name, before -> 'features' AS before, after -> 'features' AS after
  FROM venice.audit WHERE kind = 'service' AND name = 'svc_model' ORDER BY audit_id;

SELECT venice.drop_service('svc_model');
SELECT venice.drop_feature_view('svc_carriers@2', force => true);
SELECT venice.drop_on_demand_view('svc_near');
SELECT venice.drop_on_demand_view('svc_ratio');
SELECT venice.drop_feature_view('svc_carriers');
SELECT venice.drop_feature_view('svc_weather');
SELECT venice.drop_feature_view('svc_clashes');
SELECT venice.drop_feature_view('svc_always');
DROP SCHEMA services_data CASCADE;
DROP OWNED BY services_team, services_other, services_api CASCADE;
SELECT venice.drop_source(name) FROM venice.sources WHERE name LIKE 'svc%';
SELECT venice.drop_entity(name) FROM venice.entities WHERE name LIKE 'svc%';
DROP ROLE services_team, services_other, services_api;
