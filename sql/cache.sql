-- Theme: rows in shared memory, whose answers are the table's.
CREATE EXTENSION IF NOT EXISTS venice;
SET client_min_messages = warning;
CREATE FUNCTION cache_counts(OUT hits bigint, OUT misses bigint) LANGUAGE sql AS
    $$SELECT r.hits, r.misses FROM venice.stat_read r WHERE store = 'cached'$$;

-- Only a store that asks for it is cached.
SELECT venice.create_store('cached', 'id integer', 'v integer, t text, e real[]');
SELECT venice.push('cached', $$SELECT g, g * 10, 'row ' || g, ARRAY[g, g]::real[] FROM generate_series(1, 1000) g$$);
SELECT * FROM cached.get(1);
SELECT * FROM cached.get(1);
SELECT * FROM cache_counts();
SELECT venice.alter_store('cached', '{"cache": true}');

-- The first look-up fills, the second is answered from memory, with the same row; rows and bytes are kept apart.
SELECT * FROM cached.get(1);
SELECT * FROM cached.get(1);
SELECT * FROM cache_counts();
SELECT cached.get_packed(1) = cached.get_packed(1) AS same;
SELECT * FROM cache_counts();
SELECT count(*), sum(v), sum(e[2]) FROM cached.batch_get(ARRAY(SELECT g FROM generate_series(1, 1000) g));
SELECT count(*), sum(v), sum(e[2]) FROM cached.batch_get(ARRAY(SELECT g FROM generate_series(1, 1000) g));
SELECT * FROM cache_counts();

-- A key that is not there is looked for each time.
SELECT * FROM cached.get(5000);
SELECT * FROM cached.get(5000);
SELECT * FROM cache_counts();

-- The setting turns it off for a session, SERIALIZABLE for a transaction, and row security for a user.
SET venice.read_cache = off;
SELECT v FROM cached.get(1);
RESET venice.read_cache;
BEGIN ISOLATION LEVEL SERIALIZABLE;
SELECT v FROM cached.get(1);
COMMIT;
CREATE ROLE cache_reader;
GRANT USAGE ON SCHEMA cached TO cache_reader;
GRANT SELECT ON cached.records TO cache_reader;
ALTER TABLE cached.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY odd ON cached.records USING (id % 2 = 1);
SET ROLE cache_reader;
SELECT id, v FROM cached.batch_get('{1,2,3}');
RESET ROLE;
ALTER TABLE cached.records DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON cached.records FROM cache_reader;
SET ROLE cache_reader;
SELECT v FROM cached.get(1);
RESET ROLE;
SELECT * FROM cache_counts();

-- What is written is seen at once, by who writes and by others, and what is rolled back is not.
SET venice.allow_direct_dml = on;
BEGIN;
UPDATE cached.records SET v = -1 WHERE id = 1;
SELECT v FROM cached.get(1);
SAVEPOINT s;
UPDATE cached.records SET v = -2 WHERE id = 1;
SELECT v FROM cached.get(1);
ROLLBACK TO s;
SELECT v FROM cached.get(1);
ROLLBACK;
SELECT v FROM cached.get(1);
UPDATE cached.records SET v = -3 WHERE id = 1;
SELECT v FROM cached.get(1);
SELECT v FROM cached.get(1);
UPDATE cached.records SET id = 1001 WHERE id = 2;
SELECT id, v FROM cached.batch_get('{2,1001}');
DELETE FROM cached.records WHERE id = 3;
SELECT v FROM cached.get(3);
INSERT INTO cached.records VALUES (3, 33);
SELECT v FROM cached.get(3);
INSERT INTO cached.records VALUES (3, 34) ON CONFLICT (id) DO UPDATE SET v = excluded.v;
SELECT v FROM cached.get(3);

-- Writes that fire no other trigger are reported all the same.
SET session_replication_role = replica;
UPDATE cached.records SET v = 35 WHERE id = 3;
RESET session_replication_role;
SELECT v FROM cached.get(3);

-- While the trigger is off nothing is cached, and what was before is not believed afterwards.
ALTER TABLE cached.records DISABLE TRIGGER venice_forget;
UPDATE cached.records SET v = 36 WHERE id = 3;
SELECT v FROM cached.get(3);
SELECT v FROM cached.get(3);
ALTER TABLE cached.records ENABLE ALWAYS TRIGGER venice_forget;
UPDATE cached.records SET v = 37 WHERE id = 3;
SELECT v FROM cached.get(3);
ALTER TABLE cached.records DISABLE TRIGGER venice_forget;
UPDATE cached.records SET v = 38 WHERE id = 3;
ALTER TABLE cached.records ENABLE ALWAYS TRIGGER venice_forget;
SELECT v FROM cached.get(3);

