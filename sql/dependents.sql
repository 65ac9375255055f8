-- Theme: what others make of a store's table follows the swap, or is named and keeps the version that it reads.

SET client_min_messages = warning;
CREATE ROLE dependents_owner;
CREATE ROLE dependents_viewer;
CREATE ROLE dependents_reader;
CREATE ROLE dependents_stranger;
GRANT CREATE ON DATABASE regression TO dependents_owner;
CREATE SCHEMA dep;
CREATE SCHEMA dep_code;
GRANT ALL ON SCHEMA dep TO PUBLIC;
GRANT ALL ON SCHEMA dep_code TO dependents_viewer;
SET ROLE dependents_owner;
SELECT venice.create_store('followed', 'id integer', 'country text, amount integer', options => '{"versions_to_keep": 9}');
-- A view that was made before the first push reads that push's rows.
CREATE VIEW dep.early AS TABLE followed.records;
SELECT venice.push('followed', $$VALUES (1, 'de', 10), (2, 'us', 20)$$);
TABLE dep.early;
DROP VIEW dep.early;
GRANT USAGE ON SCHEMA followed TO dependents_viewer;
GRANT SELECT ON followed.records TO dependents_viewer;
RESET ROLE;

-- Views of anybody's follow, without a call of a function in them: plain ones, views over views, with options, aliases, the row type, a dependency on the key.
SET ROLE dependents_viewer;
CREATE FUNCTION dep_code.spy(integer) RETURNS boolean LANGUAGE plpgsql AS
    $$BEGIN RAISE WARNING 'called as %', current_user; RETURN true; END$$;
CREATE VIEW dep.plain AS SELECT id, amount FROM followed.records;
CREATE VIEW dep.over AS SELECT sum(amount) AS amount FROM dep.plain;
CREATE VIEW dep.everything AS SELECT * FROM followed.records;
CREATE VIEW dep.by_key AS SELECT r.*, count(*) AS n FROM followed.records r JOIN followed.records s USING (id) GROUP BY r.id;
CREATE VIEW dep.nested AS
    WITH c AS (SELECT id FROM followed.records WHERE amount > 10)
    SELECT j.k, j.v, ARRAY(SELECT r.id FROM followed.records r(id) ORDER BY 1) AS ids, (NULL::followed.records).country,
           'followed.records'::regclass::text AS name
      FROM (c JOIN followed.records r USING (id)) j(k, c, v);
CREATE VIEW dep.barred WITH (security_barrier, security_invoker) AS SELECT id, country FROM followed.records WHERE amount < 100
    WITH LOCAL CHECK OPTION;
CREATE VIEW dep.spied AS SELECT id FROM followed.records WHERE dep_code.spy(id);
CREATE VIEW dep.exact AS SELECT id FROM followed.records
    WHERE amount > 0.1::float8 + 0.2::float8 AND now() > '2001-02-03 00:00:00+00' AND '{NULL}'::text[] IS NOT NULL;
COMMENT ON VIEW dep.plain IS 'of mine';
COMMENT ON COLUMN dep.plain.amount IS 'in cents';
GRANT SELECT ON dep.plain, dep.over TO dependents_reader;
GRANT SELECT (id) ON dep.everything TO dependents_reader;
ALTER VIEW dep.everything ALTER amount SET DEFAULT 7;
CREATE RULE ignore AS ON DELETE TO dep.everything DO INSTEAD NOTHING;
RESET ROLE;
CREATE TEMP TABLE before AS
    SELECT c.oid, c.relname, c.relowner, c.relacl::text, c.reloptions::text, obj_description(c.oid, 'pg_class') AS comment, pg_get_viewdef(c.oid) AS query
      FROM pg_class c WHERE relnamespace = 'dep'::regnamespace AND relkind = 'v';
CREATE TEMP VIEW differences AS
    SELECT c.relname FROM pg_class c LEFT JOIN before b USING (oid, relname, relowner)
     WHERE c.relnamespace = 'dep'::regnamespace AND c.relkind = 'v'
       AND (b.relacl IS DISTINCT FROM c.relacl::text OR b.reloptions IS DISTINCT FROM c.reloptions::text
            OR b.comment IS DISTINCT FROM obj_description(c.oid, 'pg_class') OR b.query IS DISTINCT FROM pg_get_viewdef(c.oid));
