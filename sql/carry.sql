-- Theme: what users attach to records follows the store from version to version.

CREATE ROLE carry_owner;
CREATE ROLE carry_reader;
CREATE ROLE carry_columns;
GRANT CREATE ON DATABASE regression TO carry_owner;
SET ROLE carry_owner;
SELECT venice.create_store('carried', 'id integer', 'country text, amount integer');
SELECT venice.push('carried', $$VALUES (1, 'de', 10), (2, 'us', 20)$$);

-- Privileges of the schema, the table and its columns: without them a push is an outage.
GRANT USAGE ON SCHEMA carried TO carry_reader, carry_columns;
GRANT SELECT ON carried.records TO carry_reader;
GRANT SELECT (id, country) ON carried.records TO carry_columns;
-- Row security and its policies: without them a push opens the table.
ALTER TABLE carried.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_de ON carried.records FOR SELECT TO carry_reader, carry_columns USING (country = 'de');
CREATE POLICY not_negative ON carried.records AS RESTRICTIVE TO PUBLIC USING (amount >= 0) WITH CHECK (amount >= 0);
-- Indexes, constraints, triggers.
CREATE INDEX by_country ON carried.records (country) WHERE amount > 0;
CREATE UNIQUE INDEX by_amount ON carried.records (amount DESC) INCLUDE (country);
CREATE INDEX "ON x.records" ON carried.records (lower(country));
ALTER TABLE carried.records ADD CONSTRAINT amount_small CHECK (amount < 1000);
ALTER TABLE carried.records ADD CONSTRAINT amount_once UNIQUE (amount);
-- Comments and options.
COMMENT ON TABLE carried.records IS 'carried along';
COMMENT ON COLUMN carried.records.country IS 'ISO code';
ALTER TABLE carried.records SET (autovacuum_vacuum_scale_factor = 0.01);

