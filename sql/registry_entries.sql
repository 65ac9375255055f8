-- Theme: projects, entities and sources: who may make, see, alter and drop them, what is refused, and what the audit keeps.

\set VERBOSITY terse
\set SHOW_CONTEXT never
CREATE ROLE entries_growth;
CREATE ROLE entries_member IN ROLE entries_growth;
CREATE ROLE entries_heir NOINHERIT IN ROLE entries_growth;
CREATE ROLE entries_ads;
CREATE ROLE entries_stranger;
CREATE SCHEMA entries_data;
GRANT USAGE ON SCHEMA entries_data TO entries_growth;
CREATE TABLE entries_data.flights (carrier text, origin text, delay double precision, dep_time timestamptz, loaded_at timestamptz, local_time timestamp);
GRANT SELECT ON entries_data.flights TO entries_growth;
CREATE TABLE entries_data.secret (carrier text, salary integer);

-- Anybody may make a project that he owns, or that a role owns which he can become.
SET ROLE entries_member;
SELECT venice.create_project('growth', 'entries_growth', '{"description": "Growth", "tags": {"cost": "4711"}}');
SELECT venice.create_project('mine');
\set VERBOSITY sqlstate
SELECT venice.create_project('theirs', 'entries_ads');
SELECT venice.create_project('theirs', options => '{"owner": "entries_ads"}');
\set VERBOSITY terse
SELECT venice.create_project('nobodys', 'entries_nobody');
SELECT name, owner, description, tags FROM venice.projects ORDER BY 1;

-- A project's name is not taken twice, is no bad name, and "default" is there already.
SELECT venice.create_project('growth');
SELECT venice.create_project('default');
\set VERBOSITY default
SELECT venice.create_project(repeat('x', 49));
SELECT venice.create_project('a.b');
SELECT venice.create_project('a_v12');
SELECT venice.create_project('_a');
\set VERBOSITY terse
SELECT venice.create_project(NULL);

-- An option that there is not, or that has another type, is refused by name.
SELECT venice.create_project('more', options => '{"colour": "red"}');
SELECT venice.create_project('more', options => '{"tags": ["a"]}');
SELECT venice.create_project('more', options => '{"tags": {"a": 1}}');
SELECT venice.create_project('more', options => '{"description": 1}');
SELECT venice.create_project('more', options => '[]');

-- Members of the owner alter a project; a JSON null resets an option, and another option stays.
SELECT venice.alter_project('growth', '{"description": null, "tags": {"cost": "4712"}}');
SELECT name, owner, description, tags FROM venice.projects WHERE name = 'growth';

-- What is somebody else's does not exist: there is no telling it from what never was.
SET ROLE entries_stranger;
SELECT name FROM venice.projects;
SELECT venice.alter_project('growth', '{}');
SELECT venice.alter_project('no_such', '{}');
SELECT venice.drop_project('growth');
SELECT venice.create_entity('growth.user', 'user_id bigint');
SELECT venice.create_source('growth.s', relation => 'pg_class');
-- "default" everybody may add to, and its owner is the database's.
SELECT venice.alter_project('default', '{"description": "mine now"}');
SELECT venice.drop_project('default');
-- Who does not inherit his role's rights takes the role on first.
SET ROLE entries_heir;
SELECT venice.alter_project('growth', '{}');
RESET ROLE;

-- A new entity goes into the project that is named, or else into the current one; it is found there, or else in "default".
SET ROLE entries_growth;
SET venice.project = 'growth';
SELECT venice.create_entity('user', 'user_id bigint', '{"description": "Who signed up"}');
SELECT venice.create_entity('default.entries_user', 'user_id bigint NOT NULL, country varchar(2)');
SELECT venice.create_entity('default.user', 'name text');
SELECT name, project, owner, keys, description FROM venice.entities ORDER BY 2, 1;
SELECT venice.alter_entity('user', '{"description": "found in the current project"}');
SELECT venice.alter_entity('entries_user', '{"description": "found in default"}');
RESET venice.project;
SELECT venice.alter_entity('user', '{"description": "default, as no project is set"}');
SELECT name, project, description FROM venice.entities ORDER BY 2, 1;
SELECT venice.drop_entity('user');
SET venice.project = 'no_such';
SELECT venice.create_entity('lost', 'id bigint');
RESET venice.project;

