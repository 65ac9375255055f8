-- Theme: rows as bytes.
CREATE EXTENSION IF NOT EXISTS venice;
SET client_min_messages = warning;
SET timezone = 'UTC';
CREATE DOMAIN packed_domain AS bigint CHECK (VALUE > 0);
CREATE TYPE packed_enum AS ENUM ('a', 'b');
SELECT venice.create_store('packed', 'id bigint, part text', 'b boolean, i2 smallint, i4 integer, i8 bigint, f4 real, f8 double precision,
    n numeric(10,2), t text, v varchar(10), c char(5), by bytea, d date, tm time, ts timestamp, tz timestamptz, u uuid, j jsonb,
    a4 real[], a8 double precision[], ai integer[], al bigint[], at text[], dm packed_domain, e packed_enum');
SELECT venice.push('packed', $$VALUES
    (1, 'x', true, 2::smallint, 4, 8, 1.5, 2.5, 3.25, 'text äöü', 'var', 'char', '\x00ff'::bytea, '2026-01-02'::date, '03:04:05.678'::time, '2026-01-02 03:04:05'::timestamp,
     '2026-01-02 03:04:05+00'::timestamptz, '00112233-4455-6677-8899-aabbccddeeff'::uuid, '{"a": 1}'::jsonb, '{1,2}'::real[], '{1,2}'::float8[], '{1,2}'::int[], '{1,2}'::bigint[], '{a,b}'::text[], 7, 'a'::packed_enum),
    (2, 'x', false, -2, -4, -8, 'NaN', '-Infinity', NULL, '', '', '', '', 'infinity', '24:00', '-infinity', 'infinity', '00000000-0000-0000-0000-000000000000',
     'null', '{}', '{{1,2},{3,4}}', '{1,NULL}', '[0:1]={1,2}', NULL, 1, 'b'),
    (3, 'x', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (4, 'x', NULL, NULL, NULL, NULL, NULL, NULL, NULL, repeat('long', 100000), NULL, NULL, decode(repeat('00', 100000), 'hex'), NULL, NULL, NULL, NULL, NULL, NULL,
     array_fill(1.5::real, ARRAY[5000]), NULL, NULL, NULL, NULL, NULL, NULL)$$);

-- The bytes are those that COPY BINARY writes of the value columns, whatever their types.
SELECT current_setting('data_directory') || '/packed.copy' AS file \gset
COPY (SELECT g.* FROM unnest('{1,2,3,4}'::bigint[]) WITH ORDINALITY AS k (id, n), LATERAL packed.get(k.id, 'x') AS g ORDER BY k.n) TO :'file' (FORMAT binary);
SELECT pg_read_binary_file(:'file') = packed.batch_get_packed('{1,2,3,4}', '{x,x,x,x}') AS same;

-- One key is a batch of one.
SELECT id, packed.get_packed(id, 'x') = packed.batch_get_packed(ARRAY[id], '{x}') AS same FROM generate_series(1, 4) AS id;

-- Text is in the client's encoding, in COPY as here.
SET client_encoding = 'LATIN1';
COPY (SELECT g.* FROM packed.get(1, 'x') AS g) TO :'file' (FORMAT binary);
SELECT pg_read_binary_file(:'file') = packed.get_packed(1, 'x') AS same;
RESET client_encoding;

-- A key that is not there is a row of no fields; in order, as often as it is asked for; and alone it is NULL.
SELECT venice.create_store('packed_small', 'id integer', 'v smallint, w text');
SELECT venice.push('packed_small', $$VALUES (1, 10, 'one'), (2, NULL, 'two')$$);
SELECT packed_small.batch_get_packed('{7,2,NULL,1,2,9}');
SELECT packed_small.get_packed(7) AS absent, packed_small.get_packed(NULL) AS null_key, packed_small.get_packed(1) AS present;
SELECT packed_small.batch_get_packed('{}') AS no_keys, packed_small.batch_get_packed(NULL) AS no_array;
SELECT packed.batch_get_packed('{1,2}', '{x}');

-- A session that changes its encoding gets its text in that one, whatever it had before.
SELECT venice.push('packed_small', $$VALUES (1, 10, U&'\00e4'), (2, NULL, 'two')$$);
PREPARE umlaut AS SELECT packed_small.get_packed(1);
EXECUTE umlaut;
SET client_encoding = 'LATIN1';
EXECUTE umlaut;
RESET client_encoding;
EXECUTE umlaut;
DEALLOCATE umlaut;

-- Whatever the plan, text is in the client's encoding, which a parallel worker does not have.
SET client_encoding = 'LATIN1';
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT packed_small.get_packed(id) FROM packed_small.records WHERE id = 1;
SELECT packed_small.batch_get_packed(ARRAY[id]) FROM packed_small.records WHERE id = 1;
RESET ALL;
SET client_min_messages = warning;
SET timezone = 'UTC';

-- A prepared statement follows the versions, and their columns.
PREPARE one AS SELECT packed_small.get_packed($1);
EXECUTE one(1);
SELECT venice.alter_store('packed_small', value => 'v smallint, w text, x boolean DEFAULT true');
SELECT venice.push('packed_small', $$VALUES (1, 20, 'uno', false)$$);
EXECUTE one(1);
SELECT venice.rollback_version('packed_small');
EXECUTE one(1);

-- Row security decides row by row, and column privileges column by column.
CREATE ROLE packed_reader;
GRANT USAGE ON SCHEMA packed_small TO packed_reader;
GRANT SELECT (id, v) ON packed_small.records TO packed_reader;
SET ROLE packed_reader;
SELECT packed_small.get_packed(1);
RESET ROLE;
GRANT SELECT ON packed_small.records TO packed_reader;
ALTER TABLE packed_small.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY packed_odd ON packed_small.records USING (id % 2 = 1);
SET ROLE packed_reader;
SELECT packed_small.batch_get_packed('{1,2}');
RESET ROLE;

-- The planner knows how many rows a batch may have.
CREATE FUNCTION planned_rows(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
    RETURN plan -> 0 -> 'Plan' ->> 'Plan Rows';
END $$;
SELECT planned_rows('SELECT * FROM packed_small.get(1)') AS get, planned_rows('SELECT * FROM packed_small.batch_get(''{1,2,3}'')') AS three;

-- Answers that are larger than the server's buffer arrive whole: one, many, and some that are too large to be held back.
SELECT venice.create_store('packed_large', 'id integer', 'v bytea');
SELECT venice.push('packed_large', $$SELECT g, decode(repeat(md5(g::text), 20 * (g % 7 + 1)), 'hex') FROM generate_series(1, 400) g$$);
PREPARE large AS SELECT n, packed_large.batch_get_packed(ARRAY(SELECT generate_series(1, n))) AS rows
  FROM unnest('{400,1,2,20,1,150,100,50,400,30,30,30,30,30,30,30,30,30,1}'::int[]) WITH ORDINALITY AS u (n, i) ORDER BY i;
EXECUTE large \g (format=unaligned tuples_only=on) | md5sum | cut -c 1-32
CREATE TEMPORARY TABLE answers AS EXECUTE large;
SELECT md5(string_agg(n || '|' || rows || E'\n', '')), min(octet_length(rows)), max(octet_length(rows)), sum(octet_length(rows)) FROM answers;
DROP TABLE answers;
DEALLOCATE large;

SELECT venice.drop_store(store) FROM (VALUES ('packed'), ('packed_small'), ('packed_large')) v(store);
DROP FUNCTION planned_rows;
DROP ROLE packed_reader;
DROP DOMAIN packed_domain;
DROP TYPE packed_enum;
