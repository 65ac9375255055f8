-- Theme: finding one's way in the registry: search, describe, lineage, by what one may see.
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE ROLE search_air;
CREATE ROLE search_sea;
CREATE ROLE search_reader;
GRANT CREATE ON DATABASE regression TO search_air, search_sea;
CREATE SCHEMA search AUTHORIZATION search_air;
GRANT USAGE ON SCHEMA search TO search_sea;
SET ROLE search_air;
CREATE TABLE search.flights (carrier text, delay real, "Miles" integer, at timestamptz, loaded timestamptz);
GRANT SELECT ON search.flights TO search_sea;
SELECT venice.create_project('air', 'search_air');
SET venice.project = 'air';
SELECT venice.create_entity('airline', 'carrier text', '{"description": "who flies"}');
SELECT venice.create_source('flight_events', 'search.flights', event_time => 'at', created_time => 'loaded');
SELECT venice.create_feature_view('carrier_stats', '{airline}', 'flight_events', 'delay, "Miles" AS distance', ttl => '7 days',
    options => '{"description": "rolling delay", "tags": {"tier": "gold"}, "feature_descriptions": {"delay": "minutes late"}}');
SELECT venice.create_on_demand_view('ratio', '{carrier_stats:delay}', 'delay / nullif(hours, 0) AS per_hour', 'hours real');
SELECT venice.create_service('search_model', '{carrier_stats:*, ratio:per_hour}',
    '{"model": "arrival", "model_version": "3", "description": "when it lands"}');
SELECT venice.create_store('search_scores', 'id integer', 'score real');
RESET venice.project;
RESET ROLE;

-- Every word begins a word of a name, a description, a tag or an owner.
SELECT kind, name, project, owner, description FROM venice.search('delay carr');
SELECT kind, name FROM venice.search('GOLD');
SELECT kind, name FROM venice.search('search_air rolling');
SELECT kind, name FROM venice.search('arrival');
SELECT kind, name FROM venice.search('scor');
-- What is called so comes first, and names before descriptions.
SELECT kind, name FROM venice.search('delay');
-- No words are everything, the store of a view excepted, which is the view's; a kind is only that.
SELECT kind, name FROM venice.search('  ', max_rows => 100) WHERE owner = 'search_air' ORDER BY 1, 2;
SELECT kind, name FROM venice.search(NULL, 'feature') WHERE owner = 'search_air';
SELECT count(*) FROM venice.search('', max_rows => 2);
-- What is no word of a query's language is no operator.
SELECT kind, name FROM venice.search('carrier & ! (stats | '':*');
-- A wrong kind is told which there are.
SELECT * FROM venice.search('x', 'views');

-- A view is described with its store, what fills it, and who uses it.
SELECT * FROM venice.describe('air.carrier_stats') \gx
SELECT venice.push('air_carrier_stats', 'SELECT ''UA'', 1, 2, now()') AS version;
SELECT property, substr(value, 1, 8) AS value FROM venice.describe('air.carrier_stats')
 WHERE property IN ('current version', 'rows') ORDER BY 1;
SET venice.project = 'air';
-- What is said to fill the store does.
SET ROLE search_air;
INSERT INTO search.flights VALUES ('UA', 1, 100, '2026-01-01', '2026-01-01'), ('UA', 2, 200, '2026-01-02', '2026-01-02'),
    ('AA', 3, 300, '2026-01-01', '2026-01-01'), ('AA', 4, 400, '2026-01-01', '2026-01-02');
SELECT value FROM venice.describe('carrier_stats') WHERE property = 'filled by' \gexec
SELECT * FROM air_carrier_stats.batch_get('{AA,UA}');
RESET ROLE;
-- So are features, services, entities, sources, stores and projects.
SELECT * FROM venice.describe('carrier_stats:delay');
SELECT * FROM venice.describe('ratio');
SELECT * FROM venice.describe('search_model');
SELECT * FROM venice.describe('airline');
SELECT * FROM venice.describe('flight_events');
SELECT * FROM venice.describe('search_scores');
SELECT * FROM venice.describe('air');
-- What is not there is said to be not there.
SELECT * FROM venice.describe('carrier_stats@2');
SELECT * FROM venice.describe('carrier_stats:nothing');
SELECT * FROM venice.describe('a b');
SELECT * FROM venice.describe(NULL);

