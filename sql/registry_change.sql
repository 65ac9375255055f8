-- Theme: a view changes: what applies in place, what is refused and with whose names, view versions beside each other, and their end.

\set SHOW_CONTEXT never
CREATE ROLE change_team;
CREATE ROLE change_other;
SELECT format('GRANT CREATE ON DATABASE %I TO change_team', current_database()) \gexec
CREATE SCHEMA change_data;
GRANT USAGE ON SCHEMA change_data TO change_team;
CREATE TABLE change_data.events (user_id bigint, at timestamptz, clicks integer, ctr real, country text, score numeric(6,2));
CREATE TABLE change_data.events_2 (LIKE change_data.events);
GRANT SELECT ON change_data.events, change_data.events_2 TO change_team;
SET ROLE change_team;
SELECT venice.create_entity('person', 'user_id bigint');
SELECT venice.create_entity('visitor', 'country text');
SELECT venice.create_source('events', relation => 'change_data.events', event_time => 'at');
SELECT venice.create_source('events_2', relation => 'change_data.events_2', event_time => 'at');
SELECT venice.create_source('no_time', relation => 'change_data.events_2');
SELECT venice.create_feature_view('stats', '{person}', 'events', 'clicks, ctr', '1 day',
    options => '{"description": "of people", "tags": {"a": "1"}, "feature_descriptions": {"ctr": "Rate", "clicks": "How many"}}');
SELECT venice.push('stats', 'SELECT 1, 10, 0.5, now()');

-- Options, ttl and expressions change in place; a JSON null resets an option, and what is not named stays.
SELECT venice.alter_feature_view('stats', '{"description": null, "tags": {"b": "2"}}');
SELECT venice.alter_feature_view('stats', ttl => '2 days');
SELECT venice.alter_feature_view('stats', features => 'clicks * 2 AS clicks, ctr');
SELECT view_version, features, ttl, description, tags FROM venice.feature_views WHERE name = 'stats';
SELECT name, description FROM venice.features WHERE view = 'stats' ORDER BY position;
SELECT venice.alter_feature_view('stats', '{"ttl": null, "feature_descriptions": {"clicks": "Twice as many"}}');
SELECT ttl FROM venice.feature_views WHERE name = 'stats';
SELECT attname, col_description(attrelid, attnum) FROM pg_attribute WHERE attrelid = 'stats.records'::regclass AND attnum > 0 ORDER BY attnum;

-- A new feature behind the others and a wider type apply in place, this from the store's next version on.
SELECT venice.alter_feature_view('stats', '{"feature_descriptions": {"country": "Where"}}', 'clicks::bigint AS clicks, ctr, country');
SELECT name, type, expression, description FROM venice.features WHERE view = 'stats' ORDER BY position;
SELECT * FROM stats.get(1);
SELECT venice.push('stats', $$SELECT 1, 5000000000, 0.5, 'de', timestamptz '2013-06-01'$$);
SELECT * FROM stats.get(1);
-- What is said of it is said of its column then.
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
  FROM pg_attribute WHERE attrelid = 'stats.records'::regclass AND attnum > 0 ORDER BY attnum;

-- What a reader would notice is refused, all of it at once.
SELECT venice.alter_feature_view('stats', features => 'ctr, clicks::text AS clicks, country');
SELECT venice.alter_feature_view('stats', features => 'clicks::bigint AS clicks');
SELECT venice.alter_feature_view('stats', features => 'clicks::bigint AS clicks, ctr AS rate, country');
SELECT venice.alter_feature_view('stats', features => 'clicks, ctr, country');
SELECT venice.alter_feature_view('stats', features => 'score, clicks::bigint AS clicks, ctr, country');
SELECT venice.alter_feature_view('stats', '{"entities": ["visitor"]}', 'clicks::bigint AS clicks, ctr');
SELECT venice.alter_feature_view('stats', '{"source": "no_time"}');
SELECT venice.alter_feature_view('stats', '{"online": false}');
SELECT venice.alter_feature_view('stats', '{"store": "elsewhere"}');
SELECT venice.alter_feature_view('stats', '{"colour": "red"}');
SELECT venice.alter_feature_view('stats', '{"entities": "visitor"}');
SELECT venice.alter_feature_view('stats', '{"online": "sometimes"}');
SELECT venice.alter_feature_view('stats', features => 'no_such');
SELECT venice.alter_feature_view('stats', '{"feature_descriptions": {"no_such": "x"}}');
SELECT name, type FROM venice.features WHERE view = 'stats' ORDER BY position;
-- Another relation with the same columns is none of that.
SELECT venice.alter_feature_view('stats', '{"source": "events_2"}', 'clicks::bigint AS clicks, ctr, country');
SELECT source, features FROM venice.feature_views WHERE name = 'stats';

