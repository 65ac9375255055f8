/*-------------------------------------------------------------------------
 *
 * compute.c
 *		The functions behind a store's compute, compute_packed and top_k: arithmetic
 *		where the rows are.
 *
 * A client that wants the similarity of a query to some hundred vectors wants a
 * hundred numbers, not the vectors.  A vector that is in the cache is not even
 * copied: the sum is taken of it where it lies.
 *
 * Locks: see handle.c, lookup.c and cache.c.
 * Must not know: how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "access/table.h"
#include "access/tupmacs.h"
#include "catalog/dependency.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/binaryheap.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/tuplestore.h"

#include "common/compat.h"
#include "compute/kernels.h"
#include "compute/vector.h"
#include "read/encode.h"
#include "read/handle.h"
#include "read/lookup.h"
#include "read/send.h"

PG_FUNCTION_INFO_V1(venice_compute);
PG_FUNCTION_INFO_V1(venice_compute_packed);
PG_FUNCTION_INFO_V1(venice_top_k);

/* Most rows of a top_k: they are kept in memory. */
#define MAX_K	1000000

typedef enum Operation
{
	COSINE_SIMILARITY,
	DOT_PRODUCT,
	L1_DISTANCE,
	L2_DISTANCE
} Operation;

/* In alphabetical order, as the error for an unknown one lists them. */
static const char *const operation_names[] = {
	"cosine_similarity", "dot_product", "l1_distance", "l2_distance"
};

/* What a vector is stored as. */
typedef enum VectorType
{
	VECTOR_FLOATS,				/* real[] */
	VECTOR_DOUBLES,				/* double precision[] */
	VECTOR_PGVECTOR				/* pgvector's type */
} VectorType;

/* pgvector's representation, which is a part of its interface to other extensions. */
typedef struct PgVector
{
	int32		header;
	int16		count;
	int16		unused;
	float		elements[FLEXIBLE_ARRAY_MEMBER];
} PgVector;

/* What became of one key. */
typedef enum Outcome
{
	OUTCOME_ABSENT,
	OUTCOME_NULL,				/* no vector, or one with a NULL in it */
	OUTCOME_VALUE,
	OUTCOME_LENGTH,				/* of another length than the query */
	OUTCOME_DIMENSIONS,
	OUTCOME_UNSURE				/* nothing yet: look again with the lock */
} Outcome;

typedef struct Computation
{
	const char *store;
	char	   *field;
	StoreHandle handle;
	Operation	operation;
	AttrNumber	attribute;
	VectorType	type;
	Size		element_bytes;
	const float *query;
	double	   *query_doubles;	/* for VECTOR_DOUBLES */
	int			count;			/* of the query's elements */
	double		query_length;
	bool		is_null;		/* the query */
	MemoryContext per_row;		/* for vectors that are not in one piece */
} Computation;

static double
compute_floats(const Computation *computation, const float *vector)
{
	int			count = computation->count;

	switch (computation->operation)
	{
		case COSINE_SIMILARITY:
			return VectorCosineOf(computation->query, computation->query_length, vector, count);
		case DOT_PRODUCT:
			return VectorDot(computation->query, vector, count);
		case L1_DISTANCE:
			return VectorL1Distance(computation->query, vector, count);
		case L2_DISTANCE:
			return VectorL2Distance(computation->query, vector, count);
	}
	pg_unreachable();
}

static double
compute_doubles(const Computation *computation, const double *vector)
{
	const Kernels *kernels = KernelsSelect();
	const double *query = computation->query_doubles;
	int			count = computation->count;
	double		dot;
	double		squared;

	switch (computation->operation)
	{
		case COSINE_SIMILARITY:
			dot = kernels->dot_and_squared_double(query, vector, count, &squared);
			return VectorCosine(dot, computation->query_length, squared);
		case DOT_PRODUCT:
			return kernels->dot_double(query, vector, count);
		case L1_DISTANCE:
			return kernels->l1_distance_double(query, vector, count);
		case L2_DISTANCE:
			return sqrt(kernels->l2_squared_double(query, vector, count));
	}
	pg_unreachable();
}

