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

CREATE TEMP VIEW attached AS
    SELECT c.relacl::text AS privileges, n.nspacl::text AS schema_privileges, c.relrowsecurity AS row_security,
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
REVOKE CREATE ON DATABASE regression FROM carry_owner;
DROP ROLE carry_owner, carry_reader, carry_columns;
