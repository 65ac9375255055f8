-- Arithmetic on vectors that are arrays: what SQL needs for read compute.  pgvector's type is cast to real[] by itself.

CREATE FUNCTION venice.dot_product(a real[], b real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_dot_product_float4';
COMMENT ON FUNCTION venice.dot_product(real[], real[]) IS
    'Sum of the products of two vectors'' elements. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.dot_product(a double precision[], b double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_dot_product_float8';
COMMENT ON FUNCTION venice.dot_product(double precision[], double precision[]) IS
    'Sum of the products of two vectors'' elements. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.cosine_similarity(a real[], b real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_cosine_similarity_float4';
COMMENT ON FUNCTION venice.cosine_similarity(real[], real[]) IS
    'Cosine of the angle between two vectors. Empty, or all zeros: NaN. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.cosine_similarity(a double precision[], b double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_cosine_similarity_float8';
COMMENT ON FUNCTION venice.cosine_similarity(double precision[], double precision[]) IS
    'Cosine of the angle between two vectors. Empty, or all zeros: NaN. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.hadamard_product(a real[], b real[])
    RETURNS real[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_hadamard_product_float4';
COMMENT ON FUNCTION venice.hadamard_product(real[], real[]) IS
    'Products of two vectors'' elements, one by one. Empty: empty. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.hadamard_product(a double precision[], b double precision[])
    RETURNS double precision[]
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_hadamard_product_float8';
COMMENT ON FUNCTION venice.hadamard_product(double precision[], double precision[]) IS
    'Products of two vectors'' elements, one by one. Empty: empty. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.l1_norm(vector real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l1_norm_float4';
COMMENT ON FUNCTION venice.l1_norm(real[]) IS
    'Sum of the absolute values. Empty: 0. A NULL element: NULL.';

CREATE FUNCTION venice.l1_norm(vector double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l1_norm_float8';
COMMENT ON FUNCTION venice.l1_norm(double precision[]) IS
    'Sum of the absolute values. Empty: 0. A NULL element: NULL.';

CREATE FUNCTION venice.l2_norm(vector real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l2_norm_float4';
COMMENT ON FUNCTION venice.l2_norm(real[]) IS
    'Euclidean length. Empty: 0. A NULL element: NULL. Any infinity: infinity.';

CREATE FUNCTION venice.l2_norm(vector double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l2_norm_float8';
COMMENT ON FUNCTION venice.l2_norm(double precision[]) IS
    'Euclidean length. Empty: 0. A NULL element: NULL. Any infinity: infinity.';

CREATE FUNCTION venice.l1_distance(a real[], b real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l1_distance_float4';
COMMENT ON FUNCTION venice.l1_distance(real[], real[]) IS
    'Sum of the absolute differences of two vectors. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.l1_distance(a double precision[], b double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l1_distance_float8';
COMMENT ON FUNCTION venice.l1_distance(double precision[], double precision[]) IS
    'Sum of the absolute differences of two vectors. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.l2_distance(a real[], b real[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l2_distance_float4';
COMMENT ON FUNCTION venice.l2_distance(real[], real[]) IS
    'Euclidean distance of two vectors. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.l2_distance(a double precision[], b double precision[])
    RETURNS double precision
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_l2_distance_float8';
COMMENT ON FUNCTION venice.l2_distance(double precision[], double precision[]) IS
    'Euclidean distance of two vectors. Empty: 0. A NULL element: NULL. Different lengths: an error.';

CREATE FUNCTION venice.count(elements anyarray)
    RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_count_array';
COMMENT ON FUNCTION venice.count(anyarray) IS
    'Number of an array''s elements, NULLs and duplicates included.';

CREATE FUNCTION venice.count(elements jsonb)
    RETURNS integer
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_count_jsonb';
COMMENT ON FUNCTION venice.count(jsonb) IS
    'Number of an array''s elements, or of an object''s keys. A scalar: an error.';

CREATE FUNCTION venice.dot_product_compat(a real[], b real[])
    RETURNS real
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_dot_product_compat';
COMMENT ON FUNCTION venice.dot_product_compat(real[], real[]) IS
    'Dot product as Venice computes it. NULL or empty: NULL. Different lengths, or a NULL element: 0.';

CREATE FUNCTION venice.cosine_similarity_compat(a real[], b real[])
    RETURNS real
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_cosine_similarity_compat';
COMMENT ON FUNCTION venice.cosine_similarity_compat(real[], real[]) IS
    'Cosine similarity as Venice computes it. NULL or empty: NULL. Different lengths, or a NULL element: 0. All zeros: NaN.';

CREATE FUNCTION venice.hadamard_product_compat(a real[], b real[])
    RETURNS real[]
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_hadamard_product_compat';
COMMENT ON FUNCTION venice.hadamard_product_compat(real[], real[]) IS
    'Hadamard product as Venice computes it. NULL, empty, different lengths, or a NULL element: NULL.';

CREATE FUNCTION venice.count_compat(elements anyarray)
    RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_count_compat_array';
COMMENT ON FUNCTION venice.count_compat(anyarray) IS
    'Number of an array''s elements as Venice counts them. NULL: 0.';

CREATE FUNCTION venice.count_compat(elements jsonb)
    RETURNS integer
    LANGUAGE c IMMUTABLE PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'venice_count_compat_jsonb';
COMMENT ON FUNCTION venice.count_compat(jsonb) IS
    'Number of an array''s elements, or of an object''s keys, as Venice counts them. NULL: 0. A scalar: -1.';