-- Keys are a column list that could be a primary key.
SELECT venice.create_entity('bad', 'id');
SELECT venice.create_entity('bad', 'id bigint, id text');
SELECT venice.create_entity('bad', 'id json');
SELECT venice.create_entity('bad', 'id no_such_type');
SELECT venice.create_entity('bad', '_id bigint');
SELECT venice.create_entity('bad', '');
SELECT venice.create_entity('bad@1', 'id bigint');
SELECT venice.create_entity('bad:f', 'id bigint');
SELECT venice.create_entity('a.b.c', 'id bigint');
SELECT venice.create_entity('default.entries_user', 'id bigint');
SELECT venice.create_entity('bad', 'id bigint', '{"keys": "id text"}');
\set VERBOSITY sqlstate
SELECT venice.create_entity('bad', 'id bigint', '{"owner": "entries_ads"}');
\set VERBOSITY terse
SELECT venice.create_entity('bad', NULL);

-- Keys can be changed while no view uses the entity.
SELECT venice.alter_entity('entries_user', '{"keys": "user_id bigint, country text"}');
SELECT keys FROM venice.entities WHERE name = 'entries_user';
SELECT venice.alter_entity('entries_user', '{"colour": "red"}');
SELECT venice.alter_entity('no_such', '{}');
SELECT venice.alter_entity('entries_user@2', '{}');

-- Of an entity in somebody's project his team knows; altering it is its owner's.
SET ROLE entries_member;
SELECT venice.create_entity('mine.thing', 'id integer', '{"owner": "entries_member"}');
SELECT name FROM venice.entities ORDER BY 1;
SET ROLE entries_growth;
SELECT name FROM venice.entities WHERE project = 'mine';
SELECT venice.alter_entity('mine.thing', '{}');
RESET ROLE;
SET ROLE entries_ads;
SELECT name FROM venice.entities;
SELECT venice.drop_entity('growth.user');
RESET ROLE;
SELECT venice.alter_entity('growth.user', '{"owner": "entries_ads"}');
SET ROLE entries_growth;
SELECT name, owner FROM venice.entities WHERE project = 'growth';
SELECT venice.alter_entity('growth.user', '{"description": "not ours"}');
SET ROLE entries_ads;
SELECT venice.alter_entity('growth.user', '{"description": "ours"}');

-- A source is exactly one of a relation, a store, and a topic of a server.
SET ROLE entries_growth;
SELECT venice.create_source('s');
SELECT venice.create_source('s', relation => 'entries_data.flights', store => 'x');
SELECT venice.create_source('s', topic => 't');
SELECT venice.create_source('s', server => 'k');

-- A relation is one that its owner may read, that stays, and that has the columns which say when.
SELECT venice.create_source('entries_flights', relation => 'entries_data.flights', event_time => 'dep_time', created_time => 'loaded_at',
                            options => '{"description": "Departures"}');
