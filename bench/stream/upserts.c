/*-------------------------------------------------------------------------
 *
 * upserts.c
 *		What an upsert costs that a function in the server makes through SPI: a
 *		function that only this measurement has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "rows.h"

PG_MODULE_MAGIC;

PG_FUNCTION_INFO_V1(bench_upserts);

static SPIPlanPtr
prepare(const char *sql)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[1 + COLUMNS];

	if (plan != NULL)
		return plan;
	types[0] = INT8OID;
	for (int i = 0; i < COLUMNS; i++)
		types[1 + i] = i < DOUBLES ? FLOAT8OID : i < DOUBLES + INTS ? INT4OID : TEXTOID;
	plan = SPI_prepare(sql, 1 + COLUMNS, types);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare \"%s\"", sql);
	return plan;
}

/*
 * bench_upserts(sql text, seed bigint, first bigint, count int, keys bigint, parts int, part int)
 *		returns void: so many upserts, one after the other, by a saved plan.
 */
Datum
bench_upserts(PG_FUNCTION_ARGS)
{
	int			count = PG_GETARG_INT32(3);
	Row		   *rows = palloc(count * sizeof(Row));
	SPIPlanPtr	plan;

	for (int i = 0; i < count; i++)
		make_row(&rows[i], PG_GETARG_INT64(1), PG_GETARG_INT64(2) + i, PG_GETARG_INT64(4),
				 PG_GETARG_INT32(5), PG_GETARG_INT32(6));
	count = sort_rows(rows, count);
	SPI_connect();
	plan = prepare(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	for (int i = 0; i < count; i++)
	{
		Datum		values[1 + COLUMNS];
		Datum	   *value = values;

		CHECK_FOR_INTERRUPTS();
		*value++ = Int64GetDatum(rows[i].key);
		for (int k = 0; k < DOUBLES; k++)
			*value++ = Float8GetDatum(rows[i].doubles[k]);
		for (int k = 0; k < INTS; k++)
			*value++ = Int32GetDatum(rows[i].ints[k]);
		for (int k = 0; k < STRINGS; k++)
			*value++ = CStringGetTextDatum(rows[i].strings[k]);
		if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "an upsert failed");
		for (int k = 0; k < STRINGS; k++)
			pfree(DatumGetPointer(values[1 + DOUBLES + INTS + k]));
	}
	SPI_finish();
	PG_RETURN_VOID();
}
