-- Theme: who may do what: an owner, a member of the owner's role, a reader, a stranger.

CREATE ROLE rights_owner;
CREATE ROLE rights_member IN ROLE rights_owner;
CREATE ROLE rights_reader;
CREATE ROLE rights_stranger;
CREATE SERVER rights_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');

-- Making a store needs CREATE on the database, and USAGE on the server for one that Kafka fills.
SET ROLE rights_owner;
SELECT venice.create_store('owned', 'id integer', 'v integer');
RESET ROLE;
GRANT CREATE ON DATABASE regression TO rights_owner;
SET ROLE rights_owner;
SELECT venice.create_store('owned', 'id integer', 'v integer', 'rights_kafka');
\set VERBOSITY sqlstate
SELECT venice.create_store('owned', 'id integer', 'v integer', options => '{"owner": "rights_stranger"}');
\set VERBOSITY default
SELECT venice.create_store('owned', 'id integer', 'v integer');
SELECT venice.push('owned', 'SELECT 1, 10');
RESET ROLE;
REVOKE CREATE ON DATABASE regression FROM rights_owner;

-- Pushing does not need it; a member may do what the owner may.
SET ROLE rights_member;
SELECT venice.push('owned', 'SELECT 1, 20');
SELECT * FROM venice.start_push('owned') \gset
INSERT INTO :schema.records VALUES (1, 30);
SELECT venice.end_push('owned');
SELECT venice.rollback_version('owned');
SELECT venice.alter_store('owned', '{"versions_to_keep": 4}');
SELECT count(*) FROM venice.versions WHERE state = 'current';
SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = 'owned.records'::regclass;

-- A stranger may do nothing and sees nothing.
RESET ROLE;
SET ROLE rights_stranger;
SELECT venice.push('owned', 'SELECT 1, 66');
SELECT venice.start_push('owned');
SELECT venice.end_push('owned');
SELECT venice.abort_push('owned');
CALL venice.wait_for_push('owned');
SELECT venice.swap_version('owned', 1);
SELECT venice.rollback_version('owned');
SELECT venice.drop_version('owned', 1);
SELECT venice.alter_store('owned', '{}');
SELECT venice.drop_store('owned');
SELECT venice.rebuild_functions('owned');
SELECT venice.register_value_schema('owned', '"string"', 1);
SELECT venice.pause_ingestion('owned');
SELECT venice.resume_ingestion('owned');
SELECT venice.pause_ingestion();
SELECT venice.resume_ingestion();
SELECT * FROM venice.check_server('rights_kafka');
SELECT * FROM venice.peek('rights_kafka', 'topic');
SELECT (SELECT count(*) FROM venice.stores) AS stores, (SELECT count(*) FROM venice.versions) AS versions,
       (SELECT count(*) FROM venice.pushes) AS pushes, (SELECT count(*) FROM venice.columns) AS columns,
       (SELECT count(*) FROM venice.rejected_records) AS rejected, (SELECT count(*) FROM venice.stat_store) AS stat_store,
       (SELECT count(*) FROM venice.stat_ingestion) AS stat_ingestion, (SELECT count(*) FROM venice.stat_progress_push) AS progress;
SELECT * FROM owned.get(1);
SELECT * FROM venice_internal.get('owned', 1) AS r(v integer);
SELECT * FROM owned.records;
SELECT * FROM venice.store;
SELECT * FROM venice.store_version;
SELECT * FROM venice.version_pointer;
INSERT INTO venice.store (store_name, options) VALUES ('forged', '{}');
CREATE TABLE venice_internal.squat ();
CREATE TABLE venice.squat ();
RESET ROLE;

-- A reader needs USAGE on the schema and SELECT on what he reads; EXECUTE is everybody's.
GRANT USAGE ON SCHEMA owned TO rights_reader;
SET ROLE rights_reader;
SELECT * FROM owned.get(1);
RESET ROLE;
GRANT SELECT (id, v) ON owned.records TO rights_reader;
SET ROLE rights_reader;
SELECT * FROM owned.get(1);
SELECT * FROM owned.batch_get('{1}');
SELECT venice.push('owned', 'SELECT 1, 66');
RESET ROLE;

-- pg_read_all_stats sees counters, not rows.
GRANT pg_read_all_stats TO rights_stranger;
SET ROLE rights_stranger;
SELECT count(*) FROM venice.stat_store;
SELECT count(*) FROM venice.stores;
RESET ROLE;

-- A default that calls the owner's function runs as the owner, never as the caller.
CREATE SCHEMA rights_code;
GRANT ALL ON SCHEMA rights_code TO rights_owner;
SET ROLE rights_owner;
CREATE FUNCTION rights_code.who(integer) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
    $$BEGIN RAISE NOTICE 'checked as %', current_user; RETURN true; END$$;
ALTER TABLE owned.records ADD CONSTRAINT spy CHECK (rights_code.who(v));
RESET ROLE;
SELECT venice.push('owned', 'SELECT 1, 40') IS NOT NULL AS pushed;

-- Secrets are for user mappings; what reads files is for superusers; what runs code is for nobody.
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', sasl_password 'secret');
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka;
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', plugin_library_paths '/tmp/x.so');
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', security_protocol 'telnet');
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', schema_registry_url 'file:///etc/passwd');
CREATE SERVER bad FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', schema_registry_url 'http://u:secret@h');
CREATE USER MAPPING FOR rights_owner SERVER rights_kafka OPTIONS (bootstrap_servers 'b');
CREATE USER MAPPING FOR rights_owner SERVER rights_kafka OPTIONS (sasl_username 'u', sasl_password 'secret');
GRANT USAGE ON FOREIGN DATA WRAPPER venice_kafka TO rights_owner;
SET ROLE rights_owner;
CREATE SERVER owners FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b', ssl_ca_location '/etc/passwd');
CREATE SERVER owners FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers 'b');
ALTER SERVER owners OPTIONS (ADD ssl_ca_location '/etc/passwd');
RESET ROLE;

-- The schema's owner is the store's owner, also of what comes after.
ALTER SCHEMA owned OWNER TO rights_stranger;
GRANT USAGE ON SCHEMA rights_code TO rights_stranger;
SET ROLE rights_stranger;
SELECT venice.push('owned', 'SELECT 1, 50') IS NOT NULL AS pushed;
SELECT * FROM owned.get(1);
RESET ROLE;
SELECT c.relname, pg_get_userbyid(c.relowner) FROM pg_class c WHERE c.relnamespace = 'owned'::regnamespace AND c.relkind = 'r' ORDER BY 1;
SET ROLE rights_owner;
SELECT * FROM venice_internal.get('owned', 1) AS r(v integer);
RESET ROLE;

SELECT venice.drop_store('owned');
DROP SERVER rights_kafka CASCADE;
DROP SERVER owners;
DROP SCHEMA rights_code CASCADE;
REVOKE USAGE ON FOREIGN DATA WRAPPER venice_kafka FROM rights_owner;
DROP ROLE rights_member, rights_owner, rights_reader, rights_stranger;
