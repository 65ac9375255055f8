-- Theme: making, altering and dropping stores.

-- What a statement is refused with: SQLSTATE, message, detail and hint.
CREATE FUNCTION refused(statement text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
    detail text;
    hint text;
BEGIN
    EXECUTE statement;
    RETURN NEXT 'not refused';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
    RETURN NEXT SQLSTATE || ': ' || SQLERRM;
    RETURN QUERY SELECT 'DETAIL: ' || detail WHERE detail <> '';
    RETURN QUERY SELECT 'HINT: ' || hint WHERE hint <> '';
END $$;

-- A store is a schema with an empty current version and its functions.
SELECT venice.create_store('user_features', 'user_id bigint', 'clicks bigint, ctr double precision DEFAULT 0.5, country varchar(2) NOT NULL');
\d user_features.records
\df user_features.*
SELECT store, owner = current_user AS mine, schema, state, key_columns, value_columns, server, current_version, future_version
  FROM venice.stores;
SELECT jsonb_pretty(options) FROM venice.stores;
SELECT column_name, position, is_key, pg_type, source_field, source_type FROM venice.columns ORDER BY position;
SELECT * FROM user_features.get(1);
SELECT obj_description('user_features'::regnamespace, 'pg_namespace');

-- Compound keys, and arguments of ours that a column's name displaces.
SELECT venice.create_store('pairs', 'a integer, b text', 'ordinality integer, "Mixed Case" text');
\df pairs.*

-- An Avro schema makes the columns.
SELECT venice.create_store('from_avro', '"long"', '{"type": "record", "name": "r", "fields": [
    {"name": "i", "type": "int"}, {"name": "l", "type": ["null", "long"], "default": null}, {"name": "f", "type": "float", "default": 1.5},
    {"name": "s", "type": "string", "default": "it''s"}, {"name": "e", "type": {"type": "enum", "name": "e", "symbols": ["A", "B"]}},
    {"name": "fx", "type": {"type": "fixed", "name": "fx", "size": 4}}, {"name": "ts", "type": {"type": "long", "logicalType": "timestamp-millis"}},
    {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 10, "scale": 2}}, {"name": "da", "type": {"type": "int", "logicalType": "date"}},
    {"name": "u", "type": {"type": "string", "logicalType": "uuid"}}, {"name": "a", "type": {"type": "array", "items": "double"}},
    {"name": "m", "type": {"type": "map", "values": "long"}}, {"name": "n", "type": {"type": "record", "name": "n", "fields": [{"name": "x", "type": "int"}]}},
    {"name": "un", "type": ["int", "string"]}]}');
\d from_avro.records
SELECT column_name, source_type FROM venice.columns WHERE store = 'from_avro' ORDER BY position;

-- Wrong arguments are refused with an SQLSTATE, and where one can act, a hint.
\t on
SELECT refused($$SELECT venice.create_store('user_features', 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store('public', 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store('x_v3', 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store('x_history', 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store(repeat('x', 49), 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store('', 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store(NULL, 'k int', 'v int')$$);
SELECT refused($$SELECT venice.create_store('x', NULL, 'v int')$$);
SELECT refused($$SELECT venice.create_store('x', 'k nosuchtype', 'v int')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', '')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int, v text')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'k int')$$);
SELECT refused($$SELECT venice.create_store('x', 'k json', 'v int')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', '_v int')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int PRIMARY KEY')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int, CHECK (v > 0)')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int DEFAULT random()')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int) INHERITS (pg_class')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int); DROP TABLE user_features.records; --')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v anyelement')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', '{"type": "record"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', '{"type": ')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', 'nosuchserver')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"colour": "red"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"versions_to_keep": 0}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"unlogged": "yes"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"backup_retention": "soon"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"backup_retention": "-1 day"}')$$);
-- Real-time topics are on servers that there are, under names that Kafka would have, and each is one region.
SELECT refused(format($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"real_time_topics": %s}')$$, topics))
  FROM unnest(ARRAY['"t"', '[{"server": "k"}]', '[{"server": "k", "topic": "a b"}]', '[{"server": "nowhere", "topic": "t"}]',
                    '[{"server": "k", "topic": "t"}, {"server": "k", "topic": "t"}]']) topics;
SELECT options ->> 'fillfactor' AS fillfactor, options ->> 'conflict_resolution' AS conflict_resolution
  FROM (SELECT venice_internal.effective_options('{"real_time_topics": [{"server": "k", "topic": "t"}, {"server": "k", "topic": "{store}_rt"}]}')) e (options);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"on_duplicate": "first"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"value_format": "avro"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'a int, b int', 'v int', options => '{"key_format": "int8"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"fields": {"w": "a.b"}}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"owner": "nosuchrole"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '{"tablespace": "nosuchspace"}')$$);
SELECT refused($$SELECT venice.create_store('x', 'k int', 'v int', options => '[]')$$);
SELECT refused($$SELECT venice.alter_store('nosuchstore', '{}')$$);
SELECT refused($$SELECT venice.drop_store('nosuchstore')$$);
SELECT refused($$SELECT * FROM venice_internal.get('nosuchstore', 1) AS r(v int)$$);
\t off

-- None of the refused left anything behind.
SELECT store FROM venice.stores ORDER BY 1;

-- Options merge; null is back to the default; what waits for the next version says so.
SELECT venice.alter_store('user_features', '{"versions_to_keep": 5, "fillfactor": 90}');
SELECT options -> 'versions_to_keep' AS keep, options -> 'fillfactor' AS fillfactor FROM venice.stores WHERE store = 'user_features';
SELECT venice.alter_store('user_features', '{"versions_to_keep": null}');
SELECT options -> 'versions_to_keep' AS keep, options -> 'fillfactor' AS fillfactor FROM venice.stores WHERE store = 'user_features';

-- Value columns change compatibly, new ones at once, others from the next version; its functions then have them.
SELECT venice.alter_store('user_features', value => 'clicks numeric, ctr double precision DEFAULT 0.5, country varchar(2) NOT NULL, score real');
SELECT * FROM user_features.get(1);
SELECT venice.push('user_features', $$SELECT 1, 2, 0.25, 'de', 0.5$$);
SELECT * FROM user_features.get(1);
\t on
SELECT refused($$SELECT venice.alter_store('user_features', value => 'clicks integer, country varchar(2) NOT NULL, extra int NOT NULL')$$);
\t off

-- Registering a schema by id is for records that carry ids.
SELECT venice.register_value_schema('user_features', '{"type": "record", "name": "r", "fields": [{"name": "clicks", "type": "long"}]}', 7);
SELECT venice.register_value_schema('user_features', '"string"', 7);
SELECT venice.register_value_schema('user_features', '"string"');
SELECT venice.register_value_schema('user_features', '{"type": "nonsense"}', 8);

-- A store that a view reads is not dropped, unless by force.
CREATE VIEW reader AS SELECT * FROM user_features.records;
SELECT venice.drop_store('user_features');
SELECT venice.drop_store('user_features', force => true);
SELECT venice.drop_store('pairs');
SELECT venice.drop_store('from_avro');
SELECT count(*) FROM venice.stores;
SELECT nspname FROM pg_namespace WHERE nspname ~ '^(user_features|pairs|from_avro)';