/*
 * Of a vector in one piece, with a header of four bytes.  Does not fail, and looks at
 * no bytes but these, whatever they say, unless "stable": otherwise they may be changing,
 * and OUTCOME_UNSURE is for what is not simple.
 */
static Outcome
compute_value(const Computation *computation, const char *value, Size bytes, bool stable,
			  double *result)
{
	union
	{
		PgVector	vector;
		ArrayType	array;
		char		bytes[ARR_OVERHEAD_NONULLS(1)];
	}			head = {{0}};
	const char *elements;
	int			count;

	/* A copy, so that what is believed of it is what has been looked at. */
	memcpy(&head, value, Min(bytes, sizeof(head)));
	pg_compiler_barrier();
	if (computation->type == VECTOR_PGVECTOR)
	{
		count = head.vector.count;
		elements = value + offsetof(PgVector, elements);
	}
	else
	{
		if (head.array.ndim > 1)
			return OUTCOME_DIMENSIONS;
		if (head.array.dataoffset != 0)
		{
			if (!stable)
				return OUTCOME_UNSURE;
			if (array_contains_nulls((ArrayType *) value))
				return OUTCOME_NULL;
		}
		count = head.array.ndim == 0 ? 0 : ARR_DIMS(&head.array)[0];
		elements = head.array.dataoffset != 0 ? value + head.array.dataoffset :
			value + ARR_OVERHEAD_NONULLS(1);
	}
	if (count != computation->count)
		return OUTCOME_LENGTH;
	if (!stable && elements - value + count * computation->element_bytes > bytes)
		return OUTCOME_UNSURE;
	*result = computation->type == VECTOR_DOUBLES ?
		compute_doubles(computation, (const double *) elements) :
		compute_floats(computation, (const float *) elements);
	return OUTCOME_VALUE;
}

/* A short vector has a short header, behind which it is not aligned. */
typedef union ShortVector
{
	char		bytes[VARATT_SHORT_MAX + VARHDRSZ];
	double		alignment;
} ShortVector;

static Outcome
compute_short(const Computation *computation, const char *data, Size bytes, bool stable,
			  double *result)
{
	ShortVector copy;

	memcpy(copy.bytes + VARHDRSZ, data, bytes);
	return compute_value(computation, copy.bytes, bytes + VARHDRSZ, stable, result);
}

static Outcome
compute_stored(const Computation *computation, Datum stored, bool is_null, double *result)
{
	struct varlena *value = (struct varlena *) DatumGetPointer(stored);

	if (is_null || computation->is_null)
		return OUTCOME_NULL;
	if (VARATT_IS_SHORT(value) && !VARATT_IS_EXTERNAL(value))
		return compute_short(computation, VARDATA_SHORT(value),
							 VARSIZE_SHORT(value) - VARHDRSZ_SHORT, true, result);
	value = pg_detoast_datum(value);
	return compute_value(computation, (const char *) value, VARSIZE(value), true, result);
}

static Outcome
compute(const Computation *computation, Datum stored, bool is_null, double *result)
{
	MemoryContext caller = MemoryContextSwitchTo(computation->per_row);
	Outcome		outcome = compute_stored(computation, stored, is_null, result);

	MemoryContextSwitchTo(caller);
	MemoryContextReset(computation->per_row);
	return outcome;
}

static void
check_outcome(const Computation *computation, Outcome outcome)
{
	if (outcome == OUTCOME_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a vector in column \"%s\" of store \"%s\" differs in length from the query",
						computation->field, computation->store),
				 errdetail("The query has %d elements.", computation->count)));
	if (outcome == OUTCOME_DIMENSIONS)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("column \"%s\" of store \"%s\" has an array of more than one dimension",
						computation->field, computation->store)));
}

