-- Theme: views: what a definition means over a relation, a topic, a store and other views, what is refused, who sees what,
-- and that nothing in an expression runs with more rights than its author's.

\set SHOW_CONTEXT never
CREATE ROLE views_growth;
CREATE ROLE views_member IN ROLE views_growth;
CREATE ROLE views_hostile;
CREATE ROLE views_reader;
CREATE ROLE views_stranger;
SELECT format('GRANT CREATE ON DATABASE %I TO views_growth, views_hostile', current_database()) \gexec
CREATE SCHEMA views_data;
GRANT USAGE ON SCHEMA views_data TO views_growth, views_hostile;
CREATE TABLE views_data.flights (carrier text, origin text, dep_time timestamptz, loaded_at timestamptz, delay double precision,
    n_flights integer, taxi_codes text[]);
GRANT SELECT ON views_data.flights TO views_growth;
SET ROLE views_growth;
SELECT venice.create_entity('carrier', 'carrier text');
SELECT venice.create_entity('airport', 'station text');
SELECT venice.create_source('flight_events', relation => 'views_data.flights', event_time => 'dep_time', created_time => 'loaded_at');

-- A view over a relation gets a store of its own: the entities' keys, the features, and when they became true.
SELECT venice.create_feature_view('carrier_stats', '{carrier}', 'flight_events', 'delay / 60 AS delay_hours, n_flights AS flights', '7 days',
    options => '{"description": "rolling delay", "tags": {"tier": "gold"}, "feature_descriptions": {"flights": "How many"},
                 "feature_tags": {"flights": {"pii": "no"}}, "expectations": ["flights >= 0"]}');
SELECT column_name, is_key, pg_type FROM venice.columns WHERE store = 'carrier_stats' ORDER BY position;
SELECT name, project, view_version, kind, owner, entities, source, features, ttl, online, offline, store, description, tags, expectations
  FROM venice.feature_views \gx
SELECT name, view, view_version, position, type, expression, source_columns, description, tags FROM venice.features ORDER BY position;
-- Its rows are pushed in that order, and its functions return the features.
SELECT venice.push('carrier_stats', $$VALUES ('UA', 1.5, 3, timestamptz '2013-06-01 00:00 UTC')$$);
SELECT * FROM carrier_stats.get('UA');
SELECT * FROM venice_internal.get('carrier_stats', 'UA'::text) AS r (flights integer, _event_time timestamptz);
-- What a feature is, is a comment on its column, and stays one.
SELECT col_description('carrier_stats.records'::regclass, attnum) FROM pg_attribute
 WHERE attrelid = 'carrier_stats.records'::regclass AND attname = 'flights';

-- Without a list the features are all columns without a role; the option keys says which column is which key.
SELECT venice.create_feature_view('station_stats', '{airport}', 'flight_events', online => false, options => '{"keys": {"station": "origin"}}');
SELECT features, store FROM venice.feature_views WHERE name = 'station_stats';
SELECT venice.create_feature_view('both_stats', '{carrier,airport}', 'flight_events', 'delay', options => '{"keys": {"station": "origin"}, "store": "both_of_them"}');
SELECT store, key_columns, value_columns FROM venice.stores WHERE store LIKE 'both%';

-- What is said to fill a view reads times in the zone that the source says they are in.
RESET ROLE;
CREATE TABLE views_data.local (carrier text, delay double precision, at timestamp);
INSERT INTO views_data.local VALUES ('UA', 1, '2013-06-01 12:00'), ('UA', 2, '2013-06-01 13:00');
GRANT SELECT ON views_data.local TO views_growth;
SET ROLE views_growth;
SELECT venice.create_source('local', relation => 'views_data.local', event_time => 'at', options => '{"time_zone": "Asia/Tokyo"}');
SELECT venice.create_feature_view('local_stats', '{carrier}', 'local', 'delay');
SELECT value AS fill FROM venice.describe('local_stats') WHERE property = 'filled by' \gset
:fill;
SELECT delay, _event_time AT TIME ZONE 'UTC' AS event_time FROM local_stats.records;
SELECT venice.drop_feature_view('local_stats'), venice.drop_source('local');