SET ROLE dependents_owner;
-- Whatever the settings of who pushes: constants stay what they are.
SET extra_float_digits = -15;
SET datestyle = 'German';
SET array_nulls = off;
SELECT venice.push('followed', $$VALUES (1, 'de', 11), (3, 'fr', 33)$$);
RESET extra_float_digits;
RESET datestyle;
RESET array_nulls;
RESET ROLE;
SELECT * FROM dep.plain ORDER BY id;
SELECT * FROM dep.everything ORDER BY id;
SELECT * FROM dep.by_key ORDER BY id;
SELECT * FROM dep.nested ORDER BY k;
SELECT * FROM dep.barred ORDER BY id;
TABLE differences;
SELECT col_description('dep.plain'::regclass, 2), has_column_privilege('dependents_reader', 'dep.everything', 'id', 'SELECT');
DELETE FROM dep.everything;
SET ROLE dependents_reader;
SELECT * FROM dep.over;
RESET ROLE;
SELECT * FROM venice.swap_dependents;

-- One over two stores follows each.
SELECT venice.create_store('other', 'id integer', 'name text', options => '{"owner": "dependents_owner"}');
CREATE VIEW dep.joined AS SELECT r.id, o.name, r.amount FROM followed.records r JOIN other.records o USING (id);
SELECT venice.push('other', $$VALUES (1, 'one'), (3, 'three')$$);
SELECT * FROM dep.joined ORDER BY id;
SELECT venice.push('other', $$VALUES (3, 'three')$$);
SELECT * FROM dep.joined ORDER BY id;
DROP VIEW dep.joined;
SELECT venice.drop_store('other');

-- A policy that reads another store decides by the version that it was made over, as do its copies on later versions, which
-- is warned of and listed with the reason; one that reads a view of it decides by what is current.
SELECT venice.create_store('rights', 'tenant integer', 'note text');
SELECT venice.create_store('guarded', 'id integer', 'tenant integer');
SELECT venice.push('rights', $$VALUES (1, 'one'), (2, 'two')$$);
SELECT venice.push('guarded', $$VALUES (10, 1), (20, 2)$$);
CREATE VIEW dep.tenants AS SELECT tenant FROM rights.records;
GRANT SELECT ON dep.tenants TO dependents_reader;
GRANT USAGE ON SCHEMA guarded TO dependents_reader;
GRANT SELECT ON guarded.records TO dependents_reader;
ALTER TABLE guarded.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY direct ON guarded.records USING (tenant IN (SELECT r.tenant FROM rights.records r));
SELECT store, version, kind, object, reason FROM venice.swap_dependents;
SELECT venice.push('rights', $$VALUES (2, 'two')$$);
SELECT venice.push('guarded', 'TABLE guarded.records');
SELECT store, version, kind, object FROM venice.swap_dependents ORDER BY object;
ALTER POLICY direct ON guarded.records USING (tenant IN (SELECT t.tenant FROM dep.tenants t));
SELECT venice.push('guarded', 'TABLE guarded.records');
SELECT venice.push('rights', $$VALUES (1, 'one')$$);
SET ROLE dependents_reader;
SELECT id FROM guarded.records;
RESET ROLE;
SELECT venice.drop_store('guarded', force => true);
DROP VIEW dep.tenants;
SELECT venice.drop_store('rights', force => true);

-- They follow back too, and forward again.
SELECT venice.rollback_version('followed');
SELECT * FROM dep.over;
SELECT venice.swap_version('followed', 2);
SELECT * FROM dep.over;
TABLE differences;

-- A view that names a version keeps to it.
CREATE VIEW dep.first AS SELECT id, amount FROM followed_v1.records;
SELECT venice.push('followed', $$VALUES (1, 'de', 12)$$);
SELECT * FROM dep.first ORDER BY id;
SELECT * FROM dep.plain;
SELECT * FROM venice.swap_dependents;

-- What keeps a version is said, and it is kept: it cannot be dropped by hand, nor is it by maintenance.
SELECT version, detail FROM venice.versions WHERE detail IS NOT NULL;
SELECT venice.drop_version('followed', 1);
\set VERBOSITY sqlstate
SELECT venice.drop_version('followed', 1);
\set VERBOSITY default
SELECT venice.alter_store('followed', '{"versions_to_keep": 1}');
CALL venice.run_maintenance();
SELECT to_regclass('followed_v1.records') IS NOT NULL AS kept;
SELECT venice.alter_store('followed', '{"versions_to_keep": 9}');
DROP VIEW dep.first;

