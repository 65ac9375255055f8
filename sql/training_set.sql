-- Theme: training sets: tables that know how they were made.

\set SHOW_CONTEXT never
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE ROLE regress_ts_owner;
CREATE ROLE regress_ts_reader;
SELECT format('GRANT CREATE ON DATABASE %I TO regress_ts_owner', current_database()) \gexec
CREATE SCHEMA ts AUTHORIZATION regress_ts_owner;
GRANT USAGE ON SCHEMA ts TO regress_ts_reader;
SET ROLE regress_ts_owner;
SET search_path = ts;

CREATE TABLE flights (id int, carrier text, dep_time timestamptz, arr_delay int);
INSERT INTO flights SELECT i, (ARRAY['UA', 'AA', 'B6'])[i % 3 + 1], '2013-06-02 12:00+00'::timestamptz + i * interval '10 hours', i
  FROM generate_series(0, 8) i;
CREATE TABLE delays (carrier text, at timestamptz, delay float8, n int, on_time boolean);
INSERT INTO delays SELECT c, '2013-06-01 00:00+00'::timestamptz + i * interval '1 day', i * 1.5, i, i > 1
  FROM unnest('{UA,AA}'::text[]) c, generate_series(0, 5) i;
SELECT venice.create_entity('ts_carrier', 'carrier text');
SELECT venice.create_source('ts_delays', relation => 'delays', event_time => 'at');
SELECT venice.create_feature_view('ts_stats', '{ts_carrier}', 'ts_delays', features => 'delay, n AS flights, on_time', ttl => '7 days');
SELECT venice.create_service('ts_model', '{ts_stats:delay}');

-- hash_fraction -----------------------------------------------------------------------------------------------------

-- Keys have the fraction that the manual's definition gives them, wherever they are hashed.
SELECT venice.hash_fraction(42), venice.hash_fraction('UA'), venice.hash_fraction(42, 'UA');
-- An integer is the same whatever its width, and a text whatever its type.
SELECT venice.hash_fraction(42::int2) = venice.hash_fraction(42::int8) AS widths,
       venice.hash_fraction(42.00) = venice.hash_fraction(42) AS numeric,
       venice.hash_fraction('UA'::varchar) = venice.hash_fraction('UA'::char(4)) AS texts,
       venice.hash_fraction('UA'::name) = venice.hash_fraction('UA'::text) AS name,
       venice.hash_fraction(0.0::float8) = venice.hash_fraction('-0'::float8) AS zeros,
       venice.hash_fraction(1.5::float4) = venice.hash_fraction(1.5::float8) AS floats,
       venice.hash_fraction(VARIADIC ARRAY[1, 2]) = venice.hash_fraction(1, 2) AS variadic;
-- Where one key ends and the next begins matters, and what is no integer is none.
SELECT venice.hash_fraction('a', 'bc') <> venice.hash_fraction('ab', 'c') AS texts,
       venice.hash_fraction(1, 2) <> venice.hash_fraction(12) AS integers,
       venice.hash_fraction(42) <> venice.hash_fraction('42') AS types,
       venice.hash_fraction(NULL::int) <> venice.hash_fraction(0) AS nulls,
       venice.hash_fraction(NULL::int) IS NOT NULL AS nulls_have_one;
-- The other types that keys have.
SELECT venice.hash_fraction(true), venice.hash_fraction('2013-06-01'::date), venice.hash_fraction('2013-06-01 12:00+00'::timestamptz),
       venice.hash_fraction('2013-06-01 12:00'::timestamp);