-- A view over a topic has a store that the topic fills: its formats, its fields under other names.
RESET ROLE;
CREATE SERVER views_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER views_kafka TO views_growth;
SET ROLE views_growth;
SELECT venice.create_source('clicks', server => 'views_kafka', topic => 'clicks', event_time => 'at',
    options => '{"columns": "n bigint NOT NULL DEFAULT 0, score real, at timestamptz", "key_format": "text", "value_format": "json", "fields": {"score": "model.score"}}');
SELECT venice.create_feature_view('click_stats', '{carrier}', 'clicks', 'n AS clicks, score');
SELECT server, key_columns, value_columns, o.key, o.value FROM venice.stores, jsonb_each(options) o
 WHERE store = 'click_stats' AND key IN ('fields', 'version_topic', 'key_format', 'value_format') ORDER BY key;
SELECT attname, format_type(atttypid, atttypmod), attnotnull FROM pg_attribute WHERE attrelid = 'click_stats.records'::regclass AND attnum > 0;
-- Records are kept as they are: what is computed from them is an on-demand view's.
SELECT venice.create_feature_view('click_ratio', '{carrier}', 'clicks', 'n / 2 AS half');

-- A view over a store refers to it: no data of its own, and names of its own.
SELECT venice.create_store('weather', 'station text', 'temp real, wind real, measured timestamptz');
SELECT venice.create_source('weather_now', store => 'weather', event_time => 'measured');
SELECT venice.create_feature_view('weather', '{airport}', 'weather_now', 'temp AS temperature, wind', '1 hour');
SELECT name, store, features FROM venice.feature_views WHERE name = 'weather';
SELECT name, expression, source_columns FROM venice.features WHERE view = 'weather' ORDER BY position;
SELECT venice.create_feature_view('weather_all', '{airport}', 'weather_now');
SELECT features FROM venice.feature_views WHERE name = 'weather_all';
SELECT venice.create_feature_view('weather_f', '{airport}', 'weather_now', 'temp * 1.8 + 32 AS fahrenheit');
SELECT venice.create_feature_view('weather_other', '{carrier}', 'weather_now');
SELECT venice.create_feature_view('weather_own', '{airport}', 'weather_now', options => '{"store": "mine"}');
SELECT venice.drop_store('weather');

-- An on-demand view computes from features and from what the caller gives; by their names, or by those of the views.
SELECT venice.create_on_demand_view('delay_ratio', '{carrier_stats:delay_hours, weather:*}',
    'delay_hours / nullif(distance, 0) AS delay_per_mile, weather.temperature > request.distance AS warm', 'distance float8');
SELECT name, kind, entities, inputs, request, store FROM venice.feature_views WHERE name = 'delay_ratio' \gx
SELECT name, type, expression, source_columns FROM venice.features WHERE view = 'delay_ratio' ORDER BY position;
-- A name that two inputs have is ambiguous, as in SQL.
SELECT venice.create_on_demand_view('twice', '{weather:wind, weather_all:wind}', 'wind + 1 AS wind1');
SELECT venice.create_on_demand_view('once', '{weather:wind, weather_all:wind}', 'weather.wind - weather_all.wind AS zero');
-- What is computed on demand is no input.
SELECT venice.create_on_demand_view('deeper', '{delay_ratio}', 'warm');
SELECT venice.create_on_demand_view('nothing', '{}', '1 AS one');
SELECT venice.create_on_demand_view('doubled', '{}', 'x * 2 AS x2', 'x integer');
SELECT venice.create_on_demand_view('bad', '{weather:no_such}', 'no_such');
SELECT venice.create_on_demand_view('bad', '{no_such}', 'no_such');
SELECT venice.create_on_demand_view('bad', '{weather}', 'wind', 'station text');
SELECT venice.create_on_demand_view('bad', '{weather}', 'wind', 'x integer NOT NULL');
-- A request is a list of columns: neither options in the wrong place nor an Avro schema.
SELECT venice.create_on_demand_view('bad', '{weather}', 'wind', '{"owner": "views_growth"}');
SELECT venice.create_on_demand_view('bad', '{weather}', 'wind', '{"type": "record", "name": "r", "fields": [{"name": "x", "type": "int"}]}');
-- What is gone after this session is no part of one.
CREATE TYPE pg_temp.passing AS ENUM ('a');
SELECT venice.create_on_demand_view('bad', '{}', 'x::pg_temp.passing AS y', 'x text');
SELECT venice.create_on_demand_view('bad', '{}', '(x::pg_temp.passing)::text AS y', 'x text');
DROP TYPE pg_temp.passing;

