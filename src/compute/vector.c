/*-------------------------------------------------------------------------
 *
 * vector.c
 *		Arithmetic on vectors that are arrays: dot product, cosine similarity,
 *		Hadamard product, norms and distances.
 *
 * A vector is a one-dimensional array, whatever its lower bound; an empty array
 * has no elements.  A NULL element makes the result NULL; lengths that differ
 * are an error; NaN and infinities follow IEEE 754.  The twins that end in
 * "_compat" answer as Venice does, in its order of float additions, and have no
 * errors: what Venice reports beside a result is left out.
 *
 * Locks: none.
 * Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "compute/vector.h"

#include <float.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#include "common/compat.h"
#include "compute/kernels.h"

PG_FUNCTION_INFO_V1(venice_dot_product_float4);
PG_FUNCTION_INFO_V1(venice_dot_product_float8);
PG_FUNCTION_INFO_V1(venice_cosine_similarity_float4);
PG_FUNCTION_INFO_V1(venice_cosine_similarity_float8);
PG_FUNCTION_INFO_V1(venice_l1_norm_float4);
PG_FUNCTION_INFO_V1(venice_l1_norm_float8);
PG_FUNCTION_INFO_V1(venice_l2_norm_float4);
PG_FUNCTION_INFO_V1(venice_l2_norm_float8);
PG_FUNCTION_INFO_V1(venice_l1_distance_float4);
PG_FUNCTION_INFO_V1(venice_l1_distance_float8);
PG_FUNCTION_INFO_V1(venice_l2_distance_float4);
PG_FUNCTION_INFO_V1(venice_l2_distance_float8);
PG_FUNCTION_INFO_V1(venice_hadamard_product_float4);
PG_FUNCTION_INFO_V1(venice_hadamard_product_float8);
PG_FUNCTION_INFO_V1(venice_count_array);
PG_FUNCTION_INFO_V1(venice_count_jsonb);
PG_FUNCTION_INFO_V1(venice_dot_product_compat);
PG_FUNCTION_INFO_V1(venice_cosine_similarity_compat);
PG_FUNCTION_INFO_V1(venice_hadamard_product_compat);
PG_FUNCTION_INFO_V1(venice_count_compat_array);
PG_FUNCTION_INFO_V1(venice_count_compat_jsonb);

/*
 * Sums of floats are taken as floats.  One that has left their range, or comes
 * near to its end, is taken again in double precision: a vector of 1e-25 has a
 * length too, and so has one of 1e25.
 */
static bool
in_float_range(float sum)
{
	return fabsf(sum) >= 1e-30f && fabsf(sum) <= FLT_MAX;
}

double
VectorDot(const float *a, const float *b, int count)
{
	float		sum = KernelsSelect()->dot_float(a, b, count);
	double		precise = 0;

	if (in_float_range(sum))
		return sum;
	for (int i = 0; i < count; i++)
		precise += (double) a[i] * b[i];
	return precise;
}

static double
l1_norm_float(const float *a, int count)
{
	float		sum = KernelsSelect()->l1_norm_float(a, a, count);
	double		precise = 0;

	if (in_float_range(sum))
		return sum;
	for (int i = 0; i < count; i++)
		precise += fabs((double) a[i]);
	return precise;
}

double
VectorL1Distance(const float *a, const float *b, int count)
{
	float		sum = KernelsSelect()->l1_distance_float(a, b, count);
	double		precise = 0;

	if (in_float_range(sum))
		return sum;
	for (int i = 0; i < count; i++)
		precise += fabs((double) a[i] - b[i]);
	return precise;
}

double
VectorL2Distance(const float *a, const float *b, int count)
{
	float		sum = KernelsSelect()->l2_squared_float(a, b, count);
	double		precise = 0;

	if (in_float_range(sum))
		return sqrt(sum);
	for (int i = 0; i < count; i++)
		precise += ((double) a[i] - b[i]) * ((double) a[i] - b[i]);
	return sqrt(precise);
}

/* NaN for a vector without length: 0 / 0. */
double
VectorCosine(double dot, double length_a, double squared_b)
{
	double		cosine = dot / (length_a * sqrt(squared_b));

	/* Rounding must not make a similarity that there cannot be. */
	return cosine > 1 ? 1 : cosine < -1 ? -1 : cosine;
}

