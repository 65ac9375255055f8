-- Theme: arithmetic where the rows are.
CREATE EXTENSION IF NOT EXISTS venice;
SET client_min_messages = warning;
SELECT venice.create_store('shop', 'item integer, "Site" text', 'embedding real[], precise double precision[], name text');
SELECT venice.push('shop', $$VALUES
    (1, 'a', '{1,0}'::real[], '{1,0}'::float8[], 'east'), (2, 'a', '{0,1}', '{0,1}', 'north'), (3, 'a', '{-1,0}', '{-1,0}', 'west'),
    (4, 'a', '{0.6,0.8}', '{0.6,0.8}', 'north-east'), (5, 'a', NULL, NULL, 'nowhere'), (6, 'a', '{1,NULL}', '{1,NULL}', 'half')$$);

-- compute answers for each key that is there, in the order of the keys; without a vector there is no result.
SELECT ordinality, item, "Site", round(result::numeric, 4) AS result FROM shop.compute('dot_product', 'embedding', '{3,4}', '{4,9,1,5,6,4}', '{a,a,a,a,a,a}');
SELECT operation, array_agg(round(result::numeric, 4) ORDER BY ordinality) AS results
  FROM unnest('{dot_product,cosine_similarity,l1_distance,l2_distance}'::text[]) WITH ORDINALITY AS o (operation, n),
       LATERAL shop.compute(operation, 'embedding', '{3,4}', '{1,2,3,4}', '{a,a,a,a}') GROUP BY n, operation ORDER BY n;

-- Either type of array gives the same results, and those are the SQL functions' own.
SELECT bool_and(f.result = p.result) AS same, bool_and(f.result = venice.cosine_similarity(g.embedding, '{3,4}')::real) AS as_in_sql
  FROM shop.compute('cosine_similarity', 'embedding', '{3,4}', '{1,2,3,4}', '{a,a,a,a}') f
  JOIN shop.compute('cosine_similarity', 'precise', '{3,4}', '{1,2,3,4}', '{a,a,a,a}') p USING (ordinality)
  JOIN shop.batch_get('{1,2,3,4}', '{a,a,a,a}') g USING (ordinality);

-- compute_packed has compute's results in binary COPY format: a row for each key, without fields for one that is not there.
SELECT substring(shop.compute_packed('dot_product', 'embedding', '{3,4}', '{4,9,1,5,6}', '{a,a,a,a,a}'), 20) =
       '\x0001'::bytea || int4send(4) || float4send(5) || '\x0000' || '\x0001' || int4send(4) || float4send(3) ||
       '\x0001' || int4send(-1) || '\x0001' || int4send(-1) || '\xffff' AS as_in_copy;
SELECT shop.compute_packed('dot_product', 'embedding', '{3,4}', '{}', '{}') AS no_keys, shop.compute_packed('dot_product', 'embedding', '{3,4}', NULL, NULL) AS no_array;
SELECT substring(shop.compute_packed('dot_product', 'embedding', NULL, '{1,9}', '{a,a}'), 20) AS no_query;

-- top_k puts the most similar first, the nearest for a distance; of some keys, or of all rows.
SELECT item, "Site", round(result::numeric, 4) AS result FROM shop.top_k('dot_product', 'embedding', '{3,4}', 3);
SELECT item, round(result::numeric, 4) AS result FROM shop.top_k('l2_distance', 'embedding', '{3,4}', 3);
SELECT item, round(result::numeric, 4) AS result FROM shop.top_k('dot_product', 'embedding', '{3,4}', 2, '{3,1,5,7,2}', '{a,a,a,a,a}');
SELECT item FROM shop.top_k('dot_product', 'embedding', '{3,4}', 1000000);
SELECT count(*) FROM shop.top_k('dot_product', 'embedding', '{3,4}', 10, '{}', '{}');
SELECT count(*) FROM shop.top_k('dot_product', 'embedding', NULL, 10);
SELECT result FROM shop.compute('dot_product', 'embedding', NULL, '{1}', '{a}');

