/*-------------------------------------------------------------------------
 *
 * lookup.c
 *		Finding the rows of keys in a version.
 *
 * Rows come from the primary key's index directly.  Only where row security
 * applies to the caller is the look-up left to the executor, which knows how to
 * add the policies.
 *
 * Locks: AccessShareLock on the index until the end of the transaction.
 * Must not know: what becomes of the rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/lookup.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "catalog/pg_operator.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "common/compat.h"

static void
check_key_count(const StoreHandle *handle, const char *store, int given)
{
	if (given != handle->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("wrong number of keys for store \"%s\": expected %d, got %d", store,
						handle->key_count, given)));
}

/* The type of a key argument must be its column's: the generated function saw to that. */
static void
check_key_type(const StoreHandle *handle, const char *store, int key, Oid given)
{
	Oid			wanted = handle->key_types[key];

	if (given != wanted && !IsBinaryCoercible(given, wanted))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column %d of store \"%s\" is of type %s, not %s", key + 1, store,
						format_type_be(wanted), format_type_be(given))));
}

void
LookupKeysScalar(FunctionCallInfo fcinfo, int first, const char *store, const StoreHandle *handle,
				 LookupKeys *keys)
{
	check_key_count(handle, store, PG_NARGS() - first);
	keys->count = 1;
	for (int k = 0; k < handle->key_count; k++)
	{
		check_key_type(handle, store, k, get_fn_expr_argtype(fcinfo->flinfo, first + k));
		keys->values[k] = &fcinfo->args[first + k].value;
		keys->nulls[k] = &fcinfo->args[first + k].isnull;
	}
}

void
LookupKeysArray(FunctionCallInfo fcinfo, int first, const char *store, const StoreHandle *handle,
				LookupKeys *keys)
{
	bool		null_array = false;

	check_key_count(handle, store, PG_NARGS() - first);
	keys->count = 0;
	for (int k = 0; k < handle->key_count; k++)
	{
		ArrayType  *array;
		Oid			type;
		int16		length;
		bool		by_value;
		char		alignment;
		int			elements;

		if (PG_ARGISNULL(first + k))
		{
			null_array = true;
			continue;
		}
		type = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, first + k));
		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("key argument %d of store \"%s\" is not an array", k + 1, store)));
		check_key_type(handle, store, k, type);
		array = PG_GETARG_ARRAYTYPE_P(first + k);
		get_typlenbyvalalign(type, &length, &by_value, &alignment);
		deconstruct_array(array, type, length, by_value, alignment, &keys->values[k],
						  &keys->nulls[k], &elements);
		if (k > 0 && !null_array && elements != keys->count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("key arrays of store \"%s\" differ in length", store),
					 errdetail("The first has " INT64_FORMAT " elements, number %d has %d.",
							   keys->count, k + 1, elements)));
		keys->count = elements;
	}
	if (null_array)
		keys->count = 0;
}

/* One key of the input; false if it has a NULL, so that nothing matches. */
static bool
pick_key(const StoreHandle *handle, const LookupKeys *keys, int64 position, Datum *key)
{
	bool		has_null = false;

	for (int k = 0; k < handle->key_count; k++)
	{
		has_null |= keys->nulls[k][position];
		key[k] = keys->values[k][position];
	}
	return !has_null;
}

static void
scan_index(const StoreHandle *handle, const LookupKeys *keys, RowVisitor visitor, void *argument)
{
	Relation	records = table_open(handle->records, NoLock);
	Relation	index = index_open(handle->index, AccessShareLock);
	IndexScanDesc scan = index_beginscan(records, index, GetActiveSnapshot(), NULL,
										 handle->key_count, 0);
	TupleTableSlot *row = table_slot_create(records, NULL);
	ScanKeyData *scan_keys = palloc(handle->key_count * sizeof(ScanKeyData));

	for (int k = 0; k < handle->key_count; k++)
	{
		Oid			type = index->rd_opcintype[k];
		Oid			equality = get_opfamily_member(index->rd_opfamily[k], type, type,
												   BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&scan_keys[k], 0, k + 1, BTEqualStrategyNumber, InvalidOid,
							   index->rd_indcollation[k], get_opcode(equality), (Datum) 0);
	}
	for (int64 n = 0; n < keys->count; n++)
	{
		Datum		key[INDEX_MAX_KEYS];

		CHECK_FOR_INTERRUPTS();
		if (!pick_key(handle, keys, n, key))
			continue;
		for (int k = 0; k < handle->key_count; k++)
			scan_keys[k].sk_argument = key[k];
		index_rescan(scan, scan_keys, handle->key_count, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, row))
		{
			slot_getallattrs(row);
			visitor(argument, n, row->tts_values, row->tts_isnull);
		}
	}
	ExecDropSingleTupleTableSlot(row);
	index_endscan(scan);
	index_close(index, NoLock);
	table_close(records, NoLock);
}

