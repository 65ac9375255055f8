-- Theme: definitions as a whole: a plan is what apply does, apply is all or nothing, an export comes back as it was.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE ROLE plan_team;
CREATE ROLE plan_other;
GRANT CREATE ON DATABASE regression TO plan_team;
CREATE SCHEMA plan AUTHORIZATION plan_team;
CREATE SERVER plan_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER plan_kafka TO plan_team;
SET ROLE plan_team;
SET search_path = plan;
CREATE TABLE flights (carrier text, origin text, destination text, departure_delay real, distance integer, air_time real,
    departed timestamptz, loaded timestamptz);

-- The example is applied by one command, and what was planned is what happens.
\getenv directory PG_ABS_SRCDIR
\set file :directory '/examples/definitions/flights.json'
\set definition `cat :'file'`
SELECT * FROM venice.plan(:'definition');
SELECT name FROM venice.search('');
SELECT * FROM venice.apply(:'definition');
-- The same again changes nothing.
SELECT * FROM venice.apply(:'definition');
SELECT name, features, inputs, request FROM venice.feature_views WHERE name <> 'route_stats' ORDER BY name;
SELECT view, name, type, description, tags FROM venice.features ORDER BY view, position;
SELECT venice.push('carrier_delay', 'SELECT ''UA'', 20, true, now()');
SELECT venice.push('route_stats', 'SELECT ''EWR'', ''SFO'', 2565, 330, now()');
SELECT * FROM arrival_model.get('UA', 'EWR', 'SFO', speed => 500);

-- What one says is what is changed; what one leaves out is the default.
SELECT * FROM venice.plan('{"entities": [{"name": "carrier", "keys": "carrier text"}, {"name": "route", "keys": "origin text, destination text", "tags": {"a": "b"}}]}');
SELECT description FROM venice.entities WHERE name = 'carrier';
-- A part of the registry is a definition too, and in any order.
SELECT action, kind, name FROM venice.apply('{
    "services": [{"name": "plan_later", "features": ["plan_fast:fast"]}],
    "on_demand_views": [{"name": "plan_fast", "inputs": ["plan_view:air_time"], "expressions": "air_time < 60 AS fast"}],
    "feature_views": [{"name": "plan_view", "entities": ["carrier"], "source": "plan_on_store", "features": "air_time", "ttl": "1 day"}],
    "sources": [{"name": "plan_on_store", "store": "plan_first"}],
    "label_views": [{"name": "plan_label", "entities": ["carrier"], "source": "flight_events", "features": "departure_delay AS label", "window_length": "1 day"}]}');
-- With what it needs: a source may be of a store that another view brings.
SELECT action, kind, name FROM venice.apply('{
    "services": [{"name": "plan_later", "features": ["plan_fast:fast"]}],
    "on_demand_views": [{"name": "plan_fast", "inputs": ["plan_view:air_time"], "expressions": "air_time < 60 AS fast"}],
    "feature_views": [{"name": "plan_view", "entities": ["carrier"], "source": "plan_on_store", "features": "air_time"},
                      {"name": "plan_first", "entities": ["carrier"], "source": "flight_events", "features": "air_time", "offline": false,
                       "expectations": ["air_time > 0"]},
                      {"name": "plan_topic", "entities": ["carrier"], "source": "plan_topic", "options_are": "no option"}],
    "sources": [{"name": "plan_on_store", "store": "plan_first"}],
    "label_views": [{"name": "plan_label", "entities": ["carrier"], "source": "flight_events", "features": "departure_delay AS label", "window_length": "1 day"}]}');
SELECT action, kind, name FROM venice.apply('{
    "services": [{"name": "plan_later", "features": ["plan_fast:fast"]}],
    "on_demand_views": [{"name": "plan_fast", "inputs": ["plan_view:air_time"], "expressions": "air_time < 60 AS fast"}],
    "feature_views": [{"name": "plan_view", "entities": ["carrier"], "source": "plan_on_store", "features": "air_time"},
                      {"name": "plan_first", "entities": ["carrier"], "source": "flight_events", "features": "air_time", "offline": false,
                       "expectations": ["air_time > 0"]},
                      {"name": "plan_topic", "entities": ["carrier"], "source": "plan_topic", "store": "plan_topic_store"}],
    "sources": [{"name": "plan_on_store", "store": "plan_first"},
                {"name": "plan_topic", "server": "plan_kafka", "topic": "plan_{version}", "columns": "a integer, b text", "key_format": "text", "value_format": "json"}],
    "label_views": [{"name": "plan_label", "entities": ["carrier"], "source": "flight_events", "features": "departure_delay AS label", "window_length": "1 day"}]}');

