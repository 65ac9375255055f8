-- Theme: which version is current, going back and forth, and what goes when.

SELECT venice.create_store('prices', 'id integer', 'price integer', options => '{"versions_to_keep": 3}');
-- What the first push leaves is no backup: nobody can go back to it, and its schema does not say so.
BEGIN;
SELECT venice.push('prices', 'SELECT g, 1 FROM generate_series(1, 10) g', 'one');
SELECT obj_description('prices_v0'::regnamespace, 'pg_namespace'), obj_description('prices'::regnamespace, 'pg_namespace');
COMMIT;
SELECT venice.push('prices', 'SELECT g, 2 FROM generate_series(1, 10) g', 'two');
SELECT venice.push('prices', 'SELECT g, 3 FROM generate_series(1, 10) g', 'three');

CREATE VIEW version_states AS
    SELECT version, state, schema, records::text, retire_after IS NOT NULL AS retires
      FROM venice.versions WHERE store = 'prices' ORDER BY version;
TABLE version_states;

-- Functions keep their identity over a swap: what was prepared or built on them follows.
PREPARE look_up(integer) AS SELECT price FROM prices.get($1);
CREATE VIEW over_get AS SELECT * FROM prices.get(1);
CREATE FUNCTION in_sql(integer) RETURNS integer LANGUAGE sql STABLE BEGIN ATOMIC SELECT price FROM prices.get($1); END;
CREATE FUNCTION in_plpgsql(integer) RETURNS integer LANGUAGE plpgsql STABLE AS 'BEGIN RETURN (SELECT price FROM prices.get($1)); END';
CREATE TEMP TABLE before AS SELECT 'prices.get'::regproc::oid AS get, 'prices.batch_get'::regproc::oid AS batch_get;
EXECUTE look_up(1); TABLE over_get; SELECT in_sql(1), in_plpgsql(1);
SELECT venice.push('prices', 'SELECT g, 4 FROM generate_series(1, 10) g', 'four');
EXECUTE look_up(1); TABLE over_get; SELECT in_sql(1), in_plpgsql(1);
SELECT get = 'prices.get'::regproc AS get, batch_get = 'prices.batch_get'::regproc AS batch_get FROM before;

-- Rolling back goes to the newest backup; the version left behind is no target by itself.
SELECT venice.rollback_version('prices');
EXECUTE look_up(1);
SELECT venice.rollback_version('prices');
EXECUTE look_up(1);
SELECT venice.rollback_version('prices', 4);
SELECT venice.rollback_version('prices', 99);
SELECT venice.rollback_version('prices', 2);

-- But it can be chosen.
SELECT venice.swap_version('prices', 4);
EXECUTE look_up(1);
SELECT venice.swap_version('prices', 99);

-- A version is read by itself through its own table.
SELECT format('SELECT price FROM %s WHERE id = 1', records) FROM venice.versions WHERE store = 'prices' AND version = 2 \gexec

-- A transaction sees its own swap, which is undone with it.
BEGIN;
EXECUTE look_up(1);
SELECT venice.rollback_version('prices') IS NOT NULL AS rolled_back;
EXECUTE look_up(1);
ROLLBACK;
EXECUTE look_up(1);

-- The pointer is not dumped: without it, as after a restore, the registry answers, and the next swap makes it again.
DELETE FROM venice.version_pointer WHERE store_name = 'prices';
EXECUTE look_up(1);
SELECT venice.rollback_version('prices') IS NOT NULL AS rolled_back;
SELECT count(*) FROM venice.version_pointer WHERE store_name = 'prices';
SELECT venice.swap_version('prices', 4);

-- A dump has the rows of an unlogged version, and not its mark, without which it would be taken for lost: it is marked again.
SELECT venice.create_store('restored', 'id integer', 'v integer', options => '{"unlogged": true, "accept_loss": true}');
SELECT venice.push('restored', 'SELECT 1, 1');
BEGIN;
DELETE FROM venice.version_pointer WHERE store_name = 'restored';
DELETE FROM venice.unlogged_version WHERE store_name = 'restored';
COMMIT;
SELECT * FROM restored.get(1);
CALL venice.run_maintenance();
SELECT version AS marked FROM venice.version_pointer p JOIN venice.unlogged_version u USING (store_name, version) WHERE store_name = 'restored';
SELECT * FROM restored.get(1);
SELECT venice.drop_store('restored');

-- Objects of others in a store's schema would be swapped away: the swap refuses, naming them.
CREATE TABLE prices.intruder ();
CREATE FUNCTION prices.intruder() RETURNS integer LANGUAGE sql AS 'SELECT 1';
SELECT venice.push('prices', 'SELECT 1, 5');
DROP TABLE prices.intruder;
DROP FUNCTION prices.intruder;
SELECT venice.push('prices', 'SELECT 1, 5') IS NOT NULL AS pushed;

-- Backups beyond versions_to_keep, and version 0, are dropped by maintenance, or by hand.
SELECT count(*) <= 5 AS bounded FROM version_states;
SELECT venice.drop_version('prices', 5);
SELECT venice.drop_version('prices', version) FROM venice.versions WHERE store = 'prices' AND state <> 'current' ORDER BY version DESC LIMIT 1;
SELECT count(*) FROM version_states WHERE state = 'current';

-- The history of pushes stays.
SELECT push_id, state FROM venice.pushes WHERE store = 'prices' AND push_id IN ('one', 'two', 'three', 'four') ORDER BY version;

-- Counters span the versions.
SELECT store, rows_inserted >= 40 AS inserted, pushes, swaps > 5 AS swaps, rollbacks FROM venice.stat_store WHERE store = 'prices';

DROP VIEW over_get;
DROP FUNCTION in_sql;
DROP VIEW version_states;
SELECT venice.drop_store('prices');
