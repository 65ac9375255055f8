-- Theme: what is wrong is refused when it is said, not when it is used, and with words that help.

CREATE SERVER wrong_kafka FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '127.0.0.1:1', schema_registry_url 'http://127.0.0.1:1');

-- A key is of a type of which there are arrays, since batch_get takes them.
SELECT venice.create_store('wrong', 'id integer[]', 'v integer');
SELECT venice.create_store('wrong', '{"type": "array", "items": "int"}', 'v integer');
SELECT venice.create_store('wrong', 'id jsonb', 'v integer[]');
SELECT venice.drop_store('wrong');

-- A column is what a table could have, today and in the next session.
SELECT venice.create_store('wrong', 'id integer', 'v SETOF integer');
CREATE TEMP TABLE wrong_row (a integer);
SELECT venice.create_store('wrong', 'id integer', 'v wrong_row');
SELECT venice.create_store('wrong', 'id integer', 'v wrong_row[]');
SELECT venice.create_store('wrong', 'id integer', 'v integer DEFAULT random()');
SELECT venice.create_store('wrong', 'id integer', 'v integer CHECK (v > 0)');
SELECT venice.create_store('wrong', 'id', 'v integer');

-- A name in quotes is a column's if something follows, else an Avro type's.
SELECT venice.create_store('wrong', '"Key" integer', '"a""b" integer');
SELECT string_agg(format('%I %s', column_name, pg_type), ', ' ORDER BY position) FROM venice.columns WHERE store = 'wrong';
SELECT venice.drop_store('wrong');
SELECT venice.create_store('wrong', ' "int" ', '"string"');
SELECT string_agg(format('%I %s', column_name, pg_type), ', ' ORDER BY position) FROM venice.columns WHERE store = 'wrong';
SELECT venice.drop_store('wrong');

-- Options have the type and the range that the reference says, and name what is there.
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '[1]');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"versions_to_keep": 1.5}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"versions_to_keep": 99999999999999999999}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"unlogged": "true"}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"owner": ""}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"owner": ["a"]}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"fields": {"v": ""}}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"fields": {"w": "a"}}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"tablespace": "pg_global"}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"tablespace": "none"}');

-- Versions are not kept for ever, nor for less than no time.
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"backup_retention": "-1 second"}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"backup_retention": "1001 years"}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"backup_retention": "soon"}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', options => '{"backup_retention": 7}');
SELECT venice.create_store('wrong', 'id integer', 'v integer', 'wrong_kafka', '{"backup_retention": "1000 years"}');
SELECT venice.push('wrong', 'SELECT 1, 1');
SELECT venice.push('wrong', 'SELECT 1, 2');
SELECT retire_after > now() + interval '999 years' AS kept FROM venice.versions WHERE store = 'wrong' AND version = 1;

-- A push has an id that can be kept, options that are heeded, and a topic that Kafka could have.
SELECT venice.start_push('wrong', '');
SELECT venice.start_push('wrong', options => '{"origin": 1}');
SELECT venice.start_push('wrong', options => '{"origin": "tape"}');
SELECT venice.start_push('wrong', options => '{"version_topic": 1}');
SELECT venice.start_push('wrong', options => '{"origin": "sql", "version_topic": "t"}');
SELECT venice.start_push('wrong', options => '{"version_topic": "a/b"}');
SELECT venice.start_push('wrong', options => '{"version_topic": ".."}');
\set VERBOSITY sqlstate
SELECT venice.start_push('wrong', repeat('x', 1001));
SELECT venice.start_push('wrong', options => format('{"version_topic": "%s"}', repeat('x', 250))::jsonb);
\set VERBOSITY default
SELECT venice.register_value_schema('wrong', '"int"', -1);
SELECT venice.register_value_schema('wrong', '"integer"', 1);

-- Names have the case that they were given, whatever their alphabet.
SELECT venice.push('Wrong', 'SELECT 1, 1');
SELECT venice.create_store('Größe "1"', 'id integer', 'v integer', 'wrong_kafka');
SELECT venice.start_push('Größe "1"');
SELECT venice.push('Größe "1"', 'SELECT 1, 1');
SELECT venice.push('Größe "1"', 'SELECT 1, 2');
SELECT * FROM "Größe ""1""".batch_get('{1}');
SELECT venice.rollback_version('Größe "1"');
SELECT schema, records FROM venice.versions WHERE store = 'Größe "1"' ORDER BY version;
SELECT venice.drop_store('Größe "1"');
SELECT venice.create_store(repeat('é', 25), 'id integer', 'v integer');

SELECT venice.drop_store('wrong');
DROP SERVER wrong_kafka;