SELECT venice.create_source('s', relation => 'entries_data.secret');
SELECT venice.create_source('s', relation => 'no_such');
SELECT venice.create_source('s', relation => 1::regclass);
SELECT venice.create_source('s', relation => '-');
SELECT venice.create_source('s', relation => 'pg_class_oid_index');
SELECT venice.create_source('s', relation => 'entries_data.flights', event_time => 'no_such');
SELECT venice.create_source('s', relation => 'entries_data.flights', event_time => 'delay');
SELECT venice.create_source('s', relation => 'entries_data.flights', created_time => 'carrier');
CREATE TEMP TABLE passing (id integer);
SELECT venice.create_source('s', relation => 'passing');
DROP TABLE passing;
-- A time without a zone is a point in time where somebody says in which zone it is.
SELECT venice.create_source('s', relation => 'entries_data.flights', event_time => 'local_time');
SELECT venice.create_source('s', relation => 'entries_data.flights', event_time => 'local_time', options => '{"time_zone": "Mars/Olympus"}');
SELECT venice.create_source('entries_local', relation => 'entries_data.flights', event_time => 'local_time', options => '{"time_zone": "Europe/Berlin"}');
SELECT venice.alter_source('entries_local', '{"time_zone": null}');
SELECT venice.create_source('s', relation => 'entries_data.flights', options => '{"columns": "id bigint"}');
SELECT venice.create_source('entries_flights', relation => 'entries_data.flights');
SELECT name, relation, event_time, created_time_column, options, description FROM venice.sources ORDER BY 1;

-- Of a relation that is gone its source can be dropped, or pointed at another.
RESET ROLE;
CREATE TABLE entries_data.passing (seen timestamptz);
CREATE TABLE entries_data.staying (seen timestamptz);
SELECT venice.create_source('entries_passing', relation => 'entries_data.passing', event_time => 'seen');
DROP TABLE entries_data.passing;
SELECT event_time, relation::text ~ '^[0-9]+$' AS is_gone FROM venice.sources WHERE name = 'entries_passing';
SELECT venice.alter_source('entries_passing', '{"description": "Gone"}');
SELECT venice.alter_source('entries_passing', '{"relation": "-"}');
SELECT venice.alter_source('entries_passing', '{"relation": "entries_data.staying"}');
DROP TABLE entries_data.staying;
SELECT venice.drop_source('entries_passing');

-- Whose rights count is the owner's: a source does not read for him what he could not.
RESET ROLE;
SELECT venice.create_source('entries_secret', relation => 'entries_data.secret', options => '{"owner": "entries_growth"}');
SELECT venice.create_source('entries_secret', relation => 'entries_data.secret');
SELECT venice.alter_source('entries_secret', '{"owner": "entries_growth"}');

-- A store is a source of its owner, with its times of events if it has some; its records alone are not, as a push replaces them.
SELECT current_database() AS here, current_user AS me \gset
GRANT CREATE ON DATABASE :"here" TO entries_growth;
SET ROLE entries_growth;
SELECT venice.create_store('entries_store', 'id bigint', 'v integer, seen timestamptz');
SELECT venice.create_source('s', relation => 'entries_store.records');
SELECT venice.create_source('s', store => 'no_such');
SELECT venice.create_source('s', store => 'entries_store', event_time => 'v');
SELECT venice.create_source('entries_s', store => 'entries_store', event_time => 'seen');
SELECT venice.create_source('s', store => 'entries_store', options => '{"key_format": "json"}');
SELECT venice.create_source('s', store => 'entries_store', options => '{"time_zone": "UTC"}');
SET ROLE entries_ads;
SELECT venice.create_source('s', store => 'entries_store');
RESET ROLE;
SELECT venice.create_source('s', store => 'entries_store', options => '{"owner": "entries_ads"}');

-- A topic's server is one that the owner may use, and somebody says what its records hold and how they are written.
CREATE SERVER entries_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
SET ROLE entries_growth;
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks', options => '{"columns": "clicks bigint"}');
SELECT venice.create_source('s', server => 'no_such', topic => 'clicks', options => '{"columns": "clicks bigint"}');
RESET ROLE;
GRANT USAGE ON FOREIGN SERVER entries_kafka TO entries_growth;
SET ROLE entries_growth;
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks');
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks', options => '{"columns": "clicks"}');
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks', options => '{"columns": "clicks bigint", "value_format": "xml"}');
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks', options => '{"columns": "clicks bigint", "cache": true}');
SELECT venice.create_source('s', server => 'entries_kafka', topic => 'clicks', event_time => 'clicks', options => '{"columns": "clicks bigint"}');
SELECT venice.create_source('entries_clicks', server => 'entries_kafka', topic => 'clicks', event_time => 'at',
                            options => '{"columns": "clicks bigint", "key_format": "int8", "value_format": "json"}');
