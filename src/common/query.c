/*-------------------------------------------------------------------------
 *
 * query.c
 *		SQL on the venice.* tables, and parameters for it.
 *
 * Administration is not a hot path: plain SQL through SPI keeps it short and
 * lets the executor do the constraint checks.  What a look-up does for every
 * key goes around this file, and so does most of a swap (catalog/registry_row.c).
 *
 * Statements run under the caller's snapshot: in REPEATABLE READ, acting on a
 * store that somebody else has changed since fails with 40001, as it should.
 *
 * Locks: none of its own.
 * Must not know: what the tables mean.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/query.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

void
QueryArgDatum(QueryArgs *args, Oid type, Datum value, bool is_null)
{
	Assert(args->count < QUERY_MAX_ARGS);
	args->types[args->count] = type;
	args->values[args->count] = value;
	args->nulls[args->count] = is_null ? 'n' : ' ';
	args->count++;
}

void
QueryArgText(QueryArgs *args, const char *value)
{
	QueryArgDatum(args, TEXTOID, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

void
QueryArgInt4(QueryArgs *args, int32 value)
{
	QueryArgDatum(args, INT4OID, Int32GetDatum(value), false);
}

void
QueryArgInt8(QueryArgs *args, int64 value)
{
	QueryArgDatum(args, INT8OID, Int64GetDatum(value), false);
}

void
QueryArgBool(QueryArgs *args, bool value)
{
	QueryArgDatum(args, BOOLOID, BoolGetDatum(value), false);
}

void
QueryArgJsonb(QueryArgs *args, const Jsonb *value)
{
	QueryArgDatum(args, JSONBOID, PointerGetDatum(value), value == NULL);
}

void
QueryArgTexts(QueryArgs *args, const List *texts)
{
	Datum	   *elements = palloc(list_length(texts) * sizeof(Datum));
	const ListCell *cell;

	foreach(cell, texts)
		elements[foreach_current_index(cell)] = CStringGetTextDatum(lfirst(cell));
	QueryArgDatum(args, TEXTARRAYOID,
				  PointerGetDatum(construct_array(elements, list_length(texts), TEXTOID, -1, false,
												  TYPALIGN_INT)), false);
}

void
QueryBegin(QuerySession *session, Oid role)
{
	session->result_context = CurrentMemoryContext;
	UserContextEnter(&session->user, role);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

void
QueryBeginRegistry(QuerySession *session)
{
	QueryBegin(session, ExtensionOwner());
}

void
QueryEnd(QuerySession *session)
{
	SPI_finish();
	UserContextLeave(&session->user);
	MemoryContextSwitchTo(session->result_context);
}

static uint64
execute(const char *sql, const QueryArgs *args, bool read_only)
{
	int			code;

	if (args == NULL)
		code = SPI_execute(sql, read_only, 0);
	else
		code = SPI_execute_with_args(sql, args->count, (Oid *) args->types, (Datum *) args->values,
									 args->nulls, read_only, 0);
	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
	return SPI_processed;
}

uint64
QueryRun(const char *sql, const QueryArgs *args)
{
	return execute(sql, args, false);
}

uint64
QueryRead(const char *sql, const QueryArgs *args)
{
	return execute(sql, args, true);
}

uint64
QueryRunLatest(const char *sql, const QueryArgs *args)
{
	SPIPlanPtr	plan = SPI_prepare(sql, args->count, (Oid *) args->types);
	int			code;

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	code = SPI_execute_snapshot(plan, (Datum *) args->values, args->nulls, GetLatestSnapshot(),
								InvalidSnapshot, false, true, 0);
	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
	return SPI_processed;
}

uint64
QueryRunKept(SPIPlanPtr *plan, const char *sql, const QueryArgs *args)
{
	static const QueryArgs no_args = {0};
	int			code;

	if (args == NULL)
		args = &no_args;
	if (*plan == NULL)
	{
		SPIPlanPtr	prepared = SPI_prepare(sql, args->count, (Oid *) args->types);

		if (prepared == NULL || SPI_keepplan(prepared) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
		*plan = prepared;
	}
	code = SPI_execute_plan(*plan, (Datum *) args->values, args->nulls, false, 0);
	if (code < 0)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
	return SPI_processed;
}

char *
QualifiedName(Oid relation)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

void
QueryRunf(const char *format,...)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&sql, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&sql, needed);
	}
	(void) QueryRun(sql.data, NULL);
	pfree(sql.data);
}

Datum
QueryDatum(uint64 row, int column, bool *is_null)
{
	Assert(row < SPI_tuptable->numvals);
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, is_null);
}

char *
QueryText(uint64 row, int column, MemoryContext context)
{
	char	   *value = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return value ? MemoryContextStrdup(context, value) : NULL;
}

List *
QueryTextColumn(uint64 rows, int column, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *texts = NIL;

	for (uint64 row = 0; row < rows; row++)
		texts = lappend(texts, QueryText(row, column, context));
	MemoryContextSwitchTo(old);
	return texts;
}

List *
QueryTexts(uint64 row, int column, MemoryContext context)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);
	MemoryContext old = MemoryContextSwitchTo(context);
	List	   *texts = NIL;

	if (!is_null)
	{
		Datum	   *elements;
		int			count;

		deconstruct_array(DatumGetArrayTypeP(value), TEXTOID, -1, false, TYPALIGN_INT, &elements,
						  NULL, &count);
		for (int i = 0; i < count; i++)
			texts = lappend(texts, TextDatumGetCString(elements[i]));
	}
	MemoryContextSwitchTo(old);
	return texts;
}

Jsonb *
QueryJsonb(uint64 row, int column, MemoryContext context)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);
	MemoryContext old = MemoryContextSwitchTo(context);
	Jsonb	   *result = is_null ? NULL : DatumGetJsonbPCopy(value);

	MemoryContextSwitchTo(old);
	return result;
}

int64
QueryInt8(uint64 row, int column, int64 if_null)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);

	return is_null ? if_null : DatumGetInt64(value);
}

int32
QueryInt4(uint64 row, int column, int32 if_null)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);

	return is_null ? if_null : DatumGetInt32(value);
}

bool
QueryBool(uint64 row, int column)
{
	bool		is_null;
	Datum		value = QueryDatum(row, column, &is_null);

	return !is_null && DatumGetBool(value);
}