static Operation
parse_operation(const char *name)
{
	for (int i = 0; i < lengthof(operation_names); i++)
		if (strcmp(name, operation_names[i]) == 0)
			return (Operation) i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unrecognized operation \"%s\"", name),
			 errhint("Valid operations are: cosine_similarity, dot_product, l1_distance, l2_distance.")));
	pg_unreachable();
}

static bool
is_pgvector(Oid type)
{
	Oid			extension = get_extension_oid("vector", true);
	HeapTuple	tuple;
	bool		is_vector;

	if (!OidIsValid(extension) || getExtensionOfObject(TypeRelationId, type) != extension)
		return false;
	tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
	is_vector = strcmp(NameStr(((Form_pg_type) GETSTRUCT(tuple))->typname), "vector") == 0;
	ReleaseSysCache(tuple);
	return is_vector;
}

static VectorType
vector_type(const Computation *computation, Oid type)
{
	type = getBaseType(type);
	if (type == FLOAT4ARRAYOID)
		return VECTOR_FLOATS;
	if (type == FLOAT8ARRAYOID)
		return VECTOR_DOUBLES;
	if (is_pgvector(type))
		return VECTOR_PGVECTOR;
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of store \"%s\" is not a vector but of type %s",
					computation->field, computation->store, format_type_be(type)),
			 errhint("Vectors are real[], double precision[], and pgvector's vector.")));
	pg_unreachable();
}

static char *
required_text(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

static void
take_query(Computation *computation, ArrayType *query)
{
	Size		bytes;
	float	   *aligned;

	if (ARR_NDIM(query) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("a vector is an array of one dimension, not of %d", ARR_NDIM(query))));
	if (array_contains_nulls(query))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("the query must not have null elements")));
	computation->count = ArrayGetNItems(ARR_NDIM(query), ARR_DIMS(query));
	/* No load of it is to straddle two lines of the processor's cache: those of vectors do. */
	bytes = computation->count * sizeof(float);
	aligned = (float *) TYPEALIGN(PG_CACHE_LINE_SIZE, palloc(bytes + PG_CACHE_LINE_SIZE));
	computation->query = memcpy(aligned, ARR_DATA_PTR(query), bytes);
	if (computation->type != VECTOR_DOUBLES)
	{
		computation->query_length = sqrt(VectorDot(computation->query, computation->query,
												   computation->count));
		return;
	}
	computation->query_doubles = palloc((computation->count + 1) * sizeof(double));
	for (int i = 0; i < computation->count; i++)
		computation->query_doubles[i] = computation->query[i];
	computation->query_length = sqrt(KernelsSelect()->dot_double(computation->query_doubles,
																  computation->query_doubles,
																  computation->count));
}

/* The arguments that they have in common: store, operation, field, query. */
static void
begin_computation(FunctionCallInfo fcinfo, Computation *computation)
{
	computation->store = required_text(fcinfo, 0, "store");
	computation->operation = parse_operation(required_text(fcinfo, 1, "operation"));
	computation->field = required_text(fcinfo, 2, "field");
	StoreHandleOpen(computation->store, &computation->handle);
	computation->attribute = get_attnum(computation->handle.records, computation->field);
	if (computation->attribute <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("store \"%s\" has no column \"%s\"", computation->store,
						computation->field)));
	computation->type = vector_type(computation, get_atttype(computation->handle.records,
															  computation->attribute));
	computation->element_bytes =
		computation->type == VECTOR_DOUBLES ? sizeof(double) : sizeof(float);
	computation->per_row = AllocSetContextCreate(CurrentMemoryContext, "venice vector",
												 ALLOCSET_DEFAULT_SIZES);
	computation->is_null = PG_ARGISNULL(3);
	if (!computation->is_null)
		take_query(computation, PG_GETARG_ARRAYTYPE_P(3));
}

/*
 * Are result rows of the types that are put into them?  Whoever calls the functions
 * by hand may name any.
 */
