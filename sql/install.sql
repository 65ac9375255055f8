-- Theme: what CREATE EXTENSION makes and leaves alone.

-- Members live in the extension's own schemas: nothing lands in pg_catalog or public.
CREATE EXTENSION venice;
SELECT DISTINCT n.nspname
  FROM pg_depend d
  JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND e.extname = 'venice'
  CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, 0) o
  JOIN pg_namespace n ON n.nspname = o.schema
 WHERE d.deptype = 'e'
 ORDER BY 1;

-- A schema that somebody made beforehand is not adopted: the installation fails.
CREATE DATABASE regression_squatted;
\c regression_squatted
CREATE SCHEMA venice;
-- PostgreSQL 18 says where in the script.
\set SHOW_CONTEXT never
CREATE EXTENSION venice;
\set SHOW_CONTEXT errors

-- A store is not remembered beyond its extension: of one that was installed again nobody gets its rows.
DROP SCHEMA venice;
CREATE EXTENSION venice;
SELECT venice.create_store('forgotten', 'id integer', 'v integer');
SELECT venice.push('forgotten', 'VALUES (1, 1)');
SELECT * FROM forgotten.get(1);
SET client_min_messages = warning;
DROP EXTENSION venice CASCADE;
CREATE EXTENSION venice;
SELECT * FROM forgotten.get(1);
\c regression
DROP DATABASE regression_squatted;

-- Internal functions are not among those that people see.
SELECT count(*) = 0 AS none_internal FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname = 'venice' AND p.proname ~ 'internal|validator|handler';

-- Everything that PUBLIC may call or read has a comment.
SELECT p.oid::regprocedure AS uncommented FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname IN ('venice', 'venice_internal') AND obj_description(p.oid, 'pg_proc') IS NULL;
SELECT c.oid::regclass AS uncommented FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'venice' AND c.relkind IN ('r', 'v') AND obj_description(c.oid, 'pg_class') IS NULL;

-- The registry's tables are dumped, but for what only this server can know.
SELECT c.relname AS not_dumped FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'venice' AND c.relkind = 'r'
   AND NOT c.oid = ANY (SELECT unnest(extconfig) FROM pg_extension WHERE extname = 'venice')
 ORDER BY 1;
