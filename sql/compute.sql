-- Arithmetic on vectors.
CREATE EXTENSION IF NOT EXISTS venice;

-- Each function computes what its name says, of real[] and of double precision[].
SELECT venice.dot_product('{1,2,3}'::real[], '{4,5,6}') AS dot, venice.dot_product('{1,2,3}'::float8[], '{4,5,6}') AS dot8,
       venice.cosine_similarity('{3,4}'::real[], '{4,3}') AS cosine, venice.cosine_similarity('{3,4}'::float8[], '{4,3}') AS cosine8;
SELECT venice.hadamard_product('{1,2,3}'::real[], '{4,5,6}') AS hadamard, venice.hadamard_product('{1,2,3}'::float8[], '{4,5,6}') AS hadamard8;
SELECT venice.l1_norm('{1,-2,3}'::real[]) AS l1, venice.l1_norm('{1,-2,3}'::float8[]) AS l1_8,
       venice.l2_norm('{3,-4}'::real[]) AS l2, venice.l2_norm('{3,-4}'::float8[]) AS l2_8;
SELECT venice.l1_distance('{1,2}'::real[], '{4,-2}') AS l1, venice.l1_distance('{1,2}'::float8[], '{4,-2}') AS l1_8,
       venice.l2_distance('{1,2}'::real[], '{4,-2}') AS l2, venice.l2_distance('{1,2}'::float8[], '{4,-2}') AS l2_8;
SELECT venice.count('{a,b,b,NULL}'::text[]) AS array, venice.count('[1, [2, 3]]'::jsonb) AS list, venice.count('{"a": 1}'::jsonb) AS object;

-- A NULL makes the result NULL, whether it is the vector or an element of it.
SELECT venice.dot_product(NULL, '{1}'::real[]) AS vector, venice.dot_product('{1,NULL}'::real[], '{1,2}') AS element,
       venice.cosine_similarity('{1,2}'::float8[], '{NULL,2}') AS element8, venice.l2_norm('{NULL}'::real[]) AS norm,
       venice.hadamard_product('{1,NULL}'::real[], '{1,2}') AS hadamard;

-- The sum of nothing is 0; a vector without length has no angle.
SELECT venice.dot_product('{}'::real[], '{}') AS dot, venice.l1_norm('{}'::real[]) AS l1, venice.l2_distance('{}'::float8[], '{}') AS l2,
       venice.hadamard_product('{}'::real[], '{}') AS hadamard, venice.count('{}'::int[]) AS count,
       venice.cosine_similarity('{}'::real[], '{}') AS no_elements, venice.cosine_similarity('{0,0}'::real[], '{1,2}') AS zeros;

-- NaN and infinities are those of IEEE 754.
SELECT venice.dot_product('{NaN,1}'::real[], '{1,1}') AS nan, venice.l2_norm('{Infinity,1}'::real[]) AS infinity,
       venice.l2_norm('{NaN,Infinity}'::real[]) AS nan_first, venice.dot_product('{Infinity,-Infinity}'::real[], '{1,1}') AS difference,
       venice.l1_distance('{Infinity}'::real[], '{Infinity}') AS undefined;

-- Lengths that differ, and arrays of more dimensions than one, are errors.
SELECT venice.dot_product('{1,2}'::real[], '{1}');
SELECT venice.cosine_similarity('{1,2}'::float8[], '{}');
SELECT venice.hadamard_product('{1}'::real[], '{1,2}');
SELECT venice.l2_distance('{{1,2},{3,4}}'::real[], '{1,2,3,4}');
SELECT venice.l1_norm('{{1,2}}'::real[]);
SELECT venice.count('3'::jsonb);

-- Where an array begins to count does not matter.
SELECT venice.dot_product('[0:1]={1,2}'::real[], '[5:6]={3,4}'::real[]);

-- A sum that would leave the range of real is taken in double precision.
SELECT round(venice.l2_norm('{3e25,4e25}'::real[])::numeric / 1e25, 5) AS large, round(venice.l2_norm('{3e-25,4e-25}'::real[])::numeric * 1e25, 5) AS small,
       round(venice.dot_product('{1e30,1e30}'::real[], '{1e30,1e30}')::numeric / 1e60, 5) AS dot,
       round(venice.cosine_similarity('{3e-30,4e-30}'::real[], '{4e30,3e30}')::numeric, 6) AS cosine;

-- A similarity is never more than 1, nor less than -1.
SELECT bool_and(venice.cosine_similarity(v, v) <= 1 AND venice.cosine_similarity(v, ARRAY(SELECT -e FROM unnest(v) AS e)) >= -1)
  FROM (SELECT array_agg((random() - 0.5)::real) AS v FROM generate_series(1, 100000) AS g GROUP BY g % 1000) AS vectors;

-- At every length the sums are those that the definition gives, but for rounding.
SELECT count(*) AS lengths, bool_and(abs(venice.dot_product(a, b) - dot) <= 1e-5 * size AND
       abs(venice.l1_distance(a, b) - l1) <= 1e-5 * size AND abs(venice.l2_distance(a, b) - l2) <= 1e-5 * size AND
       abs(venice.dot_product(a::float8[], b::float8[]) - dot) <= 1e-12 * size) AS right_sums
  FROM (SELECT n, array_agg(x ORDER BY i) AS a, array_agg(y ORDER BY i) AS b, sum(x::float8 * y) AS dot, sum(abs(x::float8 - y)) AS l1,
               sqrt(sum((x::float8 - y) ^ 2)) AS l2, sum(abs(x::float8) + abs(y::float8)) AS size
          FROM generate_series(1, 300) AS n, generate_series(1, n) AS i,
               LATERAL (SELECT sin(i * 7 + n)::real AS x, cos(i * 3 + n)::real AS y) AS element GROUP BY n) AS vectors;

-- The twins answer as Venice does: nothing for nothing, 0 where it reports an error.
SELECT venice.dot_product_compat('{1,2,3,4,5}', '{1,1,1,1,1}') AS dot, venice.dot_product_compat(NULL, '{1}') AS null_field,
       venice.dot_product_compat('{}', '{}') AS empty, venice.dot_product_compat('{1,2}', '{1}') AS lengths,
       venice.dot_product_compat('{1,NULL}', '{1,2}') AS element;
SELECT venice.cosine_similarity_compat('{3,4}', '{4,3}') AS cosine, venice.cosine_similarity_compat('{0}', '{1}') AS zeros,
       venice.cosine_similarity_compat('{1,2}', '{1}') AS lengths, venice.cosine_similarity_compat('{1e15,0}', '{1e15,0}') AS overflow;
SELECT venice.hadamard_product_compat('{1,2}', '{3,4}') AS hadamard, venice.hadamard_product_compat('{1,2}', '{3}') AS lengths,
       venice.hadamard_product_compat('{}', '{}') AS empty;
SELECT venice.count_compat('{1,1}'::int[]) AS array, venice.count_compat(NULL::int[]) AS null_array,
       venice.count_compat('{"a": 1}'::jsonb) AS object, venice.count_compat(NULL::jsonb) AS null_object, venice.count_compat('3'::jsonb) AS scalar;