static void
check_rows(FunctionCallInfo fcinfo, const Computation *computation, bool with_ordinality)
{
	TupleDesc	descriptor = ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc;
	int			key_count = computation->handle.key_count;
	Oid			types[INDEX_MAX_KEYS + 2];
	int			count = 0;
	bool		fit;

	if (with_ordinality)
		types[count++] = INT8OID;
	for (int k = 0; k < key_count; k++)
		types[count++] = computation->handle.key_types[k];
	types[count++] = FLOAT4OID;

	fit = descriptor->natts == count;
	for (int i = 0; i < count && fit; i++)
		fit = TupleDescAttr(descriptor, i)->atttypid == types[i];
	if (!fit)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column definition list does not fit store \"%s\"", computation->store),
				 errhint("Call the functions in the store's schema.")));
}

/* What came of each key, by its position. */
typedef struct Results
{
	const Computation *computation;
	int			offset;			/* of the column in a row without NULLs; -1: not always the same */
	Outcome    *outcomes;
	double	   *values;
} Results;

static void
keep_result(void *argument, int64 position, const Datum *values, const bool *nulls)
{
	Results    *results = argument;
	int			column = results->computation->attribute - 1;

	results->outcomes[position] = compute(results->computation, values[column], nulls[column],
										  &results->values[position]);
}

static void
keep_absent(void *argument, int64 position)
{
	Results    *results = argument;

	results->outcomes[position] = OUTCOME_ABSENT;
}

/* Behind columns of fixed length only, and aligned even if its header is short. */
static int
fixed_offset(TupleDesc descriptor, AttrNumber attribute)
{
	int			offset = 0;

	for (int i = 0; i < attribute; i++)
	{
		Form_pg_attribute column = TupleDescAttr(descriptor, i);
		int			aligned = att_align_nominal(offset, column->attalign);

		if (i == attribute - 1)
			return aligned == offset ? offset : -1;
		if (column->attlen < 0)
			return -1;
		offset = aligned + column->attlen;
	}
	pg_unreachable();
}

/* Of a tuple that may be changing: what it says of itself is looked at once, and not believed. */
static Outcome
compute_changing(const Results *results, HeapTuple tuple, double *result)
{
	const Computation *computation = results->computation;
	const char *bytes = (const char *) tuple->t_data;
	Size		length = tuple->t_len;
	Size		offset;
	Size		size;
	HeapTupleHeaderData head;
	varattrib_4b header = {{0}};	/* its first word */

	if (results->offset < 0 || computation->is_null || length < SizeofHeapTupleHeader)
		return OUTCOME_UNSURE;
	memcpy(&head, bytes, SizeofHeapTupleHeader);
	pg_compiler_barrier();
	offset = head.t_hoff + results->offset;
	if ((head.t_infomask & HEAP_HASNULL) != 0 ||
		HeapTupleHeaderGetNatts(&head) < computation->attribute ||
		offset + VARHDRSZ > length)
		return OUTCOME_UNSURE;
	memcpy(&header, bytes + offset, VARHDRSZ);
	pg_compiler_barrier();
	if (VARATT_IS_4B_U(&header))
	{
		size = VARSIZE_4B(&header);
		return size <= VARHDRSZ || offset + size > length ? OUTCOME_UNSURE :
			compute_value(computation, bytes + offset, size, false, result);
	}
	if (!VARATT_IS_1B(&header) || VARATT_IS_1B_E(&header))
		return OUTCOME_UNSURE;
	size = VARSIZE_1B(&header);
	return size <= VARHDRSZ_SHORT || offset + size > length ? OUTCOME_UNSURE :
		compute_short(computation, bytes + offset + VARHDRSZ_SHORT, size - VARHDRSZ_SHORT, false,
					  result);
}

