-- Theme: what somebody has attached to a store runs as him, or as who calls, never as the extension's owner, and gets no further.

CREATE ROLE code_boss SUPERUSER;
CREATE ROLE code_dba SUPERUSER;
CREATE ROLE code_owner;
CREATE DATABASE regression_user_code;
\c regression_user_code
SET ROLE code_boss;
CREATE EXTENSION venice;
RESET ROLE;
GRANT CREATE ON DATABASE regression_user_code TO code_owner;
SELECT extowner::regrole FROM pg_extension WHERE extname = 'venice';

-- Each function notes who it runs as, and whether it can become somebody else or leave a trap for later.
CREATE SCHEMA code AUTHORIZATION code_owner;
SET ROLE code_owner;
CREATE TABLE code.log (place text, who name DEFAULT current_user, escaped text);
CREATE TABLE code.trap (place text);
CREATE FUNCTION code.spring() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN INSERT INTO code.log (place) VALUES (NEW.place || ', at commit'); RETURN NULL; END$$;
CREATE CONSTRAINT TRIGGER spring AFTER INSERT ON code.trap DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION code.spring();
CREATE FUNCTION code.note(place text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    statement text;
    escapes text := '';
BEGIN
    IF current_user <> 'code_owner' THEN
        INSERT INTO code.log (place) VALUES (place);
        RETURN;
    END IF;
    FOREACH statement IN ARRAY ARRAY['RESET ROLE', 'SET ROLE code_boss', 'SET SESSION AUTHORIZATION code_boss',
                                     'SET SESSION AUTHORIZATION DEFAULT', format('INSERT INTO code.trap VALUES (%L)', place)]
    LOOP
        BEGIN
            EXECUTE statement;
            escapes := escapes || statement || ';';
        EXCEPTION WHEN OTHERS THEN NULL;
        END;
    END LOOP;
    INSERT INTO code.log (place, escaped) VALUES (place, escapes);
END$$;
CREATE FUNCTION code.passes(place text, value integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM code.note(place); RETURN true; END$$;
CREATE FUNCTION code.same(place text, value integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM code.note(place); RETURN value; END$$;
CREATE FUNCTION code.fires() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM code.note(TG_ARGV[0]); RETURN COALESCE(NEW, OLD); END$$;
CREATE DOMAIN code.small AS integer CHECK (code.passes('domain', VALUE));
CREATE DOMAIN code.constant AS integer CHECK (code.passes('constant', VALUE));
CREATE TYPE code.pair AS (a code.constant, b integer);
CREATE TYPE code.mood AS ENUM ('low', 'high');
CREATE FUNCTION code.to_mood(value integer) RETURNS code.mood LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN PERFORM code.note('cast'); RETURN CASE WHEN value > 0 THEN 'high' ELSE 'low' END; END$$;
CREATE CAST (integer AS code.mood) WITH FUNCTION code.to_mood AS ASSIGNMENT;

-- Operators and functions that stand in for the server's, for whoever has this schema in front.
CREATE FUNCTION code.equal(integer, integer) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('operator'); RETURN true; END$$;
CREATE FUNCTION code.equal(name, name) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('operator'); RETURN true; END$$;
CREATE FUNCTION code.equal(oid, oid) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('operator'); RETURN true; END$$;
CREATE FUNCTION code.equal(text, text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('operator'); RETURN true; END$$;
CREATE OPERATOR code.= (LEFTARG = integer, RIGHTARG = integer, FUNCTION = code.equal);
CREATE OPERATOR code.= (LEFTARG = name, RIGHTARG = name, FUNCTION = code.equal);
CREATE OPERATOR code.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = code.equal);
CREATE OPERATOR code.= (LEFTARG = text, RIGHTARG = text, FUNCTION = code.equal);
CREATE FUNCTION code.sum(bigint) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('function'); RETURN 0; END$$;
CREATE FUNCTION code.quote_ident(text) RETURNS text LANGUAGE plpgsql AS $$BEGIN PERFORM code.note('function'); RETURN ''; END$$;
CREATE DOMAIN code.int4 AS pg_catalog.int4 CHECK (code.passes('type', VALUE));

-- Where nothing holds it, such code gets away and springs its trap; what follows is no less.
BEGIN;
SELECT code.note('control');
COMMIT;
SELECT * FROM code.log;
RESET ROLE;
SET ROLE code_owner;

-- Everything that can be attached to a store.
SELECT venice.create_store('target', 'id integer', 'v code.small DEFAULT code.same(''default'', 7), m code.mood, w integer', options => '{"versions_to_keep": 9}');
SELECT venice.push('target', 'SELECT n, n, n, n FROM generate_series(1, 3) n');
CREATE INDEX ON target.records (code.same('index', w)) WHERE code.passes('index predicate', w);
ALTER TABLE target.records ADD CONSTRAINT spied CHECK (code.passes('check', w));
ALTER TABLE target.records ADD CONSTRAINT excluded EXCLUDE USING btree (code.same('exclusion', w) WITH =);
CREATE STATISTICS target.spied ON code.same('statistics', w), w FROM target.records;
ALTER STATISTICS target.spied SET SCHEMA code;
CREATE TRIGGER spied BEFORE INSERT OR UPDATE OR DELETE ON target.records FOR EACH ROW EXECUTE FUNCTION code.fires('trigger');
ALTER TABLE target.records ENABLE ALWAYS TRIGGER spied;
CREATE CONSTRAINT TRIGGER deferred AFTER INSERT OR UPDATE OR DELETE ON target.records DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION code.fires('deferred trigger');
ALTER TABLE target.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY spied ON target.records USING (code.passes('policy', w) AND w <> ALL ('{70}'::code.constant[]) AND w <> ('(71,0)'::code.pair).a);
CREATE VIEW code.over_records AS SELECT code.same('view', w) AS w FROM target.records;
CREATE MATERIALIZED VIEW code.of_records AS SELECT code.same('materialized view', w) AS w FROM target.records;
RESET ROLE;

-- A view follows with its owner's rights, but not if that has somebody else's domain look at its constants: then it stays behind, and says so.
SET ROLE code_boss;
CREATE VIEW public.of_boss AS SELECT id FROM target.records WHERE w <> ALL ('{70}'::code.constant[]);
CREATE VIEW public.row_of_boss AS SELECT id FROM target.records WHERE w <> ('(71,0)'::code.pair).b;
CREATE VIEW public.plain_of_boss AS SELECT id FROM target.records WHERE m = 'low';
CREATE VIEW public.of_owner AS SELECT id FROM target.records WHERE w <> ALL ('{70}'::code.constant[]);
GRANT CREATE ON SCHEMA public TO code_owner;
ALTER VIEW public.of_owner OWNER TO code_owner;
SET ROLE code_dba;
TRUNCATE code.log;
SELECT venice.push('target', 'SELECT n, n, n, n FROM generate_series(1, 3) n');
SELECT who, escaped, count(*) > 0 AS ran FROM code.log WHERE place = 'constant' GROUP BY 1, 2;
SELECT object, reason FROM venice.swap_dependents WHERE kind = 'view' ORDER BY object;
RESET ROLE;
DROP VIEW public.of_boss, public.row_of_boss, public.plain_of_boss, public.of_owner;

-- Who pushes for the owner lends his rights to the query, and to the casts and domains that its rows pass through, as INSERT would.
-- All that is done to the version after that is done as the owner.
SET ROLE code_dba;
SET search_path = code, pg_catalog;
TRUNCATE code.log;
SELECT venice.push('target', 'SELECT n, n, n, n FROM pg_catalog.generate_series(1, 3) n');
RESET search_path;
SELECT place, who, escaped, count(*) > 0 AS ran FROM code.log GROUP BY 1, 2, 3 ORDER BY place COLLATE "C", who;

-- Filled by the owner, with traps on the unfinished version, and finished by somebody else: all is the owner's.
TRUNCATE code.log;
SET ROLE code_owner;
SELECT * FROM venice.start_push('target', options => '{"origin": "sql"}') \gset
CREATE INDEX ON :schema.records (code.same('early index', w));
INSERT INTO :schema.records SELECT n, n, n, n FROM generate_series(1, 3) n;
TRUNCATE code.log;
SET ROLE code_dba;
SET search_path = code, pg_catalog;
SELECT venice.end_push('target', swap => false);
SELECT place, who, escaped, count(*) > 0 AS ran FROM code.log GROUP BY 1, 2, 3 ORDER BY place COLLATE "C", who;
SET ROLE code_owner;
CREATE INDEX ON target.records (code.same('late index', w));
TRUNCATE code.log;
SET ROLE code_dba;
SELECT venice.swap_version('target', :version);
SELECT venice.rollback_version('target');
SELECT venice.alter_store('target', '{"max_rejected": 5}');
SELECT venice.rebuild_functions('target');
SELECT venice.drop_version('target', :version);
RESET search_path;
SELECT place, who, escaped, count(*) > 0 AS ran FROM code.log GROUP BY 1, 2, 3 ORDER BY place COLLATE "C", who;

-- What a source says of its records' columns is the owner's, also where somebody else makes a view of it, or alters it.
CREATE SERVER code_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1', schema_registry_url 'http://127.0.0.1:1');
GRANT USAGE ON FOREIGN SERVER code_kafka TO code_owner;
SET ROLE code_owner;
SET search_path = code;
SELECT venice.create_entity('topical', 'id integer');
SELECT venice.create_source('topical', server => 'code_kafka', topic => 't', options => '{"columns": "w constant[] NOT NULL DEFAULT ''{72}''"}');
RESET search_path;
SELECT columns FROM venice.sources WHERE name = 'topical';
TRUNCATE code.log;
SET ROLE code_dba;
SELECT venice.create_feature_view('topical', '{topical}', 'topical', 'w', options => '{"owner": "code_owner"}');
SELECT venice.alter_source('topical', '{"description": "Looked at"}');
SELECT who, escaped, count(*) > 0 AS ran FROM code.log WHERE place = 'constant' GROUP BY 1, 2;
SELECT venice.drop_source('topical', force => true);
SELECT venice.drop_entity('topical');
RESET ROLE;
DROP SERVER code_kafka;
SET ROLE code_dba;

-- A repair deletes rows as the owner, in a place where nothing can be put off until the commit.
SET ROLE code_owner;
SELECT venice.create_store('repaired', 'id integer', 'v integer', options => '{"on_duplicate": "last"}');
SELECT * FROM venice.start_push('repaired') \gset
CREATE CONSTRAINT TRIGGER deferred AFTER DELETE ON :schema.records DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION code.fires('deferred trigger');
INSERT INTO :schema.records VALUES (1, 1), (1, 2);
TRUNCATE code.log;
SET ROLE code_dba;
SELECT venice.end_push('repaired');
SELECT place, who, escaped FROM code.log;

-- What may fire at once fires as the owner; maintenance runs nothing of his.
SET ROLE code_owner;
CREATE TRIGGER spied BEFORE DELETE ON :schema.records FOR EACH ROW EXECUTE FUNCTION code.fires('trigger');
DROP TRIGGER deferred ON :schema.records;
SET ROLE code_dba;
SELECT venice.end_push('repaired', swap => false);
SELECT venice.swap_version('repaired', :version);
SET search_path = code, pg_catalog;
CALL venice.run_maintenance();
RESET search_path;
SELECT place, who, escaped FROM code.log;

-- Who reads a policy's rows runs its function himself; who owns the extension has no part in it.
TRUNCATE code.log;
GRANT USAGE ON SCHEMA target, code TO PUBLIC;
GRANT SELECT ON target.records TO PUBLIC;
GRANT INSERT ON code.log TO PUBLIC;
CREATE ROLE code_reader;
SET ROLE code_reader;
SELECT v FROM target.get(1);
SELECT count(*) FROM target.batch_get('{1,2}');
RESET ROLE;
SELECT DISTINCT place, who FROM code.log ORDER BY 1, 2;

-- What a push's query does, it does as who pushes, and it is one query.
SET ROLE code_owner;
SELECT venice.push('repaired', 'SELECT 1, 2; DROP TABLE venice.store');
SELECT venice.push('repaired', 'SELECT 1, 2) ON CONFLICT DO NOTHING; DROP TABLE venice.store; --');
SELECT venice.push('repaired', 'WITH gone AS (DELETE FROM venice.store RETURNING 1) SELECT 1, 2');
SELECT venice.push('repaired', 'SELECT count(*), 1 FROM venice.store');
SELECT venice.push('repaired', 'SELECT 1, 2 INTO code.taken');
SELECT v FROM repaired.get(1);
SELECT venice.create_store('escaping', 'id integer', 'v integer); DROP TABLE venice.store; --');
SELECT venice.create_store('escaping', 'id integer', 'v integer DEFAULT (SELECT 1)');
SELECT venice.create_store('escaping"; DROP TABLE venice.store; --', 'id"" integer', 'v integer');
SELECT venice.create_store('"; DROP TABLE venice.store; --', '"id""; --" integer', '"v'';" integer DEFAULT 1');
SELECT venice.push('"; DROP TABLE venice.store; --', 'SELECT 1, 2');
SELECT * FROM """; DROP TABLE venice.store; --".get(1);
RESET ROLE;

-- In all of that nothing has run as the extension's owner.
SELECT count(*) FROM code.log WHERE who = 'code_boss';
SELECT count(*) FROM venice.stores;

\c regression
DROP DATABASE regression_user_code;
DROP ROLE code_boss, code_dba, code_owner, code_reader;