-- A label view says what became known within a window. It is never online.
SELECT venice.create_label_view('arrived_late', '{carrier}', 'flight_events', 'delay > 15 AS late', '1 day');
SELECT kind, window_length, online, store FROM venice.feature_views WHERE name = 'arrived_late';
SELECT venice.create_label_view('no_window', '{carrier}', 'flight_events', 'delay', NULL);
SELECT venice.create_on_demand_view('bad', '{arrived_late}', 'late');

-- What is wrong with a definition is said with its name, and how it is right.
SELECT venice.create_feature_view('carrier_stats', '{carrier}', 'flight_events');
SELECT venice.create_feature_view('a@2', '{carrier}', 'flight_events');
SELECT venice.create_feature_view('bad_v2', '{carrier}', 'flight_events');
SELECT venice.create_feature_view('no_such.bad', '{carrier}', 'flight_events');
SELECT venice.create_feature_view('bad', '{no_such}', 'flight_events');
SELECT venice.create_feature_view('bad', '{}', 'flight_events');
SELECT venice.create_feature_view('bad', '{NULL}', 'flight_events');
SELECT venice.create_feature_view('bad', NULL, 'flight_events');
SELECT venice.create_feature_view('bad', '{carrier,carrier}', 'flight_events');
SELECT venice.create_feature_view('bad', '{carrier}', 'no_such');
SELECT venice.create_feature_view('bad', '{airport}', 'flight_events');
SELECT venice.create_feature_view('bad', '{airport}', 'flight_events', options => '{"keys": {"airport": "origin"}}');
SELECT venice.create_feature_view('bad', '{airport}', 'flight_events', options => '{"keys": {"station": "dep_time"}}');
SELECT venice.create_feature_view('bad', '{airport}', 'flight_events', options => '{"keys": ["station"]}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', ttl => '-1 day');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', ttl => '1 month');
SELECT venice.create_label_view('bad', '{carrier}', 'flight_events', 'delay', '1 year');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', online => false, offline => false);
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', options => '{"aggregations": []}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', options => '{"ttl": "7 days"}');
SELECT venice.create_on_demand_view('bad', '{weather}', 'wind', options => '{"inputs": []}');
SELECT venice.create_label_view('bad', '{carrier}', 'flight_events', 'delay', '7 days', '{"ttl": "7 days"}');
SELECT venice.alter_feature_view('carrier_stats', '{"ttl": 7}');
-- What a view cannot be without is not reset.
SELECT venice.alter_feature_view('carrier_stats', '{"source": null}');
SELECT venice.alter_feature_view('carrier_stats', '{"entities": null}');
SELECT venice.alter_label_view('arrived_late', '{"window_length": null}');
SELECT venice.alter_on_demand_view('delay_ratio', '{"inputs": null}');
SELECT venice.alter_feature_view('carrier_stats', '{"features": "delay"}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', options => '{"store": "carrier_stats"}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"feature_descriptions": {"no_such": "x"}}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"feature_tags": {"delay": "x"}}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"expectations": ["delay"]}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"expectations": {"a": "origin = ''x''"}}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"expectations": ["true) AS a, (true"]}');
SELECT venice.create_feature_view('bad', '{carrier}', 'flight_events', 'delay', options => '{"expectations": "delay > 0"}');
SELECT venice.create_source('no_time', relation => 'views_data.flights');
SELECT venice.create_feature_view('bad', '{carrier}', 'no_time', ttl => '1 day');

-- A select list is a select list, of expressions that have a name and are columns of one row.
\set define 'SELECT venice.create_feature_view(''bad'', ''{carrier}'', ''flight_events'','
:define 'delay FROM views_data.flights');
:define 'delay; SELECT 1');
:define 'delay WHERE true');
:define 'DISTINCT delay');
:define '');
:define 'delay +');
:define 'no_such');
:define 'delay + 1');
:define 'delay, delay');
:define 'carrier');
:define 'delay AS _delay');
:define 'delay AS "a:b"');
:define 'flight_events AS everything');
:define 'ctid AS place');
:define '(SELECT 1) AS one');
:define 'sum(delay) AS total');
:define 'rank() OVER () AS place');
:define 'unnest(taxi_codes) AS code');
:define 'random() AS luck');
:define 'row(delay, 1) AS pair');
:define '$1 AS parameter');