static bool
keep_result_in_place(void *argument, int64 position, HeapTuple tuple, TupleDesc descriptor,
					 bool locked)
{
	Results    *results = argument;
	Outcome    *outcome = &results->outcomes[position];
	double	   *result = &results->values[position];
	Datum		value;
	bool		is_null;

	if (!locked)
	{
		*outcome = compute_changing(results, tuple, result);
		return *outcome != OUTCOME_UNSURE;
	}
	value = heap_getattr(tuple, results->computation->attribute, descriptor, &is_null);
	*outcome = compute_stored(results->computation, value, is_null, result);
	return true;
}

static void
compute_keys(const Computation *computation, const LookupKeys *keys, Results *results)
{
	RowSink		sink = {
		.row = keep_result,
		.absent = keep_absent,
		.in_place = keep_result_in_place,
		.argument = results
	};
	Relation	records = table_open(computation->handle.records, NoLock);

	results->computation = computation;
	results->offset = fixed_offset(RelationGetDescr(records), computation->attribute);
	table_close(records, NoLock);
	results->outcomes = MemoryContextAllocHuge(CurrentMemoryContext,
											   (keys->count + 1) * sizeof(Outcome));
	results->values = MemoryContextAllocHuge(CurrentMemoryContext,
											 (keys->count + 1) * sizeof(double));
	LookupRun(&computation->handle, computation->store, keys, &computation->attribute, 1, &sink);
	for (int64 n = 0; n < keys->count; n++)
		check_outcome(computation, results->outcomes[n]);
}

/*
 * venice_compute
 *		compute(store, operation, field, query, VARIADIC keys "any"): position, key
 *		and result for each key that is there, in the order of the keys.
 */
Datum
venice_compute(PG_FUNCTION_ARGS)
{
	Computation computation = {0};
	TupleDesc	descriptor;
	Tuplestorestate *rows;
	LookupKeys	keys;
	Results		results;
	Datum		values[INDEX_MAX_KEYS + 2];
	bool		nulls[INDEX_MAX_KEYS + 2] = {false};
	int			key_count;

	LookupRequireRows(fcinfo);
	begin_computation(fcinfo, &computation);
	check_rows(fcinfo, &computation, true);
	descriptor = ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc;
	key_count = computation.handle.key_count;
	LookupKeysArray(fcinfo, 4, computation.store, &computation.handle, &keys);
	rows = LookupBeginRows(fcinfo);
	compute_keys(&computation, &keys, &results);
	for (int64 n = 0; n < keys.count; n++)
	{
		if (results.outcomes[n] == OUTCOME_ABSENT)
			continue;
		values[0] = Int64GetDatum(n + 1);
		for (int k = 0; k < key_count; k++)
			values[k + 1] = keys.values[k][n];
		nulls[key_count + 1] = results.outcomes[n] == OUTCOME_NULL;
		values[key_count + 1] = nulls[key_count + 1] ? (Datum) 0 :
			Float4GetDatum((float4) results.values[n]);
		tuplestore_putvalues(rows, descriptor, values, nulls);
	}
	return (Datum) 0;
}

/* A row of one field: its number of fields, the field's length, and the field. */
typedef struct PackedResult
{
	uint16		fields;
	uint32		length;
	uint32		bits;
} pg_attribute_packed() PackedResult;

/* Append a row; there is room for it. */
static void
encode_result(StringInfo bytes, bool is_null, float result)
{
	PackedResult row;

	memcpy(&row.bits, &result, sizeof(row.bits));
	row.fields = pg_hton16(1);
	row.length = pg_hton32(is_null ? (uint32) -1 : sizeof(row.bits));
	row.bits = pg_hton32(row.bits);
	memcpy(bytes->data + bytes->len, &row, sizeof(row));
	bytes->len += is_null ? offsetof(PackedResult, bits) : sizeof(row);
}

/*
 * venice_compute_packed
 *		compute_packed(store, operation, field, query, VARIADIC keys "any"): the results
 *		as one value in binary COPY format, a row for each key.
 */
