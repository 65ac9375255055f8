-- Theme: a schema that is called like one of a store's, but is somebody else's, confers nothing and loses nothing.

CREATE ROLE squat_owner;
CREATE ROLE squat_heir;
CREATE ROLE squat_other;
GRANT CREATE ON DATABASE regression TO squat_owner, squat_heir, squat_other;
GRANT squat_heir TO squat_owner;
SET ROLE squat_owner;
SELECT venice.create_store('land', 'id integer', 'v integer');
SELECT venice.push('land', 'SELECT 1, 1');
RESET ROLE;

-- A push goes around a schema of its version's name.
SET ROLE squat_other;
CREATE SCHEMA land_v2;
RESET ROLE;
SET ROLE squat_owner;
SELECT * FROM venice.start_push('land') \gset
\echo :version :schema
SELECT venice.abort_push('land');
RESET ROLE;

-- A swap needs the name of the version that it leaves, and says who has it.
SET ROLE squat_other;
CREATE SCHEMA land_v1;
RESET ROLE;
SET ROLE squat_owner;
SELECT venice.push('land', 'SELECT 1, 4');
RESET ROLE;
ALTER SCHEMA land_v1 RENAME TO elsewhere;
SELECT venice.push('land', 'SELECT 1, 4');

-- What somebody else has made under the name of a version that is gone stays his when the store changes hands, and is dropped by nobody.
SET ROLE squat_other;
CREATE SCHEMA land_v3;
CREATE TABLE land_v3.records (secret text);
CREATE TABLE land_v3.swap_gate_v3 ();
RESET ROLE;
SET ROLE squat_owner;
SELECT * FROM venice.start_push('land') \gset
SELECT venice.abort_push('land');
SELECT :'schema' AS aborted;
RESET ROLE;
SET ROLE squat_other;
CREATE SCHEMA :schema;
CREATE TABLE :schema.records (secret text);
RESET ROLE;
SET ROLE squat_owner;
SELECT venice.alter_store('land', '{"owner": "squat_heir"}');
RESET ROLE;
SELECT nspname, nspowner::regrole, relname, relowner::regrole
  FROM pg_namespace n LEFT JOIN pg_class c ON relnamespace = n.oid AND relkind = 'r'
 WHERE nspname ~ '^land' AND nspname <> 'land_v0' ORDER BY 1, 3;
SET ROLE squat_heir;
-- Whoever vacuums may see it for a moment.
DO $$BEGIN
    FOR try IN 1 .. 300 LOOP
        BEGIN
            PERFORM venice.drop_version('land', 1);
            RETURN;
        EXCEPTION WHEN object_in_use THEN
            NULL;
        END;
    END LOOP;
    RAISE 'version 1 is still seen';
END$$;
SELECT venice.drop_store('land', force => true);
RESET ROLE;
SELECT nspname, nspowner::regrole, relname FROM pg_namespace n LEFT JOIN pg_class c ON relnamespace = n.oid AND relkind = 'r'
 WHERE nspname ~ '^land' ORDER BY 1, 3;

-- A table that stands where that of a version stood until it was dropped by hand is not that version, however alike: it is not built, not made
-- current, not shown, and in nobody's way.
SET ROLE squat_owner;
SELECT venice.create_store('plot', 'id integer', 'v integer', options => '{"versions_to_keep": 9}');
SELECT venice.push('plot', 'SELECT 1, 1');
SELECT venice.push('plot', 'SELECT 1, 2');
SELECT * FROM venice.start_push('plot', options => '{"origin": "sql"}');
BEGIN;
SET LOCAL client_min_messages = warning;
SELECT obj_description('plot_v1'::regnamespace) AS described \gset
DROP SCHEMA plot_v1, plot_v3 CASCADE;
RESET ROLE;
SET ROLE squat_other;
CREATE SCHEMA plot_v1;
CREATE TABLE plot_v1.records (id integer PRIMARY KEY, v integer);
INSERT INTO plot_v1.records VALUES (1, 666);
CREATE TRIGGER venice_seal BEFORE INSERT ON plot_v1.records EXECUTE FUNCTION venice_internal.refuse_direct_dml();
COMMENT ON SCHEMA plot_v1 IS :'described';
CREATE SCHEMA plot_v3;
CREATE TABLE plot_v3.records (id integer, v integer);
INSERT INTO plot_v3.records VALUES (1, 666);
RESET ROLE;
SET ROLE squat_owner;
\set VERBOSITY terse
SAVEPOINT before;
SELECT venice.rollback_version('plot', 1);
ROLLBACK TO before;
SELECT venice.end_push('plot', 3);
ROLLBACK TO before;
SELECT venice.abort_push('plot', 3);
SELECT version, state, schema, records FROM venice.versions WHERE store = 'plot' ORDER BY version;
COMMIT;
\set VERBOSITY default
SELECT venice.push('plot', 'SELECT 1, 4');
SELECT * FROM plot.get(1);
SELECT venice.drop_store('plot', force => true);
RESET ROLE;
SELECT nspname, nspowner::regrole, relname FROM pg_namespace n JOIN pg_class c ON relnamespace = n.oid AND relkind = 'r'
 WHERE nspname ~ '^plot' ORDER BY 1;

-- Who makes a schema of the name of a store whose own was dropped by hand, or renamed, becomes nobody's owner.
SET ROLE squat_owner;
SELECT venice.create_store('house', 'id integer', 'v integer');
SELECT venice.push('house', 'SELECT 1, 1');
SELECT venice.push('house', 'SELECT 1, 2');
ALTER SCHEMA house RENAME TO away;
RESET ROLE;
SET ROLE squat_other;
CREATE SCHEMA house;
CREATE TABLE house.records (id integer PRIMARY KEY, v integer);
SELECT (SELECT count(*) FROM venice.stores) AS stores, (SELECT count(*) FROM venice.versions) AS versions,
       (SELECT count(*) FROM venice.pushes) AS pushes, (SELECT count(*) FROM venice.stat_store) AS stat_store;
SELECT venice.push('house', 'SELECT 1, 66');
SELECT venice.alter_store('house', '{"versions_to_keep": 9}');
SELECT venice.drop_store('house', force => true);
RESET ROLE;
-- Nor is the former owner, until the name is his again.
SET ROLE squat_owner;
SELECT venice.push('house', 'SELECT 1, 3');
RESET ROLE;
SELECT store, owner, schema, state FROM venice.stores WHERE store = 'house';
DROP SCHEMA house CASCADE;
ALTER SCHEMA away RENAME TO house;
SET ROLE squat_owner;
SELECT venice.push('house', 'SELECT 1, 3');
SELECT * FROM house.get(1);
DROP SCHEMA house CASCADE;
RESET ROLE;
SELECT store, owner, schema, state FROM venice.stores WHERE store = 'house';

-- The database's owner removes the rest, the store's versions included, and nothing of others'.
SET ROLE squat_other;
CREATE SCHEMA house;
RESET ROLE;
SELECT venice.drop_store('house');
SELECT nspname, nspowner::regrole FROM pg_namespace WHERE nspname ~ '^house' ORDER BY 1;
SELECT count(*) FROM venice.stores WHERE store = 'house';

\set VERBOSITY terse
SET client_min_messages = error;
DROP OWNED BY squat_owner, squat_heir, squat_other CASCADE;
DROP ROLE squat_owner, squat_heir, squat_other;
