/*-------------------------------------------------------------------------
 *
 * calls.c
 *		What a look-up costs inside the server, without a client: functions that
 *		only this measurement has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <time.h>

#include "catalog/pg_type.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_empty);
PG_FUNCTION_INFO_V1(bench_statement);
PG_FUNCTION_INFO_V1(bench_calls);

static uint64
clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return now.tv_sec * UINT64CONST(1000000000) + now.tv_nsec;
}

/* bench_empty(bigint) returns bigint: what a call costs that does nothing. */
Datum
bench_empty(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(PG_GETARG_INT64(0));
}

/*
 * bench_statement(text) returns double precision: microseconds of processor time that
 * a query takes.  It waits for nothing, so that on an idle machine this is its time.
 */
Datum
bench_statement(PG_FUNCTION_ARGS)
{
	char	   *query = text_to_cstring(PG_GETARG_TEXT_PP(0));
	SPIPlanPtr	plan;
	uint64		before;
	uint64		after;

	SPI_connect();
	plan = SPI_prepare(query, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", query);
	before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	if (SPI_execute_plan(plan, NULL, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not execute \"%s\"", query);
	after = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	SPI_finish();
	PG_RETURN_FLOAT8((after - before) / 1e3);
}

static int
compare(const void *a, const void *b)
{
	uint32		x = *(const uint32 *) a;
	uint32		y = *(const uint32 *) b;

	return (x > y) - (x < y);
}

/*
 * bench_calls(entities bigint, calls integer) returns double precision[]: mean, p50,
 * p99 and p99.9, in microseconds, of get_packed of store "bench" with random keys
 * from 1 to `entities`.  The memory of a call is given back between calls, as the
 * executor does.
 */
Datum
bench_calls(PG_FUNCTION_ARGS)
{
	int64		entities = PG_GETARG_INT64(0);
	int			calls = PG_GETARG_INT32(1);
	Oid			types[] = {TEXTOID, ANYOID};
	List	   *name = list_make2(makeString("venice_internal"), makeString("get_packed"));
	Node	   *key = (Node *) makeConst(INT8OID, -1, InvalidOid, sizeof(int64), Int64GetDatum(0),
										 false, FLOAT8PASSBYVAL);
	Datum		store = CStringGetTextDatum("bench");
	Node	   *store_argument = (Node *) makeConst(TEXTOID, -1, InvalidOid, -1, store, false, false);
	Oid			function = LookupFuncName(name, 2, types, false);
	uint32	   *latencies_ns = MemoryContextAllocHuge(CurrentMemoryContext, sizeof(uint32) * calls);
	MemoryContext call_context = AllocSetContextCreate(CurrentMemoryContext, "call",
													   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = CurrentMemoryContext;
	pg_prng_state random;
	FmgrInfo	info;
	double		sum_ns = 0;
	Datum		results[4];

	fmgr_info(function, &info);
	fmgr_info_set_expr((Node *) makeFuncExpr(function, BYTEAOID,
											 list_make2(store_argument, key), InvalidOid,
											 InvalidOid, COERCE_EXPLICIT_CALL), &info);
	pg_prng_seed(&random, 7);
	MemoryContextSwitchTo(call_context);
	for (int i = 0; i < calls; i++)
	{
		LOCAL_FCINFO(call, 2);
		uint64		before;

		CHECK_FOR_INTERRUPTS();
		InitFunctionCallInfoData(*call, &info, 2, InvalidOid, NULL, NULL);
		call->args[0].value = store;
		call->args[0].isnull = false;
		call->args[1].value = Int64GetDatum(pg_prng_uint64_range(&random, 1, entities));
		call->args[1].isnull = false;
		before = clock_ns(CLOCK_MONOTONIC);
		(void) FunctionCallInvoke(call);
		latencies_ns[i] = clock_ns(CLOCK_MONOTONIC) - before;
		if (call->isnull)
			elog(ERROR, "a key is missing");
		sum_ns += latencies_ns[i];
		MemoryContextReset(call_context);
	}
	MemoryContextSwitchTo(caller);
	qsort(latencies_ns, calls, sizeof(uint32), compare);
	results[0] = Float8GetDatum(sum_ns / calls / 1e3);
	results[1] = Float8GetDatum(latencies_ns[calls / 2] / 1e3);
	results[2] = Float8GetDatum(latencies_ns[(int64) calls * 99 / 100] / 1e3);
	results[3] = Float8GetDatum(latencies_ns[(int64) calls * 999 / 1000] / 1e3);
	PG_RETURN_ARRAYTYPE_P(construct_array(results, 4, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										  TYPALIGN_DOUBLE));
}