Datum
venice_compute_packed(PG_FUNCTION_ARGS)
{
	Computation computation = {0};
	LookupKeys	keys;
	Results		results;
	StringInfoData bytes;

	begin_computation(fcinfo, &computation);
	LookupKeysArray(fcinfo, 4, computation.store, &computation.handle, &keys);
	compute_keys(&computation, &keys, &results);
	initStringInfo(&bytes);
	bytes.len = VARHDRSZ;
	EncodeBegin(&bytes);
	enlargeStringInfo(&bytes, keys.count * sizeof(PackedResult));
	for (int64 n = 0; n < keys.count; n++)
		if (results.outcomes[n] == OUTCOME_ABSENT)
			RowEncodeAbsent(&bytes);
		else
			encode_result(&bytes, results.outcomes[n] == OUTCOME_NULL,
						  (float) results.values[n]);
	EncodeEnd(&bytes);
	SET_VARSIZE(bytes.data, bytes.len);
	SendWhole(bytes.len);
	PG_RETURN_BYTEA_P(bytes.data);
}

/* One of the best so far. */
typedef struct Candidate
{
	double		value;
	int64		position;
	Datum		key[FLEXIBLE_ARRAY_MEMBER];
} Candidate;

typedef struct Best
{
	const Computation *computation;
	MemoryContext context;		/* of the candidates */
	binaryheap *heap;			/* the worst of them on top */
	int			wanted;
	int16		key_lengths[INDEX_MAX_KEYS];
	bool		key_by_value[INDEX_MAX_KEYS];
} Best;

/*
 * Which of two comes later in the result: the smaller similarity, the larger
 * distance; NaN after all numbers; of equals the one that was found later.
 */
static int
compare_candidates(Datum left, Datum right, void *argument)
{
	const Candidate *a = (const Candidate *) DatumGetPointer(left);
	const Candidate *b = (const Candidate *) DatumGetPointer(right);
	const Computation *computation = argument;
	bool		near_first = computation->operation == L1_DISTANCE ||
		computation->operation == L2_DISTANCE;

	if (isnan(a->value) != isnan(b->value))
		return isnan(a->value) ? 1 : -1;
	if (!isnan(a->value) && a->value != b->value)
		return (a->value < b->value) == near_first ? -1 : 1;
	return a->position < b->position ? -1 : a->position > b->position;
}

static void
begin_best(Best *best, const Computation *computation, int wanted)
{
	best->computation = computation;
	best->context = CurrentMemoryContext;
	best->wanted = wanted;
	best->heap = binaryheap_allocate(wanted, compare_candidates, (void *) computation);
	for (int k = 0; k < computation->handle.key_count; k++)
		get_typlenbyval(computation->handle.key_types[k], &best->key_lengths[k],
						&best->key_by_value[k]);
}

/* Keep a candidate if it is among the best; key[k] is its key's column k. */
static void
consider(Best *best, double value, int64 position, const Datum *key)
{
	int			key_count = best->computation->handle.key_count;
	bool		full = best->heap->bh_size == best->wanted;
	Candidate	probe = {value, position};
	Candidate  *candidate = NULL;
	MemoryContext caller;

	if (full)
	{
		candidate = (Candidate *) DatumGetPointer(binaryheap_first(best->heap));
		if (compare_candidates(PointerGetDatum(&probe), PointerGetDatum(candidate),
							   (void *) best->computation) > 0)
			return;
	}
	caller = MemoryContextSwitchTo(best->context);
	if (!full)
		candidate = palloc(offsetof(Candidate, key) + key_count * sizeof(Datum));
	candidate->value = value;
	candidate->position = position;
	for (int k = 0; k < key_count; k++)
		candidate->key[k] = datumCopy(key[k], best->key_by_value[k], best->key_lengths[k]);
	if (full)
		binaryheap_replace_first(best->heap, PointerGetDatum(candidate));
	else
		binaryheap_add(best->heap, PointerGetDatum(candidate));
	MemoryContextSwitchTo(caller);
}