-- Who uses a view is named, and of others' objects only how many there are.
SELECT venice.create_on_demand_view('ratio', '{stats:ctr}', 'ctr / price AS per_price', 'price float8');
SELECT venice.grant_feature('stats', 'change_other');
SET ROLE change_other;
SELECT venice.create_on_demand_view('others', '{stats:clicks}', 'clicks + 1 AS more');
SET ROLE change_team;
SELECT venice.alter_feature_view('stats', features => 'ctr');
SELECT venice.drop_feature_view('stats');

-- With new_version a change stands beside what was: with a store of its own, and the old one as it is.
SELECT venice.alter_feature_view('stats', features => 'ctr::numeric AS ctr, clicks', new_version => true);
SELECT view_version, features, store, ttl, tags FROM venice.feature_views WHERE name = 'stats' ORDER BY 1;
SELECT view_version, name, type, description FROM venice.features WHERE view = 'stats' ORDER BY view_version, position;
SELECT venice.push('stats_at2', 'SELECT 1, 0.25, 7, now()');
SELECT * FROM stats.get(1);
SELECT * FROM stats_at2.get(1);
-- A name without a number means the newest, and so does an input.
SELECT venice.create_on_demand_view('newest', '{stats:ctr}', 'ctr * 2 AS twice');
SELECT inputs FROM venice.feature_views WHERE name IN ('ratio', 'newest') ORDER BY name;
SELECT venice.alter_feature_view('stats@2', '{"entities": ["visitor"], "keys": {"country": "country"}, "store": "stats_by_country"}', new_version => true);
SELECT view_version, entities, store FROM venice.feature_views WHERE name = 'stats' ORDER BY 1;
SELECT venice.alter_feature_view('stats@3', '{"online": false}', new_version => true);
SELECT venice.alter_feature_view('stats@7');
-- Services keep the view version, and the types, that they were made with, until they are moved.
SELECT venice.create_service('model', '{stats@1:clicks, stats@1:ctr}');
SELECT venice.create_service('other_model', '{ratio:per_price}');
SELECT venice.alter_feature_view('stats@1', features => 'clicks::bigint AS clicks, ctr::numeric AS ctr, country');
SELECT venice.alter_on_demand_view('ratio', expressions => 'ctr AS price_less');
SELECT venice.alter_feature_view('stats@1', '{"ttl": "1 second"}');
SELECT clicks, ctr, _status FROM model.get(1);
SELECT venice.alter_feature_view('stats@1', '{"ttl": null}');
SELECT clicks, ctr, _status FROM model.get(1);
SELECT venice.move_service('model', 'stats@2');
SELECT clicks, ctr, _status FROM model.get(1);
SELECT venice.drop_on_demand_view('ratio');
SELECT venice.drop_service('other_model');
-- A version number is not given twice while a later one is there.
SELECT venice.drop_feature_view('stats@3');
SELECT venice.alter_feature_view('stats@1', new_version => true);
SELECT view_version, online, store FROM venice.feature_views WHERE name = 'stats' ORDER BY 1;

-- A view version that is deprecated is not meant by its name alone, and whoever begins to use it is warned.
SELECT venice.deprecate('stats@5') = now() + interval '90 days' AS in_90_days;
SELECT venice.deprecate('stats@4', '1 day') > now() AS soon;
SELECT venice.deprecate('stats@2', '-1 day');
SELECT venice.alter_feature_view('stats', '{"tags": {"meant": "2"}}');
SELECT view_version, tags, deprecated_until > now() AS deprecated FROM venice.feature_views WHERE name = 'stats' ORDER BY 1;
\set VERBOSITY terse
SELECT venice.create_on_demand_view('warned', '{stats@5:clicks}', 'clicks + 1 AS more');
SELECT venice.create_service('warned_model', '{stats@5:clicks}');
SELECT venice.move_service('model', 'stats@5');
\set VERBOSITY default
SELECT venice.deprecate('stats@5', NULL);
SELECT deprecated_until FROM venice.feature_views WHERE name = 'stats' AND view_version = 5;
SELECT action, name, before ->> 'deprecated_until' IS NULL AS was_not, after ->> 'deprecated_until' IS NULL AS is_not
  FROM venice.audit WHERE action = 'deprecate' ORDER BY audit_id;