double
VectorCosineOf(const float *a, double length_a, const float *b, int count)
{
	float		squared_b;
	float		dot = KernelsSelect()->dot_and_squared_float(a, b, count, &squared_b);

	return VectorCosine(in_float_range(dot) ? dot : VectorDot(a, b, count), length_a,
						in_float_range(squared_b) ? squared_b : VectorDot(b, b, count));
}

typedef struct Vector
{
	ArrayType  *array;
	int			count;
	bool		has_null;
} Vector;

static Vector
vector_argument(FunctionCallInfo fcinfo, int argument)
{
	Vector		vector;

	vector.array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(vector.array) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a vector is an array of one dimension, not of %d",
						ARR_NDIM(vector.array))));
	vector.count = ArrayGetNItems(ARR_NDIM(vector.array), ARR_DIMS(vector.array));
	vector.has_null = array_contains_nulls(vector.array);
	return vector;
}

/* Two vectors of one length; false if an element is NULL. */
static bool
vector_arguments(FunctionCallInfo fcinfo, Vector *a, Vector *b)
{
	*a = vector_argument(fcinfo, 0);
	*b = vector_argument(fcinfo, 1);
	if (a->count != b->count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("vectors differ in length: %d and %d elements", a->count, b->count)));
	return !a->has_null && !b->has_null;
}

static const float *
floats(const Vector *vector)
{
	return (const float *) ARR_DATA_PTR(vector->array);
}

static const double *
doubles(const Vector *vector)
{
	return (const double *) ARR_DATA_PTR(vector->array);
}

Datum
venice_dot_product_float4(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(VectorDot(floats(&a), floats(&b), a.count));
}

Datum
venice_dot_product_float8(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(KernelsSelect()->dot_double(doubles(&a), doubles(&b), a.count));
}

Datum
venice_cosine_similarity_float4(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(VectorCosineOf(floats(&a), sqrt(VectorDot(floats(&a), floats(&a), a.count)),
									floats(&b), b.count));
}

Datum
venice_cosine_similarity_float8(PG_FUNCTION_ARGS)
{
	const Kernels *kernels = KernelsSelect();
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(VectorCosine(kernels->dot_double(doubles(&a), doubles(&b), a.count),
								  sqrt(kernels->dot_double(doubles(&a), doubles(&a), a.count)),
								  kernels->dot_double(doubles(&b), doubles(&b), b.count)));
}