SELECT name, store, server, topic, event_time, columns, options FROM venice.sources WHERE relation IS NULL ORDER BY 1;

-- What a source is stays; the rest can be altered, and reset.
SELECT venice.alter_source('entries_flights', '{"topic": "t"}');
SELECT venice.alter_source('entries_clicks', '{"relation": "entries_data.flights"}');
SELECT venice.alter_source('entries_flights', '{"event_time": "no_such"}');
SELECT venice.alter_source('entries_flights', '{"created_time": null, "event_time": "loaded_at", "description": "By arrival"}');
SELECT venice.alter_source('entries_clicks', '{"topic": "clicks_2", "columns": "clicks bigint, at timestamptz", "key_format": null}');
SELECT name, topic, event_time, created_time_column, columns, options, description FROM venice.sources
 WHERE name IN ('entries_flights', 'entries_clicks') ORDER BY 1;
SELECT venice.alter_source('no_such', '{}');
SET ROLE entries_stranger;
SELECT count(*) FROM venice.sources;
SELECT venice.alter_source('entries_flights', '{}');
SELECT venice.drop_source('entries_flights');
RESET ROLE;

-- Nothing is changed by reading, nor on a server or in a transaction that is read-only.
BEGIN READ ONLY;
SELECT venice.create_entity('r', 'id bigint');
ROLLBACK;
-- In REPEATABLE READ a change that is based on what is no longer so fails: see the isolation spec. Alone it does not.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT venice.create_entity('entries_r', 'id bigint');
SELECT venice.drop_entity('entries_r');
COMMIT;

-- Every change has a row in the audit: what it was, what it is, and who made it; what changes nothing has none.
SELECT venice.alter_source('entries_flights', '{"description": "By arrival"}');
\pset format unaligned
SELECT action, kind, project, name, NULLIF(role, current_user) AS role, owner, before, after FROM venice.audit
 WHERE kind IN ('project', 'entity') AND project IN ('growth', 'mine') OR name IN ('entries_flights', 'entries_clicks') ORDER BY audit_id;
SELECT action, name, role, owner, before, after FROM venice.audit WHERE kind = 'store' ORDER BY audit_id DESC LIMIT 1;
\pset format aligned
-- A writer's schema that is made known is a change of its store, which is made once.
BEGIN;
SELECT venice.create_store('entries_registered', 'id integer', 'v integer');
SELECT venice.register_value_schema('entries_registered', '"int"', 7);
SELECT venice.register_value_schema('entries_registered', '"int"', 7);
SELECT action, kind, name, owner = current_user AS owned, before, after FROM venice.audit WHERE name = 'entries_registered' AND action <> 'create';
ROLLBACK;
SET ROLE entries_member;
SELECT count(*) > 0 AS sees_his FROM venice.audit;
SET ROLE entries_stranger;
SELECT count(*) FROM venice.audit;
RESET ROLE;

-- The audit is only added to: not even the owner of the database changes or deletes a row.
ALTER DATABASE :"here" OWNER TO entries_ads;
SET ROLE entries_ads;
UPDATE venice.audit_entry SET role_name = 'innocent';
DELETE FROM venice.audit_entry;
TRUNCATE venice.audit_entry;
DELETE FROM venice.audit;
SELECT venice.alter_project('default', '{"description": "everybody''s"}');
SELECT name, owner, description FROM venice.projects WHERE name = 'default';
RESET ROLE;
ALTER DATABASE :"here" OWNER TO :"me";
DELETE FROM venice.project WHERE project = 'default';

-- Rows of the audit go when they are older than its retention, and not before.
INSERT INTO venice.audit_entry (changed_time, role_name, action, kind, name) VALUES
    (now() - interval '401 days', 'r', 'create', 'store', 'entries_old'), (now() - interval '399 days', 'r', 'create', 'store', 'entries_young');