-- What was defined under one search_path is altered under another one, and means the same.
RESET ROLE;
CREATE SCHEMA change_types;
CREATE TYPE change_types.grade AS ENUM ('a', 'b');
GRANT USAGE ON SCHEMA change_types TO change_team;
SET ROLE change_team;
SET search_path = change_types;
SELECT venice.create_feature_view('grades', '{person}', 'events', 'country::grade AS grade');
RESET search_path;
SELECT venice.alter_feature_view('grades', '{"description": "x"}');
SELECT v.features, f.expression FROM venice.feature_views v JOIN venice.features f ON f.view = v.name WHERE v.name = 'grades';

-- Fields of a topic change with the features that are read from them; its server does not.
RESET ROLE;
CREATE SERVER change_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE SERVER change_kafka_2 FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER change_kafka, change_kafka_2 TO change_team;
SET ROLE change_team;
SELECT venice.create_source('topic', server => 'change_kafka', topic => 'one', options => '{"columns": "n integer, score real", "key_format": "int8", "value_format": "json"}');
SELECT venice.create_source('topic_2', server => 'change_kafka', topic => 'two', options => '{"columns": "n integer, score real", "key_format": "int8", "value_format": "json"}');
SELECT venice.create_source('topic_3', server => 'change_kafka_2', topic => 'two', options => '{"columns": "n integer, score real", "key_format": "int8", "value_format": "json"}');
SELECT venice.create_feature_view('topical', '{person}', 'topic', 'n AS clicks');
SELECT venice.alter_feature_view('topical', '{"source": "topic_2"}', 'n AS clicks, score AS rate');
SELECT value_columns, options -> 'fields' AS fields, options -> 'version_topic' AS topic FROM venice.stores WHERE store = 'topical';
SELECT venice.alter_feature_view('topical', '{"source": "topic_3"}', 'n AS clicks, score AS rate');
SELECT venice.alter_feature_view('topical', '{"source": "events"}', 'clicks, ctr AS rate');

-- On-demand views: expressions in place, what a caller has to give is not.
SELECT venice.alter_on_demand_view('ratio', expressions => 'ctr / nullif(price, 0) AS per_price');
SELECT venice.alter_on_demand_view('ratio', '{"request": "price float8, discount float8"}');
SELECT venice.alter_on_demand_view('ratio', '{"inputs": ["stats@1:ctr", "stats@1:clicks"]}', 'ctr / nullif(price, 0) AS per_price, clicks / price AS clicks_per_price');
SELECT venice.alter_on_demand_view('ratio', expressions => '1 AS one');
SELECT venice.alter_on_demand_view('ratio', '{"request": null}', 'ctr::float8 AS per_price', new_version => true);
SELECT view_version, inputs, request, features FROM venice.feature_views WHERE name = 'ratio' ORDER BY 1;
SELECT venice.create_label_view('left_us', '{person}', 'events', 'clicks = 0 AS gone', '7 days');
SELECT venice.alter_label_view('left_us', '{"window_length": "14 days"}');
SELECT venice.alter_label_view('left_us', features => 'clicks AS gone');
SELECT venice.alter_label_view('left_us', '{"window_length": "-1 day"}');
SELECT window_length, features FROM venice.feature_views WHERE name = 'left_us';

-- Dropping a name drops all its view versions, or nothing.
SELECT venice.drop_feature_view('stats');
SELECT count(*) FROM venice.feature_views WHERE name = 'stats';
-- With force goes what uses it, if it is one's own.
SELECT venice.drop_feature_view('stats@1', force => true);
SET ROLE change_other;
SELECT venice.drop_on_demand_view('others');
SET ROLE change_team;
SELECT venice.drop_feature_view('stats', force => true);
SELECT venice.drop_feature_view(name) FROM venice.feature_views WHERE kind = 'feature';
SELECT venice.drop_label_view('left_us');
SELECT name, view_version FROM venice.feature_views;
SELECT store FROM venice.stores;

RESET ROLE;
SELECT count(*) FROM venice.feature_view;
SELECT venice.drop_source(name) FROM venice.sources;
SELECT venice.drop_entity(name) FROM venice.entities;
DROP SERVER change_kafka;
DROP SERVER change_kafka_2;
\set VERBOSITY terse
SET client_min_messages = warning;
DROP SCHEMA change_data, change_types CASCADE;
DROP OWNED BY change_team;
DROP ROLE change_team, change_other;