-- Names mean what they mean to the author, whatever search_path others have.
RESET ROLE;
CREATE SCHEMA views_types;
CREATE TYPE views_types.mood AS ENUM ('good', 'bad');
GRANT USAGE ON SCHEMA views_types TO views_growth;
SET ROLE views_growth;
SET search_path = views_types, public;
SELECT venice.create_feature_view('moods', '{carrier}', 'flight_events',
    'origin::mood AS mood, ''bad''::mood AS always, venice.l2_norm(''{3,4}''::real[]) AS norm, delay::numeric(6,2) AS rounded, NULL AS nothing', online => false);
RESET search_path;
SELECT name, type, expression FROM venice.features WHERE view = 'moods' ORDER BY position;

-- Nothing in a definition runs as the extension's owner, or as who calls: it runs as the owner of the view.
SET ROLE views_hostile;
CREATE SCHEMA views_traps;
CREATE FUNCTION views_traps.tell(i integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'I run as %', current_user; RETURN true; END$$;
CREATE DOMAIN views_traps.trap AS integer CHECK (views_traps.tell(VALUE));
CREATE TYPE views_traps.mood AS ENUM ('good', 'bad');
CREATE FUNCTION views_traps.to_json(views_traps.mood) RETURNS json LANGUAGE plpgsql AS $$BEGIN RAISE NOTICE 'I run as %', current_user; RETURN '1'; END$$;
CREATE CAST (views_traps.mood AS json) WITH FUNCTION views_traps.to_json(views_traps.mood);
CREATE TYPE views_traps.box AS (a views_traps.trap, b integer);
CREATE FUNCTION views_traps.plus(double precision, integer) RETURNS double precision LANGUAGE plpgsql IMMUTABLE AS $$BEGIN RAISE NOTICE 'I run as %', current_user; RETURN $1; END$$;
CREATE OPERATOR views_traps.+ (LEFTARG = double precision, RIGHTARG = integer, FUNCTION = views_traps.plus);
CREATE TABLE views_traps.t (carrier text, n integer, delay double precision, trapped views_traps.trap, box views_traps.box,
    mood views_traps.mood, j jsonb);
RESET ROLE;
SELECT venice.create_source('traps', relation => 'views_traps.t', options => '{"owner": "views_hostile"}');
SELECT venice.create_entity('trap', 'carrier text', '{"owner": "views_hostile"}');
\set define 'SELECT venice.create_feature_view(''traps_view'', ''{trap}'', ''traps'', options => ''{"owner": "views_hostile"}'', features =>'
\set VERBOSITY terse
-- Analysis reads constants, and no more.
:define '(''{1}''::views_traps.trap[])[1] AS x');
-- What others evaluate calls nothing of the author's.
:define '1::views_traps.trap AS x');
:define 'n::views_traps.trap AS x');
:define 'views_traps.tell(n) AS x');
:define 'delay OPERATOR(views_traps.+) 1 AS x');
:define '(jsonb_populate_record(NULL::views_traps.box, j)).b AS x');
:define '(j::text::views_traps.box).b AS x');
:define 'array[n]::views_traps.trap[] AS x');
:define 'table_to_xml(''views_traps.t'', true, true, '''') AS x');
:define 'to_jsonb(mood) AS x');
:define 'to_jsonb(array[mood]) AS x');
:define 'to_jsonb(CASE WHEN n > 0 THEN mood END) AS x');
:define 'json_build_object(''a'', mood) AS x');
:define 'row(mood)::text AS x');
:define 'to_json(trapped) AS x');
SET search_path = views_traps, pg_catalog;
:define 'delay + 1 AS x');
RESET search_path;
\set VERBOSITY default
-- A column that is of such a type is read as it is, which calls nothing.
:define 'trapped, (box).b AS b, trapped + 1 AS more, mood = ''bad'' AS is_bad, coalesce(mood::text, ''?'') AS mood_text');
SELECT name, type, expression FROM venice.features WHERE view = 'traps_view' ORDER BY position;
\set VERBOSITY terse
-- Nor do defaults of a topic's columns run as anybody but who wrote them, or whose store they come to.
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER views_kafka TO views_hostile;
SET ROLE views_hostile;
SELECT venice.create_source('trap_topic', server => 'views_kafka', topic => 't',
    options => '{"columns": "n integer DEFAULT (''{1}''::views_traps.trap[])[1]", "key_format": "text", "value_format": "json"}');
RESET ROLE;
SELECT venice.alter_source('trap_topic', '{"description": "x"}');
SELECT venice.create_feature_view('trap_topic_view', '{trap}', 'trap_topic', options => '{"owner": "views_hostile"}');
SELECT venice.alter_feature_view('trap_topic_view', '{"expectations": ["(''{2}''::views_traps.trap[])[1] = 2"]}');
SELECT venice.drop_feature_view('trap_topic_view');
\set VERBOSITY default
SET ROLE views_hostile;
-- Whose view it is must be able to read the source.
SELECT venice.create_feature_view('stolen', '{trap}', 'flight_events');
RESET ROLE;
SELECT venice.create_feature_view('stolen', '{carrier}', 'flight_events', options => '{"owner": "views_hostile"}');
SELECT venice.create_feature_view('stolen', '{carrier}', 'flight_events', options => '{"owner": "no_such_role"}');
SET ROLE views_growth;
\set VERBOSITY sqlstate
SELECT venice.create_feature_view('pushed_on', '{carrier}', 'flight_events', options => '{"owner": "views_hostile"}');
\set VERBOSITY default

-- A store needs CREATE on the database; a view without one does not.
SET ROLE views_stranger;
SELECT venice.create_entity('stranger', 'id integer');
SELECT venice.create_on_demand_view('strangers', '{}', 'x + 1 AS y', 'x integer');
-- Others' views do not exist.
SELECT name FROM venice.feature_views ORDER BY 1;
SELECT name, view FROM venice.features ORDER BY 1;
SELECT venice.drop_feature_view('carrier_stats');
SELECT venice.alter_feature_view('carrier_stats');
SELECT venice.deprecate('carrier_stats');
SELECT venice.grant_feature('carrier_stats:flights', 'views_stranger');
SELECT venice.create_on_demand_view('spy', '{carrier_stats}', 'flights');

-- To share a feature is to GRANT its column, with what a look-up needs besides; swaps carry that.
SET ROLE views_member;
SELECT venice.grant_feature('carrier_stats:flights', 'views_reader');
SELECT venice.push('carrier_stats', $$VALUES ('UA', 2.5, 4, timestamptz '2013-06-02 00:00 UTC')$$);
SET ROLE views_reader;
SELECT name, store FROM venice.feature_views;
SELECT name FROM venice.entities;
SELECT name FROM venice.sources;
SELECT * FROM venice_internal.get('carrier_stats', 'UA'::text) AS r (flights integer, _event_time timestamptz);
SELECT * FROM venice_internal.get('carrier_stats', 'UA'::text) AS r (delay_hours float8);
-- Who may read a view does not own it.
SELECT venice.drop_feature_view('carrier_stats');
SELECT venice.alter_feature_view('carrier_stats');
SELECT venice.grant_feature('carrier_stats:flights', 'views_stranger');
SET ROLE views_growth;
SELECT venice.grant_feature('carrier_stats:no_such', 'views_reader');
SELECT venice.grant_feature('carrier_stats', 'no_such_role');
SELECT venice.grant_feature('delay_ratio', 'views_reader');
-- With the last feature goes what came with the first.
SELECT venice.grant_feature('carrier_stats', 'views_reader');
SELECT venice.revoke_feature('carrier_stats:delay_hours', 'views_reader');
SELECT has_column_privilege('views_reader', 'carrier_stats.records', 'delay_hours', 'SELECT') AS delay_hours,
       has_column_privilege('views_reader', 'carrier_stats.records', 'carrier', 'SELECT') AS carrier;
SELECT venice.revoke_feature('carrier_stats:flights', 'views_reader');
SELECT has_any_column_privilege('views_reader', 'carrier_stats.records', 'SELECT') AS any,
       has_schema_privilege('views_reader', 'carrier_stats', 'USAGE') AS schema;
-- A privilege that stays is said.
SELECT venice.grant_feature('carrier_stats', 'public');
SELECT venice.revoke_feature('carrier_stats:flights', 'views_reader');
SELECT venice.revoke_feature('carrier_stats:*', 'public');
SELECT action, name, after FROM venice.audit WHERE action IN ('grant', 'revoke') ORDER BY audit_id;

-- Views of a project are seen by its owner; the same name may be in several projects, with stores of their own.
RESET ROLE;
SELECT venice.create_project('views_team', 'views_growth');
SET ROLE views_member;
SELECT venice.create_feature_view('views_team.carrier_stats', '{carrier}', 'flight_events', 'delay');
SELECT name, project, owner, store FROM venice.feature_views WHERE name = 'carrier_stats' ORDER BY project;
SET venice.project = 'views_team';
SELECT venice.alter_feature_view('carrier_stats', '{"description": "the project''s"}');
SELECT venice.create_feature_view('only_here', '{carrier}', 'flight_events', 'delay', online => false);
RESET venice.project;
SELECT name, project, description FROM venice.feature_views WHERE project = 'views_team' ORDER BY 1;
SELECT venice.drop_feature_view('only_here');
-- Its store is called after the project too: who takes the view's name for the store's is told, unless he may not push.
SELECT venice.create_feature_view('views_team.by_team', '{carrier}', 'flight_events', 'delay');
SELECT venice.push('by_team', 'VALUES (1)');
SET ROLE views_stranger;
SELECT venice.push('by_team', 'VALUES (1)');
SET ROLE views_member;
SELECT venice.drop_feature_view('views_team.by_team');
SELECT venice.create_feature_view('views_team.v2', '{carrier}', 'flight_events', 'delay');
SELECT venice.drop_project('views_team');

-- Owner and columns of a view's own store are the view's.
SELECT venice.alter_store('views_team_carrier_stats', '{"owner": "views_growth"}');
SELECT venice.alter_store('views_team_carrier_stats', value => 'delay real');
SELECT venice.drop_store('views_team_carrier_stats');
SELECT venice.alter_feature_view('views_team.carrier_stats', '{"owner": "views_growth"}');
SELECT v.owner, s.owner AS store_owner FROM venice.feature_views v JOIN venice.stores s USING (store) WHERE v.project = 'views_team' AND v.name = 'carrier_stats';

-- Dropping a view drops the store that was made with it, not one that it refers to; who uses it is in the way.
SET ROLE views_growth;
SELECT venice.drop_feature_view('weather');
SELECT venice.drop_label_view('carrier_stats');
SELECT venice.drop_feature_view('no_such');
SELECT venice.drop_feature_view('carrier_stats:flights');
SELECT venice.drop_on_demand_view('delay_ratio');
SELECT venice.drop_feature_view('weather', force => true);
SELECT venice.drop_feature_view('weather_all');
SELECT store FROM venice.stores WHERE store ~ 'weather';
SELECT venice.drop_store('weather');
SELECT venice.drop_feature_view('carrier_stats');
SELECT venice.drop_feature_view('click_stats');
SELECT venice.drop_feature_view('views_team.carrier_stats');
SELECT venice.drop_feature_view('views_team.only_here');
SET ROLE views_member;
SELECT venice.drop_feature_view('views_team.only_here');
SET ROLE views_growth;
SELECT venice.drop_feature_view('both_stats');
SELECT venice.drop_feature_view('station_stats');
SELECT venice.drop_feature_view('moods');
SELECT venice.drop_label_view('arrived_late');
SELECT venice.drop_on_demand_view('doubled');
SELECT name FROM venice.feature_views;
SELECT store FROM venice.stores;
RESET ROLE;
SELECT venice.drop_feature_view('traps_view');
SELECT venice.drop_on_demand_view('strangers');
SELECT count(*) FROM venice.feature_view;
SELECT count(*) FROM venice.feature;
SELECT action, kind, name, role, owner FROM venice.audit
 WHERE name IN ('carrier_stats@1', 'strangers@1') AND owner LIKE 'views%' AND action NOT IN ('grant', 'revoke') ORDER BY audit_id;

SELECT venice.drop_project('views_team');
SELECT venice.drop_source(name) FROM venice.sources;
SELECT venice.drop_entity(name) FROM venice.entities;
DROP SERVER views_kafka;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA views_data, views_types, views_traps CASCADE;
DROP OWNED BY views_growth, views_hostile;
DROP ROLE views_member, views_growth, views_hostile, views_reader, views_stranger;