static char *
operator_schema(Oid operator_oid)
{
	HeapTuple	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(operator_oid));
	Oid			schema = ((Form_pg_operator) GETSTRUCT(tuple))->oprnamespace;

	ReleaseSysCache(tuple);
	return get_namespace_name(schema);
}

/*
 * SELECT of the wanted columns by key, planned by the executor with its policies.
 * The table is named as it is called now; a swap that renames it between here and
 * the parser is seen by the plan's OID, and the name looked up again.
 */
static SPIPlanPtr
plan_with_policies(const StoreHandle *handle, const char *store, Relation records,
				   const AttrNumber *wanted, int wanted_count)
{
	TupleDesc	table = RelationGetDescr(records);
	Relation	index = index_open(handle->index, AccessShareLock);
	Oid		   *types = palloc(handle->key_count * sizeof(Oid));
	StringInfoData query;
	StringInfoData condition;
	SPIPlanPtr	plan;
	CachedPlanSource *source;

	initStringInfo(&condition);
	for (int k = 0; k < handle->key_count; k++)
	{
		Oid			operator_oid = get_opfamily_member(index->rd_opfamily[k],
													   index->rd_opcintype[k],
													   index->rd_opcintype[k],
													   BTEqualStrategyNumber);
		const char *name = NameStr(TupleDescAttr(table, handle->key_attributes[k] - 1)->attname);

		types[k] = handle->key_types[k];
		appendStringInfo(&condition, "%s%s OPERATOR(%s.%s) $%d", k > 0 ? " AND " : "",
						 quote_identifier(name), quote_identifier(operator_schema(operator_oid)),
						 get_opname(operator_oid), k + 1);
	}
	index_close(index, NoLock);

	for (;;)
	{
		char	   *schema = get_namespace_name(RelationGetNamespace(records));

		initStringInfo(&query);
		appendStringInfoString(&query, "SELECT ");
		for (int i = 0; i < wanted_count; i++)
			appendStringInfo(&query, "%s%s", i > 0 ? ", " : "",
							 quote_identifier(get_attname(handle->records, wanted[i], false)));
		appendStringInfo(&query, " FROM ONLY %s WHERE %s",
						 quote_qualified_identifier(schema, RelationGetRelationName(records)),
						 condition.data);
		plan = SPI_prepare(query.data, handle->key_count, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", query.data,
				 SPI_result_code_string(SPI_result));
		source = linitial(SPI_plan_get_plan_sources(plan));
		if (list_member_oid(source->relationOids, handle->records))
			return plan;
		SPI_freeplan(plan);
		CHECK_FOR_INTERRUPTS();
	}
}

/* The same through the executor, for row security. */
static void
scan_with_policies(const StoreHandle *handle, const char *store, const LookupKeys *keys,
				   const AttrNumber *wanted, int wanted_count, RowVisitor visitor, void *argument)
{
	Relation	records = table_open(handle->records, NoLock);
	int			natts = RelationGetNumberOfAttributes(records);
	Datum	   *values = palloc0(natts * sizeof(Datum));
	bool	   *nulls = palloc0(natts * sizeof(bool));
	SPIPlanPtr	plan;

	SPI_connect();
	plan = plan_with_policies(handle, store, records, wanted, wanted_count);
	for (int64 n = 0; n < keys->count; n++)
	{
		Datum		key[INDEX_MAX_KEYS];

		if (!pick_key(handle, keys, n, key))
			continue;
		/* Read-only: under the caller's snapshot, as the index scan would be. */
		if (SPI_execute_plan(plan, key, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not execute a look-up in store \"%s\"", store);
		if (SPI_processed == 1)
		{
			for (int i = 0; i < wanted_count; i++)
				values[wanted[i] - 1] = heap_getattr(SPI_tuptable->vals[0], i + 1,
													 SPI_tuptable->tupdesc, &nulls[wanted[i] - 1]);
			visitor(argument, n, values, nulls);
		}
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
	table_close(records, NoLock);
}

void
LookupRun(const StoreHandle *handle, const char *store, const LookupKeys *keys,
		  const AttrNumber *wanted, int wanted_count, RowVisitor visitor, void *argument)
{
	StoreHandleCheckColumns(handle, store, wanted, wanted_count);
	if (keys->count == 0)
		return;
	if (handle->row_security)
		scan_with_policies(handle, store, keys, wanted, wanted_count, visitor, argument);
	else
		scan_index(handle, keys, visitor, argument);
}