-- A view that does not fit the next version stays, and is listed with the reason; so does one that its owner may not make
-- any more.  Neither stops the swap.
CREATE ROLE dependents_poor;
CREATE SCHEMA dep_poor;
CREATE VIEW dep_poor.view AS SELECT id FROM followed.records;
ALTER VIEW dep_poor.view OWNER TO dependents_poor;
SELECT venice.alter_store('followed', value => 'amount bigint, country text, score real');
SELECT venice.push('followed', $$VALUES (1, 13::bigint, 'de', 0.5::real)$$);
SELECT * FROM venice.swap_dependents ORDER BY object;
-- Those that do not name the column that changed have followed, but not those whose aliases would name another column.
SELECT * FROM dep.barred;
SELECT * FROM dep.spied;
DROP SCHEMA dep_poor CASCADE;
DROP VIEW dep.plain, dep.over, dep.everything, dep.by_key, dep.nested, dep.exact;
SELECT * FROM venice.swap_dependents;

-- Everything else that knows the table by its OID stays.  venice.swap_dependents says so before and after, and the push.
CREATE PUBLICATION dep_table FOR TABLE followed.records (id, amount);
CREATE PUBLICATION dep_schema FOR TABLES IN SCHEMA followed;
CREATE PUBLICATION dep_all FOR ALL TABLES;
CREATE MATERIALIZED VIEW dep.stored AS SELECT * FROM followed.records;
CREATE FUNCTION dep.atomic() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM followed.records; END;
CREATE FUNCTION dep.by_row(followed.records) RETURNS bigint LANGUAGE sql AS 'SELECT $1.amount';
CREATE TABLE dep.referring (id integer REFERENCES followed.records, size bigint DEFAULT pg_relation_size('followed.records'));
CREATE TABLE dep.holding (row followed.records, rows followed.records[]);
CREATE TABLE dep.ruled (id integer);
CREATE RULE watched AS ON INSERT TO dep.ruled DO ALSO SELECT count(*) FROM followed.records;
CREATE POLICY known ON dep.ruled USING (id IN (SELECT r.id FROM followed.records r));
CREATE TABLE dep.child () INHERITS (followed.records);
CREATE TEMP VIEW of_session AS SELECT id FROM followed.records;
SET allow_system_table_mods = on;
INSERT INTO pg_seclabel VALUES ('followed.records'::regclass, 'pg_class'::regclass, 2, 'dep', 'secret');
RESET allow_system_table_mods;
-- By name, through the store's functions, or part of the table itself: not concerned.
CREATE FUNCTION dep.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE TRIGGER own AFTER UPDATE OF amount ON followed.records FOR EACH ROW WHEN (OLD.country = 'de') EXECUTE FUNCTION dep.nothing();
CREATE POLICY own ON followed.records USING (amount > 0);
ALTER TABLE followed.records ADD CONSTRAINT own CHECK (amount > 0);
CREATE FUNCTION dep.by_name() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM followed.records';
CREATE VIEW dep.through_get AS SELECT amount FROM followed.get(1);
CREATE FUNCTION dep.atomic_get() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT amount FROM followed.get(1); END;
SELECT version, kind, object, reason FROM venice.swap_dependents ORDER BY kind, object;
DROP TABLE dep.child;
SELECT venice.push('followed', $$VALUES (1, 14::bigint, 'de', 0.5::real)$$);
SELECT version, kind, object FROM venice.swap_dependents ORDER BY version, kind, object;
SELECT dep.atomic(), dep.by_name(), dep.atomic_get();
SELECT * FROM dep.through_get;
SELECT version, detail FROM venice.versions WHERE detail IS NOT NULL;
SELECT venice.drop_version('followed', 4);
SELECT venice.drop_store('followed');

-- Only members of the store's owner see them.
SET ROLE dependents_stranger;
SELECT count(*) FROM venice.swap_dependents;
RESET ROLE;
SET ROLE dependents_owner;
SELECT count(*) > 0 AS some FROM venice.swap_dependents;
RESET ROLE;

-- A failed push whose version somebody depends on is kept for him, quietly.
SELECT * FROM venice.start_push('followed') \gset
CREATE VIEW dep.early AS SELECT id FROM :schema.records;
SELECT venice.abort_push('followed');
UPDATE venice.store_version SET state = 'failed' WHERE store_name = 'followed' AND version = :version;
CALL venice.run_maintenance();
SELECT count(*) FROM dep.early;
DROP VIEW dep.early;
CALL venice.run_maintenance();
SELECT to_regnamespace(:'schema');

DROP PUBLICATION dep_all, dep_schema, dep_table;
DROP VIEW of_session;
SELECT venice.drop_store('followed', force => true);
SELECT count(*) FROM venice.lagging_view;
DROP VIEW differences;
DROP TABLE before;
DROP SCHEMA dep, dep_code CASCADE;
REVOKE CREATE ON DATABASE regression FROM dependents_owner;
DROP ROLE dependents_owner, dependents_viewer, dependents_reader, dependents_stranger, dependents_poor;