-- A breaking change is planned as such, and not applied; nothing of the definition is.
\set breaking '{"entities": [{"name": "plan_new", "keys": "id integer"}], "feature_views": [{"name": "route_stats", "entities": ["route"], "source": "flight_events", "features": "distance"}]}'
SELECT * FROM venice.plan(:'breaking');
SELECT * FROM venice.apply(:'breaking');
SELECT count(*) FROM venice.entities WHERE name = 'plan_new';
-- As a new view version it stands beside the old one, to which services move, and which is deprecated.
SELECT action, kind, name, detail FROM venice.apply('{"feature_views": [
    {"name": "route_stats", "view_version": 2, "entities": ["route"], "source": "flight_events", "features": "distance, air_time::integer AS air_time"},
    {"name": "route_stats", "view_version": 1, "entities": ["route"], "source": "flight_events", "deprecated_until": "2100-01-01T00:00:00+00:00"}],
  "services": [{"name": "arrival_model", "features": ["carrier_delay:*", "route_stats@2:air_time", "time_needed:minutes"],
     "model": "arrival", "model_version": "3", "description": "When does it land?"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "route_stats", "view_version": 4, "entities": ["route"], "source": "flight_events"}]}');

-- What is written otherwise and means the same does not touch a service: its types stay pinned.
SELECT venice.alter_feature_view('route_stats@2', features => 'distance::bigint AS distance, air_time::bigint AS air_time');
SELECT * FROM venice.apply('{"services": [{"name": "arrival_model", "features": ["default.carrier_delay@1:*", "route_stats@2:air_time", "time_needed@1:minutes"],
     "model": "arrival", "model_version": "3", "description": "When does it land?"}]}');
SELECT name, type FROM venice.service_features WHERE service = 'arrival_model' AND name = 'air_time';

-- All of a registry is dropped by an empty definition with prune, never without, and comes back as it was exported.
CREATE TABLE exported AS SELECT venice.export() AS definition;
SELECT key, jsonb_array_length(value) AS count FROM exported, jsonb_each(definition - 'project') ORDER BY 1;
SELECT * FROM venice.plan((SELECT definition FROM exported), prune => true);
SELECT * FROM venice.apply('{}');
SELECT * FROM venice.plan('{}', prune => true);
SELECT count(*) FROM venice.apply('{}', prune => true);
SELECT name FROM venice.search('');
SELECT nspname FROM pg_namespace WHERE nspowner = 'plan_team'::regrole AND nspname <> 'plan';
SELECT action, kind, name FROM venice.apply((SELECT definition FROM exported));
SELECT definition = venice.export() AS same FROM exported;
SELECT * FROM venice.plan((SELECT definition FROM exported), prune => true);
-- It is also the same for who writes intervals and times otherwise.
SET intervalstyle = iso_8601;
SET datestyle = 'German';
SELECT definition = venice.export() AS same FROM exported;
RESET intervalstyle;
RESET datestyle;

-- Prune keeps what is mentioned, all view versions where none is.
SELECT action, kind, name FROM venice.plan('{"feature_views": [{"name": "route_stats", "entities": ["route"], "source": "flight_events",
    "features": "distance::bigint AS distance, air_time::bigint AS air_time"}]}', prune => true);

-- A project is a definition's own: names without one are its, and it alone is pruned.
SELECT * FROM venice.apply('{"project": "plan_project", "projects": [{"name": "plan_project", "description": "apart"}],
    "entities": [{"name": "carrier", "keys": "id integer"}, {"name": "default.plan_here", "keys": "id integer"}],
    "sources": [{"name": "events", "relation": "flights", "event_time": "departed"}],
    "feature_views": [{"name": "delays", "entities": ["route"], "source": "events", "features": "air_time"}]}');
SELECT project, name, entities FROM venice.feature_views WHERE name = 'delays';
SELECT venice.export('plan_project') -> 'entities' AS entities, venice.export() @> '{"entities": [{"name": "plan_project.carrier"}]}' AS qualified;
SELECT action, kind, name FROM venice.plan('{"project": "plan_project"}', prune => true);
TRUNCATE exported;
INSERT INTO exported SELECT venice.export();
SELECT count(*) FROM venice.apply('{"project": "plan_project"}', prune => true);
SELECT venice.drop_project('plan_project');
SELECT count(*) FROM venice.apply('{}', prune => true);
SELECT count(*) > 10 AS made FROM venice.apply((SELECT definition FROM exported));
SELECT definition = venice.export() AS same FROM exported;

-- What is in use is not dropped, nor anything else.
SELECT venice.create_service('plan_user', '{carrier_delay:late}', '{"owner": "plan_team"}');
SELECT action, kind, name, detail FROM venice.plan('{"services": [{"name": "plan_user", "features": ["carrier_delay:late"]}]}', prune => true) WHERE breaking;
SELECT venice.apply('{"services": [{"name": "plan_user", "features": ["carrier_delay:late"]}]}', prune => true);

-- A definition says what it means, once: nothing is in it twice, lacks what it cannot be without, or has a number for an interval.
SELECT * FROM venice.plan('{"entities": [{"name": "plan_x", "keys": "id integer"}, {"name": "plan_y", "keys": "id integer"}, {"name": "default.plan_x", "keys": "id bigint"}]}');
SELECT * FROM venice.apply('{"feature_views": [{"name": "route_stats", "entities": ["route"], "source": "flight_events"},
    {"name": "route_stats", "view_version": 2, "entities": ["route"], "source": "flight_events"}]}');