SELECT venice.hash_fraction('\xdeadbeef'::bytea), venice.hash_fraction('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid),
       venice.hash_fraction(1.25::numeric), venice.hash_fraction('infinity'::timestamptz);
-- A type without a form that is the same everywhere is refused.
SELECT venice.hash_fraction('{}'::jsonb);
-- A split has the share that it was asked for.
SELECT count(*) FILTER (WHERE venice.hash_fraction(i) < 0.8) BETWEEN 79500 AND 80500 AS four_fifths,
       count(*) FILTER (WHERE venice.hash_fraction(i) NOT BETWEEN 0 AND 0.9999999999999999) AS outside
  FROM generate_series(1, 100000) i;

-- Making them -------------------------------------------------------------------------------------------------------

-- A training set is a table of what was asked of the past, and its row says how it was made.
SELECT venice.create_training_set('train', 'SELECT id, carrier, dep_time AS event_time, arr_delay FROM flights', '{ts_stats:*}',
                                  options => '{"strict": true, "description": "first try", "tags": {"tier": "gold"}}');
SELECT * FROM train ORDER BY id;
SELECT name, owner, description, tags, definition, view_versions, options, rows FROM venice.training_sets WHERE name = 'train';
SELECT jsonb_pretty(statistics -> 'delay') AS delay, jsonb_pretty(statistics -> 'on_time') AS on_time,
       jsonb_pretty(statistics -> 'event_time') AS event_time, statistics -> 'carrier' AS carrier
  FROM venice.training_sets WHERE name = 'train';
-- The snapshot is the one that the rows were read under.
SELECT snapshot::pg_snapshot IS NOT NULL AS snapshot, changed_time >= created_time AS changed FROM venice.training_sets WHERE name = 'train';
-- Numbers whose squares no number holds, and what is no number, are no reason to fail.
CREATE TABLE extremes AS SELECT * FROM (VALUES ('UA', '2013-06-01'::timestamptz, 1e300::float8, 1, true),
    ('AA', '2013-06-01', 'NaN', 2, true), ('B6', '2013-06-01', '-Infinity', 3, NULL)) v (carrier, at, delay, n, on_time);
SELECT venice.create_source('ts_extremes', relation => 'extremes', event_time => 'at');
SELECT venice.create_feature_view('ts_extreme', '{ts_carrier}', 'ts_extremes', features => 'delay AS extreme', online => false);
SELECT venice.create_training_set('extreme', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_extreme:extreme}');
SELECT statistics -> 'extreme' AS statistics FROM venice.training_sets WHERE name = 'extreme';

-- Refused: what exists, what is temporary, what there is not, what is no option.
SELECT venice.create_training_set('train', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_stats:*}');
SELECT venice.create_training_set('pg_temp.train', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_stats:*}');
SELECT venice.create_training_set('other', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_stats:nothing}');
SELECT venice.create_training_set('other', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_stats:*}', options => '{"owner": "x"}');
SELECT venice.create_training_set('other', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_stats:*}', options => '{"tags": 1}');
SELECT venice.create_training_set(NULL, 'SELECT 1', '{ts_stats:*}');
SELECT venice.create_training_set('other', 'SELECT 1', NULL);

-- Refresh and extend ------------------------------------------------------------------------------------------------

-- A refresh makes the same rows of what the features are now, keeps what the owner has made of the table, and readers are not locked out.
ALTER TABLE train ADD COLUMN note text DEFAULT 'mine';
CREATE INDEX train_id ON train (id);
GRANT SELECT ON train TO regress_ts_reader;
INSERT INTO delays VALUES ('B6', '2013-06-01 00:00+00', 9, 9, true);
BEGIN;
SELECT venice.refresh_training_set('train');
SELECT mode FROM pg_locks WHERE relation = 'train'::regclass AND pid = pg_backend_pid() AND mode = 'AccessExclusiveLock';
COMMIT;
SELECT id, carrier, delay, note FROM train ORDER BY id;
SELECT count(*) FROM pg_indexes WHERE tablename = 'train';
-- What the spine's text means does not depend on who refreshes it: its search_path and time zone are kept.
SET search_path = public;
SET timezone = 'Asia/Tokyo';
SELECT venice.extend_training_set('ts.train', 'SELECT id + 100 AS id, carrier, ''2013-06-03 00:00''::timestamptz AS event_time, arr_delay FROM ts.flights WHERE id < 2');
SET timezone = 'UTC';
SELECT venice.refresh_training_set('ts.train');
SET search_path = ts;
SELECT id, carrier, event_time, delay FROM train WHERE id > 50 ORDER BY id;
SELECT rows, jsonb_array_length(parts) AS parts, definition -> 'spines' -> 1 AS added FROM venice.training_sets WHERE name = 'train';
-- An extension has the columns of the spine that it extends, of their types.
SELECT venice.extend_training_set('train', 'SELECT carrier, dep_time AS event_time, arr_delay FROM flights');
SELECT venice.extend_training_set('train', 'SELECT id::int8 AS id, carrier, dep_time AS event_time, arr_delay FROM flights');
-- It has features of the same view versions, or the set would be of two kinds.
SELECT venice.create_training_set('of_service', 'SELECT carrier, dep_time AS event_time FROM flights', '{ts_model}');
SELECT definition -> 'features' AS features, view_versions FROM venice.training_sets WHERE name = 'of_service';
SELECT venice.alter_feature_view('ts_stats', features => 'delay, n AS flights', new_version => true);
SELECT venice.move_service('ts_model', 'ts_stats@2');
SELECT venice.extend_training_set('of_service', 'SELECT carrier, dep_time AS event_time FROM flights');
-- A refresh follows the service; a set of views stays with the versions that it was made of.
SELECT venice.refresh_training_set('of_service'), venice.refresh_training_set('train');
SELECT name, view_versions FROM venice.training_sets WHERE name IN ('of_service', 'train') ORDER BY 1;
-- What is no longer like the table is refused, and the table stays as it is.
SELECT venice.alter_service('ts_model', features => '{ts_stats@2:delay, ts_stats@2:flights}');
SELECT venice.refresh_training_set('of_service');
SELECT venice.alter_service('ts_model', features => '{ts_stats@2:delay}');
ALTER TABLE of_service ALTER delay TYPE real;
SELECT venice.refresh_training_set('of_service');
ALTER TABLE of_service DROP COLUMN delay;
SELECT venice.refresh_training_set('of_service');
SELECT count(*) FROM of_service;
-- Not a training set, not a table.
SELECT venice.refresh_training_set('flights');
SELECT venice.refresh_training_set('nothing');

-- Rights ------------------------------------------------------------------------------------------------------------

-- A reader sees what he may read, and changes nothing.
RESET ROLE;
SET ROLE regress_ts_reader;
SELECT name, owner, rows FROM venice.training_sets;
SELECT venice.refresh_training_set('ts.train');
SELECT venice.extend_training_set('ts.train', 'SELECT 1');
SELECT venice.compare_training_sets('ts.train', 'ts.of_service');
SELECT kind, name FROM venice.search('train', 'training_set');
RESET ROLE;
-- Whoever refreshes a set runs its spine as the table's owner, not as himself.
SET ROLE regress_ts_owner;
CREATE FUNCTION whoami() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
SELECT venice.create_training_set('who', 'SELECT whoami() AS who, carrier, dep_time AS event_time FROM flights LIMIT 1', '{ts_stats@2:delay}');
RESET ROLE;
SELECT venice.refresh_training_set('ts.who');
SELECT who FROM ts.who;
-- Nothing is run as the owner that he was not given: who can write the registry's tables cannot write his table's comment.
UPDATE venice.training_set SET parts = jsonb_set(parts, '{0,spine}', '"SELECT ''x'' AS who, carrier, dep_time AS event_time FROM flights"')
 WHERE relation = 'ts.who'::regclass;
\set VERBOSITY terse
SELECT venice.refresh_training_set('ts.who');
\set VERBOSITY default

-- Comparison --------------------------------------------------------------------------------------------------------

SET ROLE regress_ts_owner;
-- A comparison says for each feature how many rows of the same spine differ, rows that are there twice counting twice.
SELECT venice.create_training_set('before', 'SELECT carrier, dep_time AS event_time, NULL::int AS label FROM flights WHERE id < 6 UNION ALL SELECT carrier, dep_time, NULL FROM flights WHERE id = 0', '{ts_stats@2:*}');
UPDATE delays SET delay = delay + 1 WHERE carrier = 'UA';
DELETE FROM delays WHERE carrier = 'B6';
SELECT venice.create_training_set('after', 'SELECT carrier, dep_time AS event_time, NULL::int AS label FROM flights WHERE id > 1 UNION ALL SELECT carrier, dep_time, NULL FROM flights WHERE id IN (0, 0)', '{ts_stats@2:*}');
SELECT * FROM venice.compare_training_sets('before', 'after');
SELECT * FROM venice.compare_training_sets('before', 'before');
SELECT * FROM venice.compare_training_sets('before', 'train');
SELECT * FROM venice.compare_training_sets('before', 'flights');

-- Lineage -----------------------------------------------------------------------------------------------------------

-- What a set was made from is above it, and it is below that.
SELECT depth, kind, name, via FROM venice.upstream('train') WHERE kind IN ('feature', 'relation') ORDER BY 1, 2, 3;
SELECT kind, name FROM venice.downstream('ts_stats@2:delay') ORDER BY 1, 2;
SELECT property, value FROM venice.describe('train') WHERE property IN ('kind', 'name', 'owner', 'description', 'features', 'options');
SELECT value FROM venice.describe('ts_stats@1') WHERE property = 'used by';
SELECT kind, name, project, owner, description FROM venice.search('first');
-- A breaking change, and a drop, name the sets that use the view; a drop with force leaves the tables.
SELECT venice.alter_feature_view('ts_stats@2', features => 'delay::numeric AS delay, n AS flights');
SELECT venice.drop_feature_view('ts_stats@1');
SELECT venice.drop_feature_view('ts_stats@1', force => true);
SELECT count(*) FROM train;
SELECT venice.refresh_training_set('train');
-- What somebody has written into the registry's table by hand is not run, whatever the comment says, and takes nobody down.
RESET ROLE;
CREATE TABLE ts.forged AS TABLE train;
ALTER TABLE ts.forged OWNER TO regress_ts_owner;
INSERT INTO venice.training_set SELECT 'ts.forged', '[]', features, event_time, options, spine_columns, feature_columns, used_features, services, statistics FROM venice.training_set WHERE relation = 'train'::regclass;
SET ROLE regress_ts_owner;
SELECT venice.refresh_training_set('ts.forged');
DROP TABLE ts.forged;
-- Rows are told apart by what they are, not by what they equal, and by types without an order too.
CREATE TABLE ts.amounts AS SELECT 'UA'::text AS carrier, timestamptz '2013-06-02 00:00+00' AS event_time, amount, '{"a": 1}'::json AS j FROM unnest('{1.0,1.00}'::numeric[]) AS amount;
SELECT venice.create_training_set('amounts_1', 'SELECT * FROM ts.amounts ORDER BY scale(amount)', '{ts_stats}'),
       venice.create_training_set('amounts_2', 'SELECT * FROM ts.amounts ORDER BY scale(amount) DESC', '{ts_stats}');
SELECT * FROM venice.compare_training_sets('amounts_1', 'amounts_2');
DROP TABLE amounts_1, amounts_2, ts.amounts;
-- plan, export and apply leave them alone.
SELECT count(*) FROM jsonb_each(venice.export()) WHERE value::text LIKE '%training%';

-- Going -------------------------------------------------------------------------------------------------------------

-- The row follows the table: renamed, given away, dropped.
ALTER TABLE train RENAME TO trained;
SELECT name FROM venice.training_sets WHERE name LIKE 'train%';
DROP TABLE trained;
RESET ROLE;
DROP SCHEMA ts CASCADE;
SELECT count(*) FROM venice.training_sets;
-- Every change is in the audit, the owner's to read after the table is gone.
SELECT action, name, owner FROM venice.audit WHERE kind = 'training_set' AND name IN ('ts.train', 'ts.trained', 'ts.who') ORDER BY audit_id;
SET ROLE regress_ts_owner;
SELECT venice.drop_service('ts_model');
SELECT venice.drop_feature_view('ts_stats', force => true), venice.drop_feature_view('ts_extreme', force => true);
SELECT venice.drop_source('ts_delays'), venice.drop_source('ts_extremes'), venice.drop_entity('ts_carrier');
RESET ROLE;
DROP OWNED BY regress_ts_owner, regress_ts_reader;
DROP ROLE regress_ts_owner, regress_ts_reader;