-- What cannot be computed is said.
SELECT * FROM shop.compute('dot', 'embedding', '{3,4}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'nothing', '{3,4}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'name', '{3,4}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'embedding', '{3,4,5}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'embedding', '{3,NULL}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'embedding', '{{3,4}}', '{1}', '{a}');
SELECT * FROM shop.compute(NULL, 'embedding', '{3,4}', '{1}', '{a}');
SELECT * FROM shop.compute('dot_product', 'embedding', '{3,4}', '{1}', '{a,b}');
SELECT shop.compute_packed('dot_product', 'embedding', '{3,4,5}', '{1}', '{a}');
SELECT * FROM shop.top_k('dot_product', 'embedding', '{3,4}', 0);
SELECT * FROM shop.top_k('dot_product', 'embedding', '{3,4}', NULL);
SELECT * FROM shop.top_k('dot_product', 'embedding', '{1}', 1);

-- Our names give way to those of key columns.
SELECT venice.create_store('clash', 'query integer, k integer, result integer, ordinality integer', 'embedding real[]');
\df clash.(compute|top_k)
SELECT venice.push('clash', $$VALUES (1, 2, 3, 4, '{1}'::real[])$$);
SELECT * FROM clash.compute('dot_product', 'embedding', '{5}', '{1}', '{2}', '{3}', '{4}');
SELECT * FROM clash.top_k('dot_product', 'embedding', _query => '{5}', _k => 1);

-- Row security and column privileges are those of a SELECT.
CREATE ROLE shop_reader;
GRANT USAGE ON SCHEMA shop TO shop_reader;
GRANT SELECT (item, "Site", embedding) ON shop.records TO shop_reader;
SET ROLE shop_reader;
SELECT item FROM shop.compute('dot_product', 'embedding', '{3,4}', '{1}', '{a}');
SELECT item FROM shop.compute('dot_product', 'precise', '{3,4}', '{1}', '{a}');
SELECT shop.compute_packed('dot_product', 'precise', '{3,4}', '{1}', '{a}');
RESET ROLE;
ALTER TABLE shop.records ENABLE ROW LEVEL SECURITY;
CREATE POLICY shop_odd ON shop.records USING (item % 2 = 1);
SET ROLE shop_reader;
SELECT item FROM shop.compute('dot_product', 'embedding', '{3,4}', '{1,2,3,4}', '{a,a,a,a}');
SELECT substring(shop.compute_packed('dot_product', 'embedding', '{3,4}', '{1,2,3,4}', '{a,a,a,a}'), 20);
SELECT item FROM shop.top_k('dot_product', 'embedding', '{3,4}', 10);
RESET ROLE;
ALTER TABLE shop.records DISABLE ROW LEVEL SECURITY;

-- The internal functions check what the wrappers cannot get wrong.
SELECT * FROM venice_internal.compute('shop', 'dot_product', 'embedding', '{3,4}', '{1}'::int[], '{a}'::text[]) AS r(o bigint, i int, w text, r real);
SELECT * FROM venice_internal.compute('shop', 'dot_product', 'embedding', '{3,4}', '{1}'::int[], '{a}'::text[]) AS r(o text, i int, w text, r real);
SELECT * FROM venice_internal.compute('shop', 'dot_product', 'embedding', '{3,4}', '{1}'::int[], '{a}'::text[]) AS r(o bigint, i text, w text, r real);
SELECT * FROM venice_internal.compute('shop', 'dot_product', 'embedding', '{3,4}', '{1}'::int[], '{a}'::text[]) AS r(o bigint, i int, w text, r text);
SELECT * FROM venice_internal.compute('shop', 'dot_product', 'embedding', '{3,4}', '{1}'::int[], '{a}'::text[]) AS r(o bigint, i int, w text, r real, more text);
SELECT * FROM venice_internal.top_k('shop', 'dot_product', 'embedding', '{3,4}', 1, '{1}'::int[], '{a}'::text[]) AS r(i int, w text);
SELECT * FROM venice_internal.top_k('shop', 'dot_product', 'embedding', '{3,4}', 1, '{1}'::int[], '{a}'::text[]) AS r(i text, w text, r real);

-- From memory the results are the same, of vectors short and long.
SELECT venice.create_store('large', 'id integer', 'short real[], long real[], name text', options => '{"cache": true}');
SELECT venice.push('large', $$SELECT g, ARRAY[g, 1, 2]::real[], (SELECT array_agg(sin(g * i)::real) FROM generate_series(1, 768) i), 'x' FROM generate_series(1, 200) g$$);
CREATE FUNCTION sums(OUT short numeric, OUT long numeric, OUT packed text) LANGUAGE sql AS $$
    SELECT (SELECT sum(result::numeric) FROM large.compute('l2_distance', 'short', '{1,2,3}', ARRAY(SELECT generate_series(1, 300)))),
           (SELECT sum(result::numeric) FROM large.compute('cosine_similarity', 'long', (SELECT array_agg(i::real) FROM generate_series(1, 768) i), ARRAY(SELECT generate_series(1, 300)))),
           md5(large.compute_packed('dot_product', 'long', (SELECT array_agg(i::real) FROM generate_series(1, 768) i), ARRAY(SELECT generate_series(1, 300))))$$;
SELECT count(*) = 200 AS kept FROM large.compute('dot_product', 'short', '{1,2,3}', ARRAY(SELECT generate_series(1, 200)));
SET venice.read_cache = off;
SELECT * FROM sums() \gset index_
RESET venice.read_cache;
SELECT hits FROM venice.stat_read WHERE store = 'large' \gset before_
SELECT * FROM sums() \gset cache_
SELECT :index_short = :cache_short AND :index_long = :cache_long AND :'index_packed' = :'cache_packed' AS same;
SELECT hits - :before_hits AS hits FROM venice.stat_read WHERE store = 'large';
SELECT id FROM large.top_k('cosine_similarity', 'long', (SELECT array_agg(sin(7 * i)::real) FROM generate_series(1, 768) i), 1);

-- A vector in memory may be whatever it is elsewhere, each time it is asked for: no vector, half a vector, one of
-- another length or lower bound, a table of numbers.
SELECT venice.create_store('odd', 'id bigint', 'embedding real[], note text', options => '{"cache": true}');
SELECT venice.push('odd', $$SELECT id, embedding::real[], note FROM (VALUES (1, NULL, NULL),
    (2, array_fill(1::real, ARRAY[40]) || NULL::real, 'a'), (3, '{}', 'b'), (4, array_fill(2::real, ARRAY[41]), NULL),
    (5, array_fill(3::real, ARRAY[41], ARRAY[5]), 'c'), (6, array_fill(1::real, ARRAY[41, 1]), 'd')) v (id, embedding, note)$$);
SELECT venice.create_store('doubles', 'id bigint', 'embedding double precision[]', options => '{"cache": true}');
SELECT venice.push('doubles', $$SELECT g, array_fill(g::double precision, ARRAY[41]) FROM generate_series(1, 6) g$$);
CREATE FUNCTION outcome(store text, key bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    answer text;
BEGIN
    EXECUTE format('SELECT COALESCE(result::text, ''no result'') FROM %I.compute(''dot_product'', ''embedding'', array_fill(1::real, ARRAY[41]), ARRAY[$1])', store) INTO answer USING key;
    RETURN answer;
EXCEPTION WHEN array_subscript_error THEN
    RETURN SQLERRM;
END $$;
SELECT store, key, string_agg(DISTINCT outcome(store, key), ' OR ') AS outcome
  FROM unnest('{odd,doubles}'::text[]) store, generate_series(1, 7) key, generate_series(1, 4) again GROUP BY store, key ORDER BY store, key;
SELECT store, hits, misses FROM venice.stat_read WHERE store IN ('odd', 'doubles') ORDER BY store;

SELECT venice.drop_store(store) FROM (VALUES ('shop'), ('clash'), ('large'), ('odd'), ('doubles')) v(store);
DROP FUNCTION sums;
DROP FUNCTION outcome;
DROP ROLE shop_reader;