-- A rewritten table is another one; so is an emptied one.
CLUSTER cached.records USING records_pkey;
SELECT v FROM cached.get(3);
TRUNCATE cached.records;
SELECT v FROM cached.get(3);
RESET venice.allow_direct_dml;

-- A swap and a roll-back are followed.
SELECT venice.push('cached', 'SELECT g, -g, NULL, NULL FROM generate_series(1, 10) g');
SELECT v FROM cached.get(4);
SELECT v FROM cached.get(4);
SELECT venice.rollback_version('cached');
SELECT v FROM cached.get(4);
SELECT venice.swap_version('cached', 2);
SELECT v FROM cached.get(4);

-- A version can be read in before anybody asks, and one that was loaded in several transactions is, before its swap.
SELECT venice.warm('cached');
SELECT version AS next, schema FROM venice.start_push('cached') \gset
INSERT INTO :"schema".records SELECT g, g FROM generate_series(1, 100) g;
SELECT venice.end_push('cached');
SELECT hits AS before FROM cache_counts() \gset
SELECT sum(v) FROM cached.batch_get(ARRAY(SELECT g FROM generate_series(1, 100) g));
SELECT hits - :before AS hits FROM cache_counts();

-- Entries end with their time to live.
SELECT venice.alter_store('cached', '{"cache_ttl": "1 hour"}');
SELECT v FROM cached.get(1);
SELECT hits AS before FROM cache_counts() \gset
SELECT v FROM cached.get(1);
SELECT hits - :before AS hits FROM cache_counts();

-- More than fits goes round, and every answer is right.
SELECT venice.create_store('cached_large', 'id integer', 'v integer, filler text', options => '{"cache": true}');
SELECT venice.push('cached_large', 'SELECT g, g, repeat(md5(g::text), 5 + g % 60) FROM generate_series(1, 20000) g');
SELECT count(*), sum(v), sum(length(filler)) FROM cached_large.batch_get(ARRAY(SELECT g FROM generate_series(1, 20000) g));
SELECT count(*), sum(v), sum(length(filler)) FROM cached_large.batch_get(ARRAY(SELECT 1 + (g * 7919) % 20000 FROM generate_series(1, 20000) g));
SELECT evictions > 0 AS evictions, bytes BETWEEN 1 AND 8 * 1024 * 1024 AS bytes FROM venice.stat_read WHERE store = 'cached_large';

-- Keys of any type, and their combinations.
SELECT venice.create_store('cached_keys', 'a text, b numeric, c uuid', 'v integer', options => '{"cache": true}');
SELECT venice.push('cached_keys', $$VALUES ('x', 1.0, '00000000-0000-0000-0000-000000000001'::uuid, 1), ('x', 2, '00000000-0000-0000-0000-000000000001', 2), (repeat('long', 200), 2, '00000000-0000-0000-0000-000000000001', 3)$$);
SELECT a.v, b.v, c.v FROM cached_keys.get('x', 1.0, '00000000-0000-0000-0000-000000000001') a, cached_keys.get('x', 1.00, '00000000-0000-0000-0000-000000000001') b, cached_keys.get(repeat('long', 200), 2, '00000000-0000-0000-0000-000000000001') c;
SELECT a.v, b.v, c.v FROM cached_keys.get('x', 1.0, '00000000-0000-0000-0000-000000000001') a, cached_keys.get('x', 1.00, '00000000-0000-0000-0000-000000000001') b, cached_keys.get(repeat('long', 200), 2, '00000000-0000-0000-0000-000000000001') c;
SET venice.allow_direct_dml = on;
-- Hits and misses are the keys that were looked for in memory, which the long one was not; what is written to leaves no bytes behind.
SELECT gets, keys, hits, misses, bytes > 0 AS bytes FROM venice.stat_read WHERE store = 'cached_keys';
UPDATE cached_keys.records SET v = v + 10;
SELECT bytes FROM venice.stat_read WHERE store = 'cached_keys';
RESET venice.allow_direct_dml;
SELECT a.v, b.v, c.v FROM cached_keys.get('x', 1.0, '00000000-0000-0000-0000-000000000001') a, cached_keys.get('x', 1.00, '00000000-0000-0000-0000-000000000001') b, cached_keys.get(repeat('long', 200), 2, '00000000-0000-0000-0000-000000000001') c;

-- Warming is the owner's, and wants a store that is cached.
SET ROLE cache_reader;
SELECT venice.warm('cached');
RESET ROLE;
SELECT venice.alter_store('cached', '{"cache": null, "cache_ttl": null}');
SELECT venice.warm('cached');

SELECT venice.drop_store(store) FROM (VALUES ('cached'), ('cached_large'), ('cached_keys')) v(store);
DROP FUNCTION cache_counts;
DROP OWNED BY cache_reader;
DROP ROLE cache_reader;