Datum
venice_l1_norm_float4(PG_FUNCTION_ARGS)
{
	Vector		a = vector_argument(fcinfo, 0);

	if (a.has_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(l1_norm_float(floats(&a), a.count));
}

Datum
venice_l1_norm_float8(PG_FUNCTION_ARGS)
{
	Vector		a = vector_argument(fcinfo, 0);

	if (a.has_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(KernelsSelect()->l1_norm_double(doubles(&a), doubles(&a), a.count));
}

Datum
venice_l2_norm_float4(PG_FUNCTION_ARGS)
{
	Vector		a = vector_argument(fcinfo, 0);

	if (a.has_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sqrt(VectorDot(floats(&a), floats(&a), a.count)));
}

Datum
venice_l2_norm_float8(PG_FUNCTION_ARGS)
{
	Vector		a = vector_argument(fcinfo, 0);

	if (a.has_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sqrt(KernelsSelect()->dot_double(doubles(&a), doubles(&a), a.count)));
}

Datum
venice_l1_distance_float4(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(VectorL1Distance(floats(&a), floats(&b), a.count));
}

Datum
venice_l1_distance_float8(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(KernelsSelect()->l1_distance_double(doubles(&a), doubles(&b), a.count));
}

Datum
venice_l2_distance_float4(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(VectorL2Distance(floats(&a), floats(&b), a.count));
}

Datum
venice_l2_distance_float8(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(sqrt(KernelsSelect()->l2_squared_double(doubles(&a), doubles(&b), a.count)));
}

/* An array like another without NULLs, of one dimension, for the caller to fill. */
static ArrayType *
make_vector(const Vector *like, Oid type, int length)
{
	ArrayType  *result;
	Size		bytes;

	if (like->count == 0)
		return construct_empty_array(type);
	bytes = ARR_OVERHEAD_NONULLS(1) + (Size) like->count * length;
	result = palloc0(bytes);
	SET_VARSIZE(result, bytes);
	result->ndim = 1;
	result->elemtype = type;
	ARR_DIMS(result)[0] = like->count;
	ARR_LBOUND(result)[0] = 1;
	return result;
}

static ArrayType *
hadamard_float(const Vector *a, const Vector *b)
{
	ArrayType  *result = make_vector(a, FLOAT4OID, sizeof(float));
	float	   *products = (float *) ARR_DATA_PTR(result);

	for (int i = 0; i < a->count; i++)
		products[i] = floats(a)[i] * floats(b)[i];
	return result;
}

Datum
venice_hadamard_product_float4(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(hadamard_float(&a, &b));
}

Datum
venice_hadamard_product_float8(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;
	ArrayType  *result;
	double	   *products;

	if (!vector_arguments(fcinfo, &a, &b))
		PG_RETURN_NULL();
	result = make_vector(&a, FLOAT8OID, sizeof(double));
	products = (double *) ARR_DATA_PTR(result);
	for (int i = 0; i < a.count; i++)
		products[i] = doubles(&a)[i] * doubles(&b)[i];
	PG_RETURN_ARRAYTYPE_P(result);
}

Datum
venice_count_array(PG_FUNCTION_ARGS)
{
	AnyArrayType *array = PG_GETARG_ANY_ARRAY_P(0);

	PG_RETURN_INT32(ArrayGetNItems(AARR_NDIM(array), AARR_DIMS(array)));
}

/* Elements of an array, or keys of an object; -1 for a scalar. */
static int
count_jsonb(Jsonb *value)
{
	return JB_ROOT_IS_SCALAR(value) ? -1 : (int) JB_ROOT_COUNT(value);
}

Datum
venice_count_jsonb(PG_FUNCTION_ARGS)
{
	int			count = count_jsonb(PG_GETARG_JSONB_P(0));

	if (count < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot count the elements of a scalar"),
				 errhint("Only arrays and objects have elements.")));
	PG_RETURN_INT32(count);
}

/* Venice's order: groups of four, each added up before it is added; then one by one. */
static float
dot_compat(const float *a, const float *b, int count)
{
	float		sum = 0;
	int			i = 0;

	for (; i + 4 <= count; i += 4)
		sum += a[i] * b[i] + a[i + 1] * b[i + 1] + a[i + 2] * b[i + 2] + a[i + 3] * b[i + 3];
	for (; i < count; i++)
		sum += a[i] * b[i];
	return sum;
}

/*
 * Both arguments of a "_compat" function, which is called with NULLs too.  True
 * when there is something to compute; else *answer is what Venice says instead
 * of it, and *is_null whether that is nothing.
 */
static bool
compat_arguments(FunctionCallInfo fcinfo, Vector *a, Vector *b, bool *is_null)
{
	*is_null = true;
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return false;
	*a = vector_argument(fcinfo, 0);
	*b = vector_argument(fcinfo, 1);
	if (a->count == 0 || b->count == 0)
		return false;
	*is_null = false;
	return a->count == b->count && !a->has_null && !b->has_null;
}

Datum
venice_dot_product_compat(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;
	bool		is_null;

	if (compat_arguments(fcinfo, &a, &b, &is_null))
		PG_RETURN_FLOAT4(dot_compat(floats(&a), floats(&b), a.count));
	if (is_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(0);
}

Datum
venice_cosine_similarity_compat(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;
	bool		is_null;

	if (compat_arguments(fcinfo, &a, &b, &is_null))
	{
		/* The product of the squares is a float in Venice, and may leave its range. */
		float		squares = dot_compat(floats(&a), floats(&a), a.count) *
			dot_compat(floats(&b), floats(&b), b.count);

		PG_RETURN_FLOAT4((float) (dot_compat(floats(&a), floats(&b), a.count) /
								  sqrt((double) squares)));
	}
	if (is_null)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT4(0);
}

Datum
venice_hadamard_product_compat(PG_FUNCTION_ARGS)
{
	Vector		a;
	Vector		b;
	bool		is_null;

	if (!compat_arguments(fcinfo, &a, &b, &is_null))
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(hadamard_float(&a, &b));
}

Datum
venice_count_compat_array(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_INT32(0);
	return venice_count_array(fcinfo);
}

Datum
venice_count_compat_jsonb(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_INT32(0);
	PG_RETURN_INT32(count_jsonb(PG_GETARG_JSONB_P(0)));
}