CALL venice.run_maintenance();
SELECT name FROM venice.audit WHERE name ~ '^entries_(old|young)';

-- What a view is about, and where it is from, stays as long as the view does: who would change or drop it is told of the view.
CREATE TABLE entries_data.less (carrier text, delay numeric, dep_time timestamptz);
CREATE TABLE entries_data.more (dep_time timestamptz, carrier text, origin text, delay double precision, more text);
GRANT SELECT ON entries_data.less, entries_data.more TO entries_growth;
SET ROLE entries_growth;
SELECT venice.alter_source('entries_flights', '{"event_time": "dep_time"}');
SELECT venice.create_entity('entries_carrier', 'carrier text');
SELECT venice.create_feature_view('entries_delays', '{entries_carrier}', 'entries_flights', 'delay * 60 AS seconds, upper(origin) AS hub');
\set VERBOSITY default
SELECT venice.alter_entity('entries_carrier', '{"keys": "carrier varchar(2)"}');
SELECT venice.drop_entity('entries_carrier');
SELECT venice.drop_source('entries_flights');
SELECT venice.alter_source('entries_flights', '{"relation": "entries_data.less"}');
-- Views of it have a time of events for good, or none.
SELECT venice.alter_source('entries_flights', '{"event_time": null}');
SELECT venice.create_source('entries_timeless', relation => 'entries_data.more');
SELECT venice.create_feature_view('entries_timeless', '{entries_carrier}', 'entries_timeless', 'more');
SELECT venice.alter_source('entries_timeless', '{"event_time": "dep_time"}');
SELECT venice.drop_feature_view('entries_timeless'), venice.drop_source('entries_timeless');
SELECT venice.drop_store('entries_delays', force => true);
SELECT venice.alter_store('entries_delays', value => 'seconds double precision');
SELECT venice.alter_store('entries_delays', '{"owner": "entries_growth"}');
\set VERBOSITY terse
-- What the view does not notice may change.
SELECT venice.alter_entity('entries_carrier', '{"keys": "carrier text", "description": "IATA code"}');
SELECT venice.alter_source('entries_flights', '{"relation": "entries_data.more"}');
SELECT relation, event_time FROM venice.sources WHERE name = 'entries_flights';
SELECT venice.alter_store('entries_delays', '{"versions_to_keep": 3}');

-- A store of rows that have times of events is pushed them, keeps them, and does not show them in its functions.
SELECT venice.push('entries_delays', $$VALUES ('UA', 60.0, 'EWR', timestamptz '2013-01-01 00:00:00Z'), ('AA', 120.0, 'JFK', NULL)$$);
SELECT * FROM entries_delays.get('UA');
SELECT ordinality, carrier, seconds, hub FROM entries_delays.batch_get('{AA,UA}') AS r;
SELECT seconds, _event_time AT TIME ZONE 'UTC' AS event_time FROM venice_internal.get('entries_delays', 'UA'::text) AS r (seconds double precision, _event_time timestamptz);
SELECT length(entries_delays.get_packed('UA')) = (SELECT length(entries_delays.get_packed('AA'))) AS packed_without_time;
SELECT column_name, is_key, pg_type FROM venice.columns WHERE store = 'entries_delays' ORDER BY position;
SELECT venice.push('entries_delays', $$VALUES ('UA', 60.0, 'EWR')$$);
-- A store may have such times without a view's saying so only by being made for one.
SELECT venice.create_store('entries_t', 'id bigint', 'v integer, _event_time timestamptz');
-- And is a source of them.
SELECT venice.create_source('entries_again', store => 'entries_delays');
SELECT event_time FROM venice.sources WHERE name = 'entries_again';

