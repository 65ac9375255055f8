-- Theme: what SQL writes to hybrid stores, up to where a worker takes it.  There is no broker here.
SET client_min_messages = warning;
SET timezone = 'UTC';
\set SHOW_CONTEXT never
CREATE SERVER outbox_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE ROLE outbox_writer;
CREATE ROLE outbox_owner;
CREATE FUNCTION pg_temp.outbox(store text) RETURNS TABLE (kind "char", key text, value text, logical_time bigint, push_id text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE pg_catalog.format('SELECT kind, convert_from(key, ''utf8''), convert_from(value, ''utf8''), logical_time, push_id FROM %I.outbox ORDER BY position', store || '_history');
END $$;

-- Each write is a record; what is rolled back is none; the rows stay as they are.
SELECT venice.create_store('ob', 'id int, part text', 'n int NOT NULL DEFAULT 7, tags text[], doc jsonb, short varchar(3)',
                           options => '{"key_format": "json", "value_format": "json", "real_time_topics": [{"server": "outbox_kafka", "topic": "{store}_rt"}]}');
ALTER TABLE ob.records ADD CONSTRAINT few CHECK (n < 100);
SELECT venice.pause_ingestion('ob');
SELECT ob.put(1, 'a', 2, '{x,NULL}', '{"b": [1, null]}', 'abc');
SELECT ob.put(2, 'b');
BEGIN;
SELECT ob.put(3, 'c', 3);
ROLLBACK;
BEGIN;
SELECT ob.put(4, 'd', 4);
SAVEPOINT s;
SELECT ob.put(5, 'e', 5);
ROLLBACK TO s;
SELECT ob.delete(4, 'd');
COMMIT;
SELECT ob.update(1, 'a', '{"n": {"$add": 1}, "tags": {"$union": ["y"]}}', _logical_time => '2026-01-01');
SELECT venice.incremental_push('ob', 'SELECT g, ''p'', g, NULL, NULL, NULL FROM generate_series(1, 2) g', 'once');
SELECT venice.incremental_push('ob', 'SELECT g, ''p'', g, NULL, NULL, NULL FROM generate_series(1, 2) g', 'once');
SELECT * FROM pg_temp.outbox('ob');
SELECT count(*) FROM ob.records;
SELECT origin, state, rows, ended_time FROM venice.pushes WHERE store = 'ob';
SELECT store, state, pid, pending, oldest_time IS NOT NULL AS old, produced, last_error FROM venice.stat_outbox;

-- What the current version would not take is refused at once, as is what is no patch, or none that it could resolve.
SELECT ob.put(1, 'a', NULL);
SELECT ob.put(1, 'a', 100);
SELECT ob.put(1, 'a', 1, short => 'abcd');
SELECT ob.put(1, NULL, 1);
SELECT ob.put(1, 'a', 1, _logical_time => '1969-01-01');
SELECT ob.update(1, 'a', '{"n": {"$sub": 1}}');
SELECT ob.update(1, 'a', '{"id": 1}');
SELECT venice.create_store('ob_row', 'id int', 'n int', options => '{"key_format": "int4", "value_format": "json", "conflict_resolution": "row", "real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_row.update(1, '{"n": 1}');
SELECT venice.create_store('ob_field', 'id int', 'n int', options => '{"key_format": "int8", "value_format": "json", "conflict_resolution": "field", "real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_field.update(1, '{"n": {"$add": 1}}');
SELECT ob_field.update(-2, '{"n": 5}');
SELECT ob_row.put(258, 1);
SELECT key FROM ob_row_history.outbox UNION ALL SELECT key FROM ob_field_history.outbox;

-- A record that readers of the topic would refuse for its size is refused here.
SELECT venice.alter_store('ob', '{"max_record_bytes": 100}');
SELECT ob.put(1, 'a', 1, doc => to_jsonb(repeat('x', 100)));
SELECT venice.alter_store('ob', '{"max_record_bytes": null}');

-- Fields are written where they are read from.
SELECT venice.create_store('ob_paths', 'id int', 'n int, tags text[], plain text',
                           options => '{"key_format": "text", "value_format": "json", "fields": {"n": "a.b.n", "tags": "a.tags", "plain": "p"}, "real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_paths.put(1, 2, '{x}', 'y');
SELECT * FROM pg_temp.outbox('ob_paths');

-- Keys that are read from values are keys of records all the same; of plain Avro nobody could read one without a value.
SELECT venice.create_store('ob_value', 'id int', 'n int', options => '{"key_format": "value", "value_format": "json", "real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_value.put(1, 2);
SELECT ob_value.delete(1);
SELECT * FROM pg_temp.outbox('ob_value');

-- Avro without a registry: the id of a schema has to be known, and the latest that fits is taken.
SELECT venice.create_store('ob_avro', 'id int', 'n bigint, tags text[], at timestamptz', options => '{"real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_avro.put(1, 2, '{x,NULL}', '2026-01-01');
SELECT venice.register_value_schema('ob_avro', '"int"', 6);
SELECT venice.register_value_schema('ob_avro', '{"type": "record", "name": "r", "fields": [{"name": "n", "type": ["null", "int"]}, {"name": "tags", "type": {"type": "array", "items": ["string", "null"]}}, {"name": "at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}]}, {"name": "more", "type": "string", "default": "m"}]}', 7);
SELECT venice.register_value_schema('ob_avro', '{"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}]}', 8);
SELECT venice.register_value_schema('ob_avro', '{"type": "record", "name": "r", "fields": [{"name": "n", "type": "long"}, {"name": "tags", "type": {"type": "array", "items": "string"}}, {"name": "at", "type": "long"}, {"name": "none", "type": "int"}]}', 9);
SELECT ob_avro.put(1, 2, '{x,NULL}', '2026-01-01');
SELECT ob_avro.delete(1);
SELECT kind, key, value, key_schema, value_schema FROM ob_avro_history.outbox;
-- What the schema cannot say is an error, and never rounded.
SELECT ob_avro.put(1, 2147483648, '{}', '2026-01-01');
SELECT ob_avro.put(1, 1, '{}', '2026-01-01 00:00:00.000001');
SELECT ob_avro.put(1, 1, '{}', 'infinity');
SELECT ob_avro.put(1, 1, NULL, '2026-01-01');
SELECT ob_avro.put(1, 1, '{{a},{b}}', '2026-01-01');
-- With a registry the worker asks it: until then the row has the schema itself.
ALTER SERVER outbox_kafka OPTIONS (ADD schema_registry_url 'http://127.0.0.1:1');
SELECT venice.create_store('ob_made', 'id int', 'n bigint NOT NULL, p numeric(5,2)', options => '{"real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_made.put(1, 2, 3.1);
SELECT kind, key, value, key_schema, value_schema FROM ob_made_history.outbox;
SELECT venice.create_store('ob_json', 'id int', 'j jsonb', options => '{"real_time_topics": [{"server": "outbox_kafka", "topic": "t"}]}');
SELECT ob_json.put(1, '{}');

-- Rights are those of rows: a writer needs them, and does not get at the outbox.
SET ROLE outbox_writer;
SELECT ob.put(9, 'z', 1);
RESET ROLE;
GRANT USAGE ON SCHEMA ob TO outbox_writer;
GRANT INSERT ON ob.records TO outbox_writer;
SET ROLE outbox_writer;
SELECT ob.put(9, 'z', 1);
SELECT ob.delete(9, 'z');
SELECT count(*) FROM ob_history.outbox;
SELECT count(*) FROM venice.stat_outbox;
RESET ROLE;

-- It goes with the store: to another owner, and away.
GRANT CREATE ON DATABASE :DBNAME TO outbox_owner;
GRANT USAGE ON FOREIGN SERVER outbox_kafka TO outbox_owner;
SELECT venice.alter_store('ob', '{"owner": "outbox_owner"}');
SELECT relowner::regrole FROM pg_class WHERE oid = 'ob_history.outbox'::regclass;
SET ROLE outbox_owner;
SELECT ob.put(10, 'o', 1);
SELECT store, pending FROM venice.stat_outbox;
RESET ROLE;
SELECT venice.drop_store('ob');
SELECT count(venice.drop_store(store)) FROM venice.stores WHERE store LIKE 'ob\_%';
SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'ob%history';
REVOKE CREATE ON DATABASE :DBNAME FROM outbox_owner;
REVOKE USAGE ON FOREIGN SERVER outbox_kafka FROM outbox_owner;
DROP SERVER outbox_kafka;
DROP ROLE outbox_writer, outbox_owner;