-- PostgreSQL 17 has given the owner one privilege more.
CREATE TEMP VIEW attached AS
    SELECT replace(c.relacl::text, 'xtm/', 'xt/') AS privileges, n.nspacl::text AS schema_privileges, c.relrowsecurity AS row_security,
           array_to_string(c.reloptions, ', ') AS options, obj_description(c.oid, 'pg_class') AS comment,
           (SELECT string_agg(a.attname || ' ' || a.attacl::text, ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attacl IS NOT NULL) AS column_privileges,
           (SELECT string_agg(a.attname || ' ' || col_description(c.oid, a.attnum), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = c.oid AND col_description(c.oid, a.attnum) IS NOT NULL) AS column_comments,
           (SELECT string_agg(polname || ' ' || pg_get_expr(polqual, polrelid), ', ' ORDER BY polname) FROM pg_policy WHERE polrelid = c.oid) AS policies,
           (SELECT string_agg(pg_get_constraintdef(k.oid), ', ' ORDER BY conname) FROM pg_constraint k WHERE conrelid = c.oid AND contype <> 'n') AS constraints
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass('carried.records');
CREATE TEMP TABLE before AS TABLE attached;
\x on
TABLE attached;
\x off
SELECT indexdef FROM pg_indexes WHERE schemaname = 'carried' ORDER BY indexname;

SELECT venice.push('carried', $$VALUES (1, 'de', 11), (2, 'us', 21), (3, 'de', 30)$$);
SELECT to_jsonb(a) = to_jsonb(b) AS same FROM attached a, before b;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'carried' ORDER BY indexname;

-- They are in force, through the table and through the functions.
RESET ROLE;
SET ROLE carry_reader;
SELECT * FROM carried.records ORDER BY id;
SELECT * FROM carried.get(1);
SELECT * FROM carried.get(2);
SELECT ordinality, id, amount FROM carried.batch_get('{1,2,3}');
RESET ROLE;
SET ROLE carry_columns;
SELECT id, country FROM carried.records ORDER BY id;
SELECT * FROM carried.get(1);
RESET ROLE;

-- A violated constraint fails the push, not the store.
SET ROLE carry_owner;
SELECT venice.push('carried', $$VALUES (1, 'de', 5000)$$);
SELECT venice.push('carried', $$VALUES (1, 'de', 1), (2, 'us', 1)$$);
SELECT count(*) FROM carried.records;

-- What changes during a push is right after it, whatever the version was made with.
SELECT * FROM venice.start_push('carried') \gset
INSERT INTO :schema.records VALUES (1, 'fr', 1), (2, 'de', 2);
REVOKE SELECT ON carried.records FROM carry_reader;
GRANT SELECT ON carried.records TO carry_columns;
ALTER POLICY only_de ON carried.records USING (country = 'fr');
DROP POLICY not_negative ON carried.records;
SELECT venice.end_push('carried');
RESET ROLE;
SET ROLE carry_reader;
SELECT * FROM carried.get(1);
RESET ROLE;
SET ROLE carry_columns;
SELECT * FROM carried.batch_get('{1,2}');
RESET ROLE;

-- So is what is made while a finished version waits for its swap.
SET ROLE carry_owner;
SELECT * FROM venice.start_push('carried') \gset
INSERT INTO :schema.records VALUES (1, 'fr', 1), (2, 'de', 2);
SELECT venice.end_push('carried', swap => false);
CREATE INDEX late ON carried.records (amount, country);
ALTER TABLE carried.records ADD CONSTRAINT late_check CHECK (amount <> 13);
SELECT venice.swap_version('carried', :version);
SELECT indexdef FROM pg_indexes WHERE schemaname = 'carried' AND indexname = 'late';
SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'carried.records'::regclass AND conname = 'late_check';

-- What default privileges give is given at the swap, not while a version is filled.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO carry_reader;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO carry_reader;
SELECT * FROM venice.start_push('carried') \gset
SELECT has_schema_privilege('carry_reader', :'schema', 'USAGE') AS schema, has_table_privilege('carry_reader', :'schema' || '.records', 'SELECT') AS records;
SELECT venice.abort_push('carried');
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM carry_reader;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM carry_reader;
RESET ROLE;

-- And after a roll-back.
SET ROLE carry_owner;
SELECT venice.rollback_version('carried') IS NOT NULL AS rolled_back;
SELECT polname, pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'carried.records'::regclass ORDER BY 1;
SELECT has_table_privilege('carry_reader', 'carried.records', 'SELECT') AS reader, has_table_privilege('carry_columns', 'carried.records', 'SELECT') AS columns;

-- A new owner owns all of it, and the next version too.
RESET ROLE;
SELECT venice.alter_store('carried', '{"owner": "carry_reader"}');
SELECT n.nspname, pg_get_userbyid(n.nspowner) AS schema_owner, pg_get_userbyid(c.relowner) AS table_owner
  FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = 'records' WHERE n.nspname = 'carried';
SELECT proname, pg_get_userbyid(proowner) FROM pg_proc WHERE pronamespace = 'carried'::regnamespace ORDER BY 1;
SELECT owner FROM venice.stores WHERE store = 'carried';
SELECT venice.push('carried', $$VALUES (1, 'fr', 7)$$) IS NOT NULL AS pushed;
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'carried.records'::regclass;

SELECT venice.drop_store('carried');
DROP VIEW attached;
DROP TABLE before;

-- Whatever can be set on a table, its columns, indexes, constraints and triggers is as it was after a push.
SET allow_in_place_tablespaces = true;
CREATE TABLESPACE carry_space LOCATION '';
GRANT CREATE ON TABLESPACE carry_space TO carry_owner;
CREATE SCHEMA carry_other AUTHORIZATION carry_owner;
SET ROLE carry_owner;
CREATE FUNCTION carry_other.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT venice.create_store('kept', 'id integer', 'a integer, b integer, note text, code varchar(9), parent integer', options => '{"versions_to_keep": 9}');
SELECT venice.push('kept', 'SELECT i, i % 10, i % 10, i, ''a'', 1 FROM generate_series(1, 1000) i');
ALTER TABLE kept.records ALTER note SET STORAGE EXTERNAL, ALTER note SET COMPRESSION pglz, ALTER a SET STATISTICS 7, ALTER b SET (n_distinct = 5, n_distinct_inherited = -1);
ALTER TABLE kept.records SET (toast_tuple_target = 1000, autovacuum_enabled = false, toast.autovacuum_vacuum_threshold = 77);
CREATE UNIQUE INDEX kept_identity ON kept.records (id) INCLUDE (note) WITH (fillfactor = 77);
ALTER TABLE kept.records REPLICA IDENTITY USING INDEX kept_identity;
CREATE INDEX kept_expression ON kept.records ((a + b), lower(note) COLLATE "C" text_pattern_ops DESC NULLS LAST) TABLESPACE carry_space WHERE a > 1;
ALTER INDEX kept.kept_expression ALTER COLUMN 1 SET STATISTICS 9;
ALTER TABLE kept.records CLUSTER ON kept_identity;
CREATE INDEX kept_in ON kept.records (id) WHERE code IN ('a', 'b');
ALTER TABLE kept.records ADD CONSTRAINT kept_once UNIQUE NULLS NOT DISTINCT (id, a) INCLUDE (b) WITH (fillfactor = 66) USING INDEX TABLESPACE carry_space DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE kept.records ADD CONSTRAINT kept_apart EXCLUDE USING btree (id WITH =) WHERE (a > 5);
ALTER TABLE kept.records ADD CONSTRAINT kept_later CHECK (a > 5) NOT VALID;
-- It stands before the constraint that it needs, by name, and points into its own version.
ALTER TABLE kept.records ADD CONSTRAINT kept_a_parent FOREIGN KEY (parent) REFERENCES kept.records (id);
CREATE TRIGGER kept_off BEFORE UPDATE OF a ON kept.records FOR EACH ROW WHEN (old.a IS DISTINCT FROM new.a) EXECUTE FUNCTION carry_other.nothing();
CREATE TRIGGER kept_replica AFTER INSERT ON kept.records REFERENCING NEW TABLE AS added EXECUTE FUNCTION carry_other.nothing();
CREATE CONSTRAINT TRIGGER kept_deferred AFTER INSERT ON kept.records DEFERRABLE FOR EACH ROW EXECUTE FUNCTION carry_other.nothing();
ALTER TABLE kept.records DISABLE TRIGGER kept_off, ENABLE REPLICA TRIGGER kept_replica, ENABLE ALWAYS TRIGGER kept_deferred;
CREATE STATISTICS kept.kept_inside (dependencies) ON a, b FROM kept.records;
CREATE STATISTICS carry_other.kept_outside ON a, (b + 1) FROM kept.records;
ALTER STATISTICS carry_other.kept_outside SET STATISTICS 50;
RESET ROLE;
ALTER STATISTICS kept.kept_inside OWNER TO carry_reader;
SET ROLE carry_owner;
CREATE POLICY kept_all ON kept.records USING (true);
COMMENT ON INDEX kept.kept_expression IS 'on an index';
COMMENT ON INDEX kept.records_pkey IS 'on the primary key''s index';
COMMENT ON CONSTRAINT kept_later ON kept.records IS 'on a constraint';
COMMENT ON TRIGGER kept_off ON kept.records IS 'on a trigger';
COMMENT ON POLICY kept_all ON kept.records IS 'on a policy';
COMMENT ON STATISTICS carry_other.kept_outside IS 'on statistics';
ALTER DEFAULT PRIVILEGES IN SCHEMA kept GRANT SELECT ON TABLES TO carry_reader;
CREATE TEMP VIEW kept AS
    SELECT 'table' AS what, concat_ws(' | ', c.relreplident, c.reloptions, t.reloptions) AS settings, NULL AS comment
      FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.oid = to_regclass('kept.records')
    UNION ALL
    SELECT 'column ' || attname, concat_ws(' | ', attstorage, NULLIF(attcompression, ''), NULLIF(attstattarget, -1),
           (SELECT string_agg(option_name || '=' || option_value, ',') FROM pg_options_to_table(attoptions) WHERE option_name LIKE 'n_distinct%')), NULL
      FROM pg_attribute WHERE attrelid = to_regclass('kept.records') AND attnum > 0
    UNION ALL
    SELECT 'index ' || c.relname, concat_ws(' | ', pg_get_indexdef(i.indexrelid), (SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace),
           CASE WHEN i.indisclustered THEN 'clustered' END, CASE WHEN i.indisreplident THEN 'identity' END,
           (SELECT string_agg(attnum || ':' || attstattarget, ',') FROM pg_attribute WHERE attrelid = c.oid AND attstattarget >= 0)), obj_description(c.oid, 'pg_class')
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = to_regclass('kept.records') AND c.relname <> 'kept_in'
    UNION ALL
    SELECT 'constraint ' || conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')
      FROM pg_constraint WHERE conrelid = to_regclass('kept.records') AND contype <> 'n'
    UNION ALL
    SELECT 'trigger ' || tgname, concat_ws(' | ', tgenabled, pg_get_triggerdef(oid)), obj_description(oid, 'pg_trigger')
      FROM pg_trigger WHERE tgrelid = to_regclass('kept.records') AND NOT tgisinternal AND tgname <> 'venice_seal'
    UNION ALL
    SELECT 'policy ' || polname, pg_get_expr(polqual, polrelid), obj_description(oid, 'pg_policy') FROM pg_policy WHERE polrelid = to_regclass('kept.records')
    UNION ALL
    SELECT 'statistics ' || stxnamespace::regnamespace, concat_ws(' | ', pg_get_statisticsobjdef(oid), NULLIF(stxstattarget, -1), stxowner::regrole), obj_description(oid, 'pg_statistic_ext')
      FROM pg_statistic_ext WHERE stxrelid = to_regclass('kept.records')
    UNION ALL
    SELECT 'default privileges', defaclacl::text, NULL FROM pg_default_acl WHERE defaclnamespace = to_regnamespace('kept');
CREATE TEMP TABLE kept_before AS TABLE kept;
SELECT * FROM kept ORDER BY what COLLATE "C";
SELECT * FROM venice.start_push('kept') \gset
-- How rows are stored is settled before there are any.
SELECT attstorage, attcompression FROM pg_attribute WHERE attrelid = (:'schema' || '.records')::regclass AND attname = 'note';
SELECT 'toast_tuple_target=1000' = ANY (reloptions) AS applies FROM pg_class WHERE oid = (:'schema' || '.records')::regclass;
INSERT INTO :schema.records SELECT i, i % 10, i % 10, i, 'b', 2 FROM generate_series(1, 1000) i WHERE i % 10 > 5 OR i = 2;
SELECT venice.end_push('kept');
(TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept);
-- Of what the server keeps about its columns itself nothing was copied.
SELECT b.attname, o.option_name FROM pg_attribute a JOIN pg_attribute b USING (attname), pg_options_to_table(a.attoptions) o, pg_options_to_table(b.attoptions) p
 WHERE a.attrelid = 'kept_v1.records'::regclass AND b.attrelid = 'kept.records'::regclass AND o = p AND o.option_name NOT LIKE 'n_distinct%';
-- The foreign key within the table is one within the new table.
SELECT conrelid = confrelid AS inside FROM pg_constraint WHERE conname = 'kept_a_parent' AND conrelid = 'kept.records'::regclass;
-- Statistics are there from the first moment on, by the targets that were set.
SELECT count(*) AS filled FROM pg_stats_ext WHERE schemaname = 'kept' AND tablename = 'records';
SELECT n_distinct FROM pg_stats WHERE schemaname = 'kept' AND tablename = 'records' AND attname = 'b';
-- What is called something is the one of the current version; the old one's is in its own schema.
SELECT stxnamespace::regnamespace AS schema, stxname, stxrelid::regclass FROM pg_statistic_ext WHERE stxname LIKE '%kept_outside' ORDER BY 3;
-- The comment on the schema says what is in it, whatever somebody wrote.
COMMENT ON SCHEMA kept IS 'mine';
SELECT venice.push('kept', 'TABLE kept.records') AS version \gset
SELECT obj_description('kept'::regnamespace, 'pg_namespace');
-- A second generation is like the first, and a roll-back goes back to all of it.
(TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept);
SELECT 'kept.kept_in'::regclass::oid AS generation, 'kept_v2.kept_in'::regclass::oid AS earlier \gset
SELECT venice.rollback_version('kept', 2);
(TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept);
-- Nothing is made again that is there, even where the server writes down a definition differently each time; no row of a catalog is written that is as it should be.
SELECT 'kept.kept_in'::regclass::oid = :earlier AS same_index;
BEGIN;
SELECT venice.swap_version('kept', :version);
SELECT 'kept.kept_in'::regclass::oid = :generation AS same_index;
SELECT (SELECT count(*) FROM pg_class WHERE relnamespace = 'kept'::regnamespace AND relname NOT LIKE 'swap_gate%' AND xmin = pg_current_xact_id()::xid) AS classes,
       (SELECT count(*) FROM pg_attribute WHERE attrelid = 'kept.records'::regclass AND xmin = pg_current_xact_id()::xid) AS attributes,
       (SELECT count(*) FROM pg_policy WHERE xmin = pg_current_xact_id()::xid) AS policies,
       (SELECT count(*) FROM pg_description WHERE classoid <> 'pg_namespace'::regclass AND xmin = pg_current_xact_id()::xid) AS comments;
COMMIT;
-- An index in the database's tablespace stays there, wherever new ones of the session would go.
SET default_tablespace = carry_space;
SELECT venice.push('kept', 'TABLE kept.records') IS NOT NULL AS pushed;
RESET default_tablespace;
SELECT tablespace FROM pg_indexes WHERE schemaname = 'kept' AND indexname = 'kept_identity';
SELECT venice.push('kept', 'TABLE kept.records') IS NOT NULL AS pushed;

-- What is set back is set back.
ALTER TABLE kept.records ALTER note SET STORAGE EXTENDED, ALTER note SET COMPRESSION default, ALTER a SET STATISTICS -1, ALTER b RESET (n_distinct, n_distinct_inherited);
ALTER TABLE kept.records RESET (toast_tuple_target, autovacuum_enabled, toast.autovacuum_vacuum_threshold), REPLICA IDENTITY FULL, SET WITHOUT CLUSTER;
ALTER TABLE kept.records ENABLE TRIGGER kept_off, ENABLE TRIGGER kept_replica;
COMMENT ON TRIGGER kept_off ON kept.records IS NULL;
COMMENT ON POLICY kept_all ON kept.records IS NULL;
ALTER DEFAULT PRIVILEGES IN SCHEMA kept REVOKE SELECT ON TABLES FROM carry_reader;
TRUNCATE kept_before;
INSERT INTO kept_before TABLE kept;
SELECT venice.push('kept', 'TABLE kept.records') IS NOT NULL AS pushed;
(TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept);
SELECT relreplident FROM pg_class WHERE oid = 'kept.records'::regclass;

-- What is dropped while a finished version waits for its swap does not come back with it; what is defined otherwise is so.
SELECT * FROM venice.start_push('kept') \gset
INSERT INTO :schema.records TABLE kept.records;
-- Of the same name as a later one, but made by hand on the new version: it is meant.
CREATE INDEX kept_mine ON :schema.records (code);
SELECT venice.end_push('kept', swap => false);
CREATE INDEX kept_mine_too ON :schema.records (parent);
ALTER TABLE kept.records REPLICA IDENTITY NOTHING;
DROP INDEX kept.kept_identity;
DROP TRIGGER kept_replica ON kept.records;
DROP STATISTICS kept.kept_inside;
DROP POLICY kept_all ON kept.records;
ALTER TABLE kept.records DROP CONSTRAINT kept_apart;
ALTER TABLE kept.records DROP CONSTRAINT kept_a_parent;
ALTER INDEX kept.kept_in SET (fillfactor = 55);
DROP INDEX kept.kept_expression;
CREATE INDEX kept_expression ON kept.records ((a * b));
DROP STATISTICS carry_other.kept_outside;
CREATE STATISTICS carry_other.kept_outside (mcv) ON b, note FROM kept.records;
ALTER TABLE kept.records DROP CONSTRAINT kept_later;
ALTER TABLE kept.records ADD CONSTRAINT kept_later CHECK (a > 0) NOT VALID;
CREATE INDEX kept_mine ON kept.records (b);
TRUNCATE kept_before;
INSERT INTO kept_before TABLE kept;
SELECT venice.swap_version('kept', :version);
SELECT * FROM ((TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept)) d ORDER BY what COLLATE "C", settings COLLATE "C";
-- Also what was made last has statistics: nothing would analyze a table that does not change.
SELECT count(*) AS filled FROM pg_stats_ext WHERE schemaname = 'kept' AND tablename = 'records';
SELECT count(*) > 0 AS filled FROM pg_stats WHERE schemaname = 'kept' AND tablename = 'kept_expression';
-- So it is at a roll-back: the earlier version is like the current one, not as it was.
DROP INDEX kept.kept_in;
TRUNCATE kept_before;
INSERT INTO kept_before TABLE kept;
SELECT venice.rollback_version('kept') IS NOT NULL AS rolled_back;
(TABLE kept EXCEPT TABLE kept_before) UNION ALL (TABLE kept_before EXCEPT TABLE kept);

-- A column that was dropped and added again is the same one by its name.
ALTER TABLE kept.records DROP COLUMN note;
ALTER TABLE kept.records ADD COLUMN note text;
CREATE INDEX kept_again ON kept.records (note);
SELECT venice.push('kept', 'SELECT id, a, b, note, code, parent FROM kept.records') IS NOT NULL AS pushed;
SELECT indexdef FROM pg_indexes WHERE schemaname = 'kept' AND indexname = 'kept_again';

-- A swap that would lose something is refused, and says what.
CREATE RULE kept_rule AS ON DELETE TO kept.records DO ALSO NOTHING;
SELECT venice.push('kept', 'TABLE kept.records');
SELECT venice.rollback_version('kept');
DROP RULE kept_rule ON kept.records;
CREATE TABLE carry_other.child () INHERITS (kept.records);
SELECT venice.push('kept', 'TABLE kept.records');
DROP TABLE carry_other.child;
CREATE TABLE carry_other.parent (id integer);
ALTER TABLE kept.records INHERIT carry_other.parent;
SELECT venice.push('kept', 'TABLE kept.records');
ALTER TABLE kept.records NO INHERIT carry_other.parent;
ALTER TABLE kept.records ADD COLUMN mine integer, ADD COLUMN twice integer GENERATED ALWAYS AS (a * 2) STORED;
SELECT venice.push('kept', 'SELECT id, a, b, note, code, parent FROM kept.records');
ALTER TABLE kept.records DROP COLUMN mine, DROP COLUMN twice;
CREATE DOMAIN kept.range AS integer;
CREATE COLLATION kept.words FROM "C";
SELECT venice.push('kept', 'TABLE kept.records');
DROP DOMAIN kept.range;
DROP COLLATION kept.words;
-- One that only mentions the schema from elsewhere is none of its business.
CREATE VIEW carry_other.mentions AS SELECT 'kept'::regnamespace AS schema;
SELECT venice.push('kept', 'TABLE kept.records') IS NOT NULL AS pushed;

-- Going back to a version without a column, which only a version that was pushed later could have, what names the column is named.
SELECT venice.alter_store('kept', value => 'a integer, b integer, note text, code varchar(9), parent integer, extra float8 DEFAULT date_part(''epoch'', now())');
SELECT venice.push('kept', 'SELECT id, a, b, note, code, parent, 1 FROM kept.records') IS NOT NULL AS pushed;
CREATE POLICY kept_extra ON kept.records USING (extra > 0);
SELECT venice.rollback_version('kept');
DROP POLICY kept_extra ON kept.records;
GRANT SELECT (extra) ON kept.records TO carry_reader;
SELECT venice.rollback_version('kept');
REVOKE SELECT (extra) ON kept.records FROM carry_reader;
CREATE INDEX kept_extra ON kept.records (extra);
SELECT venice.rollback_version('kept');
DROP INDEX kept.kept_extra;

-- Event triggers are code of somebody's: none runs as the extension's owner in a swap, even in one that makes something.
SELECT venice.push('kept', 'TABLE kept.records LIMIT 5') IS NOT NULL AS pushed;
CREATE INDEX kept_event ON kept.records (extra);
CREATE POLICY kept_event ON kept.records USING (true);
RESET ROLE;
CREATE TABLE carry_other.event (tag text, role name);
GRANT ALL ON carry_other.event TO PUBLIC;
GRANT USAGE ON SCHEMA carry_other TO PUBLIC;
CREATE FUNCTION carry_other.note_event() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO carry_other.event VALUES (tg_tag, current_user); END';
CREATE EVENT TRIGGER carry_start ON ddl_command_start EXECUTE FUNCTION carry_other.note_event();
CREATE EVENT TRIGGER carry_end ON ddl_command_end EXECUTE FUNCTION carry_other.note_event();
CREATE EVENT TRIGGER carry_drop ON sql_drop EXECUTE FUNCTION carry_other.note_event();
SET ROLE carry_owner;
SELECT venice.rollback_version('kept') IS NOT NULL AS rolled_back;
SELECT DISTINCT role FROM carry_other.event WHERE role <> 'carry_owner';
CREATE TABLE carry_other.noticed ();
SELECT count(*) > 0 AS they_work FROM carry_other.event WHERE tag = 'CREATE TABLE';
RESET ROLE;
DROP EVENT TRIGGER carry_start;
DROP EVENT TRIGGER carry_end;
DROP EVENT TRIGGER carry_drop;

-- A policy follows to a version that has its columns in another order, also where that has one which looks the same by
-- their numbers.
SELECT venice.create_store('turned', 'id integer', 'a integer, b integer');
SELECT venice.push('turned', 'SELECT 1, 1, 1') IS NOT NULL AS pushed;
CREATE POLICY positive ON turned.records USING (a > 0);
SELECT venice.alter_store('turned', value => 'b integer, a integer');
SELECT venice.push('turned', 'SELECT 1, 1, 1') IS NOT NULL AS pushed;
ALTER POLICY positive ON turned.records USING (b > 0);
SELECT venice.rollback_version('turned') AS rolled_back_to;
SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polrelid = 'turned.records'::regclass;

-- What a policy says of its own table, in a subquery or as a constant, it says of the version that it is on, by names of
-- columns; so it decides by that version's rows, hides none, and keeps no version from being dropped.
SELECT venice.create_store('looked', 'id integer', 'a integer, b integer', options => '{"versions_to_keep": 9, "owner": "carry_owner"}');
SELECT venice.push('looked', 'SELECT 1, 1, 1') IS NOT NULL AS pushed;
GRANT USAGE ON SCHEMA looked TO carry_reader;
GRANT SELECT ON looked.records TO carry_reader;
ALTER TABLE looked.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY here ON looked.records FOR SELECT USING (tableoid = 'looked.records'::regclass);
CREATE POLICY above ON looked.records FOR UPDATE USING (a > (SELECT avg(r.a) FROM looked.records r WHERE r.b = records.b))
    WITH CHECK ((SELECT count(*) FROM looked.records s) > 0);
CREATE TEMP VIEW looked AS
    SELECT polname, (SELECT string_agg(m[1], ', ') FROM regexp_matches(
           concat_ws(' ', pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid)), 'looked\w*\.records|\w+\.\w = \w+\.\w', 'g') m) AS reads
      FROM pg_policy WHERE polrelid = to_regclass('looked.records') ORDER BY 1;
TABLE looked;
SELECT venice.alter_store('looked', value => 'b integer, a integer');
SELECT venice.push('looked', 'SELECT 2, 2, 2') IS NOT NULL AS pushed;
TABLE looked;
SET ROLE carry_reader;
SELECT a FROM looked.get(2);
RESET ROLE;
SELECT * FROM venice.swap_dependents WHERE store = 'looked';
-- So it is on the way back, and nothing is made again on the way forward.
SELECT venice.rollback_version('looked') AS rolled_back_to;
TABLE looked;
BEGIN;
SELECT venice.swap_version('looked', 2);
SELECT count(*) AS made FROM pg_policy WHERE xmin = pg_current_xact_id()::xid;
COMMIT;
TABLE looked;
-- One that names an earlier version means that one, and keeps it.
CREATE POLICY earlier ON looked.records FOR DELETE USING (EXISTS (SELECT FROM looked_v1.records));
SELECT venice.push('looked', 'SELECT 3, 3, 3') IS NOT NULL AS pushed;
TABLE looked;
SELECT version, kind, object FROM venice.swap_dependents WHERE store = 'looked' ORDER BY object;
DROP POLICY earlier ON looked.records;
DROP POLICY earlier ON looked_v2.records;
-- A policy of an earlier version that says the same words, but of the current one, is not the same.
ALTER POLICY here ON looked_v2.records USING (tableoid = 'looked.records'::regclass);
ALTER POLICY above ON looked_v2.records USING (a > (SELECT avg(r.a) FROM looked.records r WHERE r.b = records.b))
    WITH CHECK ((SELECT count(*) FROM looked.records s) > 0);
SELECT venice.rollback_version('looked', 2);
TABLE looked;
DROP POLICY above ON looked.records;
DROP POLICY above ON looked_v3.records;
ALTER POLICY here ON looked_v3.records USING (tableoid = 'looked.records'::regclass);
SELECT venice.swap_version('looked', 3);
TABLE looked;
-- Column aliases that would name other columns are refused, and which policy has them is said; others are nobody's business.
CREATE POLICY aliased ON looked.records FOR DELETE USING (EXISTS (SELECT FROM looked.records r(x, y, z) WHERE r.z > 0));
SELECT venice.rollback_version('looked', 1);
ALTER POLICY aliased ON looked.records
    USING (EXISTS (SELECT FROM (generate_series(1, 2) s(n) CROSS JOIN generate_series(1, 2) t(n)) j(m, o) WHERE j.m > 0));
SELECT venice.rollback_version('looked', 1) AS rolled_back_to;

SET client_min_messages = warning;
SELECT venice.drop_store('looked', force => true);
DROP VIEW looked;
SELECT venice.drop_store('turned', force => true);
SELECT venice.drop_store('kept', force => true);
DROP VIEW kept;
DROP TABLE kept_before;
DROP SCHEMA carry_other CASCADE;
DROP TABLESPACE carry_space;
RESET client_min_messages;
REVOKE CREATE ON DATABASE regression FROM carry_owner;
DROP ROLE carry_owner, carry_reader, carry_columns;