-- Whom the rows of a view are shared with sees what it is about, and not where it is from; to him it is not to change.
GRANT USAGE ON SCHEMA entries_delays TO entries_ads;
SET ROLE entries_ads;
SELECT name FROM venice.entities;
RESET ROLE;
GRANT SELECT (carrier, hub) ON entries_delays.records TO entries_ads;
SET ROLE entries_ads;
SELECT name, project, owner, keys, description FROM venice.entities;
SELECT name FROM venice.sources;
SELECT venice.drop_entity('entries_carrier');
-- He may make views that are about it, which its owner is told of without their names.
RESET ROLE;
GRANT USAGE ON SCHEMA entries_data TO entries_ads;
GRANT SELECT ON entries_data.more TO entries_ads;
GRANT CREATE ON DATABASE :"here" TO entries_ads;
SET ROLE entries_ads;
SELECT venice.create_source('entries_theirs', relation => 'entries_data.more');
SELECT venice.create_feature_view('entries_hidden', '{entries_carrier}', 'entries_theirs', 'origin');
SET ROLE entries_growth;
\set VERBOSITY default
SELECT venice.drop_entity('entries_carrier');
\set VERBOSITY terse
-- Nor does force take them along: that needs the rights of their owner.
SELECT venice.drop_entity('entries_carrier', force => true);
SET ROLE entries_ads;
SELECT venice.drop_source('entries_theirs', force => true);
SELECT name FROM venice.feature_views WHERE name = 'entries_hidden';
SET ROLE entries_growth;
SELECT venice.drop_entity('entries_carrier', force => true);
SELECT name FROM venice.feature_views;
SELECT to_regnamespace('entries_delays'), to_regnamespace('entries_hidden');

-- Stores that were made for a topic keep what they were made with.
SELECT venice.create_entity('entries_clicker', 'user_id bigint');
SET client_min_messages = error;
SELECT venice.create_feature_view('entries_clicked', '{entries_clicker}', 'entries_clicks', 'clicks');
RESET client_min_messages;
\set VERBOSITY default
SELECT venice.alter_source('entries_clicks', '{"topic": "others"}');
SELECT venice.alter_source('entries_clicks', '{"columns": "clicks integer, at timestamptz"}');
\set VERBOSITY terse
SELECT venice.alter_source('entries_clicks', '{"columns": "clicks bigint, at timestamptz, more text", "description": "More"}');
SELECT venice.drop_entity('entries_clicker', force => true);
RESET ROLE;
REVOKE CREATE ON DATABASE :"here" FROM entries_ads;

-- A project with something in it is dropped only by force, and then with all of it.
SET ROLE entries_member;
SELECT venice.drop_project('mine');
SELECT venice.drop_project('mine', force => true);
SELECT count(*) FROM venice.entities WHERE project = 'mine';
SELECT venice.drop_project('mine');
-- By force, but with the rights for each: this one's entity is somebody else's.
SELECT venice.drop_project('growth', force => true);
RESET ROLE;
SELECT venice.drop_project('growth', force => true);

-- Who owns what a role leaves behind is the database's owner.
CREATE ROLE entries_gone;
SELECT venice.create_entity('entries_orphan', 'id bigint', '{"owner": "entries_gone"}');
DROP ROLE entries_gone;
SET ROLE entries_ads;
SELECT venice.drop_entity('entries_orphan');
RESET ROLE;
ALTER DATABASE :"here" OWNER TO entries_ads;
SET ROLE entries_ads;
SELECT venice.drop_entity('entries_orphan');
RESET ROLE;
ALTER DATABASE :"here" OWNER TO :"me";

SELECT venice.drop_source(name) FROM venice.sources WHERE name ~ '^entries_' ORDER BY name;
SELECT venice.drop_entity('entries_user');
SELECT venice.drop_store('entries_store');
SELECT count(*) FROM (SELECT FROM venice.projects UNION ALL SELECT FROM venice.entities UNION ALL SELECT FROM venice.sources) AS left_over;
DROP SERVER entries_kafka;
DROP TABLE entries_data.flights, entries_data.secret, entries_data.less, entries_data.more;
DROP SCHEMA entries_data;
REVOKE CREATE ON DATABASE :"here" FROM entries_growth;
DROP ROLE entries_member, entries_heir, entries_growth, entries_ads, entries_stranger;