-- From columns to models, and back.
SELECT * FROM venice.upstream('search_model');
SELECT * FROM venice.downstream('search.flights');
SELECT * FROM venice.downstream('search.flights."Miles"');
SELECT kind, name FROM venice.upstream('arrival@3') WHERE depth <= 2;
SELECT * FROM venice.upstream('air_carrier_stats') WHERE depth = 1;
SELECT * FROM venice.downstream('search_model');
-- A relation is found by the caller's search_path.
SET search_path = search;
SELECT count(*) FROM venice.downstream('flights');
RESET search_path;
SELECT * FROM venice.upstream('search.nothing');
SELECT * FROM venice.upstream(NULL);
-- What is not used by anything is there all the same.
SELECT * FROM venice.downstream('search_scores');
SELECT from_kind, from_name, to_kind, to_name FROM venice.lineage WHERE to_name ~ '^air[.]' OR from_name ~ '^air[.]' ORDER BY 1, 2, 3, 4;
SELECT venice.lineage_dot('ratio');
SELECT venice.lineage_dot() LIKE '%"relation search.flights" -> "source air.flight_events";%' AS everything;

-- Another team sees nothing of it, not that it is there.
SET ROLE search_sea;
SELECT kind, name FROM venice.search('');
SELECT * FROM venice.describe('air.carrier_stats');
SELECT * FROM venice.describe('air');
SELECT * FROM venice.upstream('air.search_model');
SELECT * FROM venice.downstream('search.flights');
SELECT * FROM venice.downstream('search.flights.delay');
SELECT * FROM venice.upstream('arrival@3');
SELECT count(*) FROM venice.lineage;
SELECT venice.lineage_dot();
SELECT venice.export('air');
SELECT venice.export() -> 'feature_views' AS views;
RESET ROLE;
-- What is shared with somebody he sees: the view, what it is about, not where it is from or who else uses it.
SET ROLE search_air;
SELECT venice.grant_feature('carrier_stats:delay', 'search_reader');
SELECT value FROM venice.describe('carrier_stats') WHERE property = 'readable by';
SET ROLE search_reader;
SELECT kind, name FROM venice.search('');
SELECT property FROM venice.describe('air.carrier_stats') WHERE property IN ('kind', 'used by', 'store');
SELECT * FROM venice.upstream('air.carrier_stats');
SELECT * FROM venice.downstream('air.airline');
RESET ROLE;

-- Similar words are found where pg_trgm is, wherever it is; a function of its name is not taken for it.
SELECT kind, name FROM venice.search('cariers');
CREATE SCHEMA search_trgm AUTHORIZATION search_sea;
SET ROLE search_sea;
CREATE FUNCTION search_trgm.similarity(text, text) RETURNS real LANGUAGE plpgsql AS $$BEGIN RAISE WARNING 'called as %', current_user; RETURN 1; END$$;
RESET ROLE;
SET search_path = search_trgm, pg_catalog;
SELECT kind, name FROM venice.search('cariers');
RESET search_path;
CREATE SCHEMA search_extension;
CREATE EXTENSION pg_trgm SCHEMA search_extension;
SELECT kind, name FROM venice.search('cariers');
SELECT kind, name FROM venice.search('cariers stast');
SELECT kind, name FROM venice.search('xyzzy');
DROP EXTENSION pg_trgm;

SET ROLE search_air;
SELECT venice.drop_project('air', force => true);
SELECT venice.drop_store('search_scores');
RESET ROLE;
DROP SCHEMA search, search_trgm, search_extension CASCADE;
REVOKE CREATE ON DATABASE regression FROM search_air, search_sea;
DROP ROLE search_air, search_sea, search_reader;