SELECT * FROM venice.apply('{"feature_views": [{"name": "route_stats", "view_version": 2, "entities": ["route"], "source": "flight_events"},
    {"name": "route_stats", "view_version": 1, "entities": ["route"], "source": "flight_events"},
    {"name": "route_stats", "view_version": 2, "entities": ["route"], "source": "flight_events"}]}');
SELECT count(*) FROM venice.plan('{"entities": [{"name": "plan_x", "keys": "id integer"}, {"name": "plan_project.plan_x", "keys": "id integer"}],
    "sources": [{"name": "plan_x", "relation": "flights"}]}');
SELECT * FROM venice.plan('{"services": [{"name": "arrival_model", "model": "arrival"}]}');
SELECT * FROM venice.plan('{"services": [{"name": "plan_x", "features": null}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "route_stats", "source": "flight_events"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "route_stats", "entities": ["route"]}]}');
SELECT * FROM venice.plan('{"label_views": [{"name": "plan_label", "entities": ["carrier"], "source": "flight_events"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": ["carrier"], "source": "flight_events", "ttl": 7}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "carrier_delay", "entities": ["carrier"], "source": "flight_events", "ttl": 7}]}');
SELECT * FROM venice.plan('{"label_views": [{"name": "plan_x", "entities": ["carrier"], "source": "flight_events", "features": "departure_delay", "window_length": 7}]}');
-- What an entry may have of a definition's keys is told, where there is one already too.
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": ["carrier"], "source": "flight_events", "tll": "7 days"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "carrier_delay", "entities": ["carrier"], "source": "flight_events", "tll": "7 days"}]}');
SELECT * FROM venice.plan('{"sources": [{"name": "plan_x", "table": "flights"}]}');

-- Errors name the object.
SELECT * FROM venice.plan(NULL);
SELECT * FROM venice.plan('[]');
SELECT * FROM venice.plan('{"entity": []}');
SELECT * FROM venice.plan('{"project": "plan_no_such"}', prune => true);
SELECT * FROM venice.plan('{"entities": {}}');
SELECT * FROM venice.plan('{"entities": [1]}');
SELECT * FROM venice.plan('{"entities": [{"keys": "id integer"}]}');
SELECT * FROM venice.plan('{"entities": [{"name": "plan_x@2", "keys": "id integer"}]}');
SELECT * FROM venice.plan('{"entities": [{"name": "plan_x", "keys": "id integer", "colour": "red"}]}');
SELECT * FROM venice.plan('{"entities": [{"name": "plan_x", "keys": "id no_such_type"}]}');
SELECT * FROM venice.plan('{"sources": [{"name": "plan_x", "relation": "no_such_table"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": "carrier", "source": "flight_events"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": [1], "source": "flight_events"}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": ["carrier"], "source": "flight_events", "features": [{"name": "a", "type": "int"}]}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "entities": ["carrier"], "source": "flight_events", "features": ["a"]}]}');
SELECT * FROM venice.plan('{"feature_views": [{"name": "plan_x", "view_version": 0, "entities": ["carrier"], "source": "flight_events"}]}');
BEGIN READ ONLY;
SELECT * FROM venice.plan('{}');
ROLLBACK;

-- Others see none of it, cannot change it, and prune what is theirs only.
SET ROLE plan_other;
SELECT * FROM venice.plan('{"entities": [{"name": "carrier", "keys": "carrier text", "description": "mine"}]}');
SELECT * FROM venice.plan('{}', prune => true);
SELECT jsonb_array_length(venice.export() -> 'entities') AS entities;

-- A plan leaves no trace, also inside of a transaction that goes on.
SET ROLE plan_team;
BEGIN;
SELECT count(*) FROM venice.plan('{}', prune => true);
SELECT count(*) FROM venice.entities WHERE project = 'default' AND owner = 'plan_team';
COMMIT;
DO $$
BEGIN
    PERFORM venice.plan('{"entities": [{"name": "plan_x", "keys": "id no_such_type"}]}');
EXCEPTION WHEN undefined_object THEN
    PERFORM venice.apply('{"entities": [{"name": "plan_x", "keys": "id integer"}]}');
END$$;
SELECT keys FROM venice.entities WHERE name = 'plan_x';

SELECT count(*) FROM venice.apply('{"project": "plan_project"}', prune => true);
SELECT venice.drop_project('plan_project');
SELECT count(*) FROM venice.apply('{}', prune => true);
RESET ROLE;
RESET search_path;
DROP SCHEMA plan CASCADE;
DROP SERVER plan_kafka CASCADE;
REVOKE CREATE ON DATABASE regression FROM plan_team;
DROP ROLE plan_team, plan_other;
