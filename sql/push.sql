-- Theme: pushes through SQL.

SELECT venice.create_store('items', 'id integer', 'price numeric(10,2), name text');

-- start_push gives a version and a schema that anything can fill; end_push makes it current.
SELECT * FROM venice.start_push('items', 'first') \gset
SELECT :version AS version, :'schema' AS schema;
COPY :schema.records FROM STDIN;
1	1.50	one
2	2.50	two
\.
INSERT INTO :schema.records VALUES (3, 3.50, 'three');
SELECT store, version, state, schema, origin, push_id FROM venice.versions ORDER BY version;
SELECT * FROM items.get(1);
SELECT venice.end_push('items');
SELECT * FROM items.get(1);
SELECT * FROM items.records ORDER BY id;
SELECT store, version, state, schema, records, origin, push_id, rows FROM venice.versions ORDER BY version;
SELECT push_id, version, origin, state, started_by = current_user AS mine, rows, rejected, error, ended_time IS NOT NULL AS ended FROM venice.pushes;

-- The same push id twice is one push.
SELECT * FROM venice.start_push('items', 'first');
SELECT venice.push('items', 'SELECT 1/0, 0, NULL', 'first');

-- One call does it all, in one transaction.
SELECT venice.push('items', $$VALUES (1, 9.99, 'uno'), (4, 4.00, 'quattro')$$, 'second');
SELECT * FROM items.records ORDER BY id;

-- One push at a time.
SELECT * FROM venice.start_push('items', 'third');
SELECT * FROM venice.start_push('items', 'fourth');
SELECT venice.push('items', 'SELECT 1, 1, NULL');
SELECT venice.drop_store('items');

SELECT venice.push('items', 'SELECT 1, 1, NULL', 'third');

-- An aborted push leaves its history only; its id is spent.
SELECT venice.abort_push('items');
SELECT venice.abort_push('items');
SELECT * FROM venice.start_push('items', 'third');
SELECT version, state, schema FROM venice.versions WHERE state = 'aborted';
SELECT count(*) FROM pg_namespace WHERE nspname = 'items_v3';

-- Duplicates are an error that names them, and the push can be mended.
SELECT version AS version, schema AS schema FROM venice.start_push('items', 'duplicates') \gset
INSERT INTO :schema.records SELECT g % 7, g, 'n' FROM generate_series(1, 20) g;
SELECT venice.end_push('items');
SELECT state FROM venice.versions WHERE version = :version;
DELETE FROM :schema.records WHERE price > 7;
SELECT venice.end_push('items');
SELECT count(*) FROM items.records;

-- Or the physically last row wins.
SELECT venice.alter_store('items', '{"on_duplicate": "last"}');
SELECT venice.push('items', 'SELECT g % 3, g, NULL FROM generate_series(1, 100) g');
SELECT * FROM items.records ORDER BY id;
SELECT rows FROM venice.versions WHERE state = 'current';

-- A complete version does not take plain DML, an unfinished one does.
INSERT INTO items.records VALUES (100, 1, 'x');
UPDATE items.records SET price = 0;
DELETE FROM items.records;
TRUNCATE items.records;
SET session_replication_role = replica;
DELETE FROM items.records;
RESET session_replication_role;
SET venice.allow_direct_dml = on;
UPDATE items.records SET name = 'restored' WHERE id = 0;
RESET venice.allow_direct_dml;
SELECT * FROM items.get(0);

-- A null key, a value that does not fit: the push fails and readers never notice.
SELECT venice.push('items', 'SELECT NULL, 1, NULL');
SELECT venice.push('items', 'SELECT 1, 123456789012, NULL');
SELECT venice.push('items', 'SELECT 1');
SELECT venice.push('items', 'DELETE FROM items.records RETURNING *');
SELECT venice.push('items', 'SELECT 1, 1, NULL; SELECT 2, 2, NULL');
SELECT venice.push('items', NULL);
SELECT count(*) FROM items.records;
SELECT venice.end_push('items');
SELECT venice.end_push('items', 99);

-- A deferred swap waits to be asked for.
SELECT * FROM venice.start_push('items') \gset
INSERT INTO :schema.records VALUES (7, 7, 'seven');
SELECT venice.end_push('items', swap => false);
CALL venice.wait_for_push('items');
SELECT count(*) FROM items.records;
SELECT venice.swap_version('items', :version);
SELECT * FROM items.records;
SELECT venice.swap_version('items', :version);

-- Ending a push again with another opinion of its swap is asking for it.
SELECT * FROM venice.start_push('items') \gset
INSERT INTO :schema.records VALUES (8, 8, 'eight');
SELECT venice.end_push('items', swap => false);
SELECT venice.end_push('items', swap => false);
SELECT venice.end_push('items');
SELECT * FROM items.records;

-- Waiting is a procedure, which cannot run in a transaction block.
CALL venice.wait_for_push('items');
BEGIN;
CALL venice.wait_for_push('items');
ROLLBACK;
SELECT * FROM venice.start_push('items', 'waits') \gset
CALL venice.wait_for_push('items', timeout => '10 milliseconds');
SELECT venice.abort_push('items');
CALL venice.wait_for_push('items', :version);

-- A push in a transaction that rolls back never was.
BEGIN;
SELECT venice.push('items', 'SELECT 1, 1, NULL') IS NOT NULL AS pushed;
SELECT count(*) FROM items.records;
ROLLBACK;
SELECT * FROM items.records;
BEGIN;
SAVEPOINT s;
SELECT venice.push('items', 'SELECT 1, 1, NULL') IS NOT NULL AS pushed;
ROLLBACK TO s;
SELECT * FROM items.records;
COMMIT;

-- A prepared transaction cannot hold a swap.
BEGIN;
SELECT venice.push('items', 'SELECT 1, 1, NULL') IS NOT NULL AS pushed;
PREPARE TRANSACTION 'swapped';

-- An unlogged version without a topic needs to be told that its loss is accepted.
SELECT venice.alter_store('items', '{"unlogged": true}');
SELECT venice.push('items', 'SELECT 1, 1, NULL');
SELECT venice.alter_store('items', '{"accept_loss": true}');
SELECT venice.push('items', 'SELECT 1, 1, NULL') IS NOT NULL AS pushed;
SELECT relpersistence FROM pg_class WHERE oid = 'items.records'::regclass;
SELECT * FROM items.get(1);

-- Whatever ends a build ends it cleanly: the session goes on, in a handler's transaction too.
SELECT venice.create_store('wide', 'k text', 'v integer');
\set VERBOSITY sqlstate
SELECT venice.push('wide', $$SELECT string_agg(md5(g::text), ''), 1 FROM generate_series(1, 1000) g$$);
\set VERBOSITY default
DO $do$
BEGIN
    PERFORM venice.push('wide', $$SELECT string_agg(md5(g::text), ''), 1 FROM generate_series(1, 1000) g$$);
EXCEPTION WHEN program_limit_exceeded THEN
    RAISE NOTICE 'refused';
END $do$;
SELECT count(*) AS left_over FROM venice.versions WHERE store = 'wide' AND version > 0;
SELECT venice.push('wide', $$VALUES ('a', 1)$$);
SELECT venice.drop_store('wide');

-- Options of a push are checked like others.
SELECT venice.start_push('items', NULL, '{"colour": 1}');
SELECT venice.start_push('items', NULL, '{"origin": "kafka"}');
SELECT venice.drop_store('items');