static void
consider_row(void *argument, int64 position, const Datum *values, const bool *nulls)
{
	Best	   *best = argument;
	const Computation *computation = best->computation;
	Datum		key[INDEX_MAX_KEYS];
	Outcome		outcome;
	double		value = 0;

	outcome = compute(computation, values[computation->attribute - 1],
					  nulls[computation->attribute - 1], &value);
	check_outcome(computation, outcome);
	if (outcome != OUTCOME_VALUE)
		return;
	for (int k = 0; k < computation->handle.key_count; k++)
		key[k] = values[computation->handle.key_attributes[k] - 1];
	consider(best, value, position, key);
}

/* Rows whose vector is NULL have no result, and so no place. */
static void
consider_keys(Best *best, const LookupKeys *keys)
{
	const Computation *computation = best->computation;
	Results		results;

	compute_keys(computation, keys, &results);
	for (int64 n = 0; n < keys->count; n++)
	{
		Datum		key[INDEX_MAX_KEYS];

		if (results.outcomes[n] != OUTCOME_VALUE)
			continue;
		for (int k = 0; k < computation->handle.key_count; k++)
			key[k] = keys->values[k][n];
		consider(best, results.values[n], n, key);
	}
}

static void
consider_all(Best *best)
{
	const Computation *computation = best->computation;
	const StoreHandle *handle = &computation->handle;
	RowSink		sink = {.row = consider_row, .argument = best};
	AttrNumber	wanted[INDEX_MAX_KEYS + 1];

	memcpy(wanted, handle->key_attributes, handle->key_count * sizeof(AttrNumber));
	wanted[handle->key_count] = computation->attribute;
	LookupAll(handle, computation->store, wanted, handle->key_count + 1, &sink);
}

static void
put_best(Best *best, Tuplestorestate *rows, TupleDesc descriptor)
{
	int			key_count = best->computation->handle.key_count;
	int			count = best->heap->bh_size;
	Candidate **ordered = palloc((count + 1) * sizeof(Candidate *));
	Datum		values[INDEX_MAX_KEYS + 1];
	bool		nulls[INDEX_MAX_KEYS + 1] = {false};

	for (int i = count - 1; i >= 0; i--)
		ordered[i] = (Candidate *) DatumGetPointer(binaryheap_remove_first(best->heap));
	for (int i = 0; i < count; i++)
	{
		for (int k = 0; k < key_count; k++)
			values[k] = ordered[i]->key[k];
		values[key_count] = Float4GetDatum((float4) ordered[i]->value);
		tuplestore_putvalues(rows, descriptor, values, nulls);
	}
}

/*
 * venice_top_k
 *		top_k(store, operation, field, query, k, VARIADIC keys "any"): key and result
 *		of the k best, best first; of all rows when every key array is NULL.
 */
Datum
venice_top_k(PG_FUNCTION_ARGS)
{
	Computation computation = {0};
	Best		best;
	Tuplestorestate *rows;
	LookupKeys	keys;
	bool		all = true;

	LookupRequireRows(fcinfo);
	begin_computation(fcinfo, &computation);
	check_rows(fcinfo, &computation, false);
	if (PG_ARGISNULL(4))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", "k")));
	if (PG_GETARG_INT32(4) < 1 || PG_GETARG_INT32(4) > MAX_K)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k must be between 1 and %d, not %d", MAX_K, PG_GETARG_INT32(4))));
	LookupKeysArray(fcinfo, 5, computation.store, &computation.handle, &keys);
	for (int i = 5; i < PG_NARGS(); i++)
		all &= PG_ARGISNULL(i);
	begin_best(&best, &computation, PG_GETARG_INT32(4));
	rows = LookupBeginRows(fcinfo);
	if (all)
		consider_all(&best);
	else
		consider_keys(&best, &keys);
	put_best(&best, rows, ((ReturnSetInfo *) fcinfo->resultinfo)->expectedDesc);
	return (Datum) 0;
}
