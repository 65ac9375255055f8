/*-------------------------------------------------------------------------
 *
 * get.c
 *		The look-ups behind a store's get and batch_get.
 *
 * The version is the one that the statement's own snapshot calls current, and
 * its table is reached by OID, so that a swap between two statements or in the
 * midst of one is never half seen.  Rows come from the primary key's index
 * directly.  Only where row security applies to the caller is the look-up left
 * to the executor, which knows how to add the policies.
 *
 * Locks: AccessShareLock on the table until the end of the transaction, as a
 * SELECT takes.
 * Must not know: how versions come and go.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xlog.h"
#include "catalog/index.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "catalog/pointer.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/user_context.h"

PG_FUNCTION_INFO_V1(venice_get);
PG_FUNCTION_INFO_V1(venice_batch_get);

/* Not an attribute number: the position of the key in the input. */
#define ORDINALITY_COLUMN	0

typedef struct Lookup
{
	const char *store;
	Relation	records;
	Relation	index;
	int			key_count;
	AttrNumber *sources;		/* for each result column */
	TupleDesc	descriptor;		/* of the result */
	Tuplestorestate *result;
	bool		row_security;
} Lookup;

pg_noreturn static void
raise_no_store(const char *store)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("store \"%s\" does not exist", store)));
	pg_unreachable();
}

/* An unlogged table that a crash has emptied must not answer as if it were empty. */
static void
check_not_lost(const char *store, const VersionPointer *pointer)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		present;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" is not on this server", pointer->version, store),
				 errdetail("The version is unlogged, and the server is a standby."),
				 errhint("Read it on the primary server.")));

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, pointer->version);
	/* Without a pointer the store was restored, not crashed: the rows came with the dump. */
	present = QueryRead("SELECT FROM venice.unlogged_version "
						"WHERE store_name = $1::name AND version = $2 "
						"UNION ALL SELECT WHERE NOT EXISTS ("
						"SELECT FROM venice.version_pointer WHERE store_name = $1::name)",
						&args) > 0;
	QueryEnd(&session);
	if (!present)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" was lost in a crash", pointer->version, store),
				 errdetail("The version is unlogged."),
				 errhint("What came from a topic is loaded again by itself; anything else is to be pushed again.")));
}

/* As ExecCheckRTEPerms does for a SELECT of these columns. */
static void
check_privileges(const Lookup *lookup)
{
	Oid			relation = RelationGetRelid(lookup->records);

	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK)
		return;
	for (int i = 0; i < lookup->key_count; i++)
		if (pg_attribute_aclcheck(relation, lookup->index->rd_index->indkey.values[i], GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE,
						   psprintf("%s.records", lookup->store));
	for (int i = 0; i < lookup->descriptor->natts; i++)
		if (lookup->sources[i] != ORDINALITY_COLUMN &&
			pg_attribute_aclcheck(relation, lookup->sources[i], GetUserId(),
								  ACL_SELECT) != ACLCHECK_OK)
			aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE,
						   psprintf("%s.records", lookup->store));
}

/* Find each result column in the version's table, by name; the first may be the ordinality. */
static void
map_columns(Lookup *lookup, int version, bool with_ordinality)
{
	TupleDesc	table = RelationGetDescr(lookup->records);

	lookup->sources = palloc(lookup->descriptor->natts * sizeof(AttrNumber));
	for (int i = 0; i < lookup->descriptor->natts; i++)
	{
		Form_pg_attribute wanted = TupleDescAttr(lookup->descriptor, i);
		AttrNumber	found = InvalidAttrNumber;

		if (i == 0 && with_ordinality)
		{
			if (wanted->atttypid != INT8OID)
				ereport(ERROR,
						(errcode(ERRCODE_DATATYPE_MISMATCH),
						 errmsg("the first column of batch_get is of type bigint, not %s",
								format_type_be(wanted->atttypid))));
			lookup->sources[i] = ORDINALITY_COLUMN;
			continue;
		}
		for (int a = 0; a < table->natts && found == InvalidAttrNumber; a++)
			if (!TupleDescAttr(table, a)->attisdropped &&
				namestrcmp(&TupleDescAttr(table, a)->attname, NameStr(wanted->attname)) == 0)
				found = a + 1;
		if (found == InvalidAttrNumber ||
			TupleDescAttr(table, found - 1)->atttypid != wanted->atttypid)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("version %d of store \"%s\" has no column \"%s\" of type %s", version,
							lookup->store, NameStr(wanted->attname),
							format_type_be(wanted->atttypid)),
					 errhint("Make the functions anew with venice.rebuild_functions(%s).",
							 quote_literal_cstr(lookup->store))));
		lookup->sources[i] = found;
	}
}

static Lookup *
begin_lookup(FunctionCallInfo fcinfo, bool with_ordinality)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	Lookup	   *lookup = palloc0(sizeof(Lookup));
	VersionPointer pointer;
	AclResult	acl;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("store must not be null")));
	lookup->store = text_to_cstring(PG_GETARG_TEXT_PP(0));
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	lookup->result = result->setResult;
	lookup->descriptor = result->setDesc;

	if (!VersionPointerRead(lookup->store, GetActiveSnapshot(), &pointer))
		raise_no_store(lookup->store);
	lookup->records = try_table_open(pointer.records, AccessShareLock);
	if (lookup->records == NULL)
		raise_no_store(lookup->store);
	if (lookup->records->rd_rel->relpersistence == RELPERSISTENCE_UNLOGGED)
		check_not_lost(lookup->store, &pointer);
	(void) RelationGetIndexList(lookup->records);
	if (!OidIsValid(lookup->records->rd_pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" has no primary key", pointer.version,
						lookup->store)));
	lookup->index = index_open(lookup->records->rd_pkindex, AccessShareLock);
	lookup->key_count = IndexRelationGetNumberOfKeyAttributes(lookup->index);
	if (PG_NARGS() - 1 != lookup->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("wrong number of keys for store \"%s\": expected %d, got %d", lookup->store,
						lookup->key_count, PG_NARGS() - 1)));
	map_columns(lookup, pointer.version, with_ordinality);
	acl = object_aclcheck(NamespaceRelationId, RelationGetNamespace(lookup->records), GetUserId(),
						  ACL_USAGE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_SCHEMA, lookup->store);
	check_privileges(lookup);
	lookup->row_security = check_enable_rls(RelationGetRelid(lookup->records), InvalidOid,
											false) == RLS_ENABLED;
	return lookup;
}

static void
end_lookup(Lookup *lookup)
{
	index_close(lookup->index, NoLock);
	table_close(lookup->records, NoLock);
}

/* The type of a key argument must be its column's: the generated function saw to that. */
static void
check_key_type(const Lookup *lookup, int key, Oid given)
{
	AttrNumber	attribute = lookup->index->rd_index->indkey.values[key];
	Oid			wanted = TupleDescAttr(RelationGetDescr(lookup->records), attribute - 1)->atttypid;

	if (given != wanted && !IsBinaryCoercible(given, wanted))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("key column %d of store \"%s\" is of type %s, not %s", key + 1,
						lookup->store, format_type_be(wanted), format_type_be(given))));
}

static void
emit(const Lookup *lookup, TupleTableSlot *row, int64 ordinality)
{
	int			natts = lookup->descriptor->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));

	slot_getallattrs(row);
	for (int i = 0; i < natts; i++)
	{
		AttrNumber	source = lookup->sources[i];

		nulls[i] = source != ORDINALITY_COLUMN && row->tts_isnull[source - 1];
		values[i] = source == ORDINALITY_COLUMN ? Int64GetDatum(ordinality) :
			row->tts_values[source - 1];
	}
	tuplestore_putvalues(lookup->result, lookup->descriptor, values, nulls);
	pfree(values);
	pfree(nulls);
}

/* Look `count` keys up in the index; keys[k][n] is column k of key n. */
static void
scan_index(const Lookup *lookup, Datum **keys, bool **nulls, int64 count)
{
	IndexScanDesc scan = index_beginscan(lookup->records, lookup->index, GetActiveSnapshot(),
										 NULL, lookup->key_count, 0);
	TupleTableSlot *row = table_slot_create(lookup->records, NULL);
	ScanKeyData *scan_keys = palloc(lookup->key_count * sizeof(ScanKeyData));

	for (int k = 0; k < lookup->key_count; k++)
	{
		Oid			family = lookup->index->rd_opfamily[k];
		Oid			type = lookup->index->rd_opcintype[k];
		Oid			equality = get_opfamily_member(family, type, type, BTEqualStrategyNumber);

		ScanKeyEntryInitialize(&scan_keys[k], 0, k + 1, BTEqualStrategyNumber, InvalidOid,
							   lookup->index->rd_indcollation[k], get_opcode(equality), (Datum) 0);
	}
	for (int64 n = 0; n < count; n++)
	{
		bool		has_null = false;

		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < lookup->key_count; k++)
		{
			has_null |= nulls[k][n];
			scan_keys[k].sk_argument = keys[k][n];
		}
		if (has_null)
			continue;			/* a key is never null, so that nothing matches */
		index_rescan(scan, scan_keys, lookup->key_count, NULL, 0);
		if (index_getnext_slot(scan, ForwardScanDirection, row))
			emit(lookup, row, n + 1);
	}
	ExecDropSingleTupleTableSlot(row);
	index_endscan(scan);
}

/* The result's columns but for the ordinality, in order: "clicks, name". */
static char *
select_list(const Lookup *lookup)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lookup->descriptor->natts; i++)
	{
		Form_pg_attribute column = TupleDescAttr(lookup->descriptor, i);

		/* The result's columns are called like the table's: that is how they were found. */
		if (lookup->sources[i] != ORDINALITY_COLUMN)
			appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
							 quote_identifier(NameStr(column->attname)));
	}
	return list.data;
}

/* Emit a row that has just the columns of select_list. */
static void
emit_selected(const Lookup *lookup, HeapTuple tuple, TupleDesc selected, int64 ordinality)
{
	int			natts = lookup->descriptor->natts;
	Datum	   *values = palloc(natts * sizeof(Datum));
	bool	   *nulls = palloc(natts * sizeof(bool));
	int			next = 0;

	for (int i = 0; i < natts; i++)
		if (lookup->sources[i] == ORDINALITY_COLUMN)
		{
			values[i] = Int64GetDatum(ordinality);
			nulls[i] = false;
		}
		else
			values[i] = heap_getattr(tuple, ++next, selected, &nulls[i]);
	tuplestore_putvalues(lookup->result, lookup->descriptor, values, nulls);
	pfree(values);
	pfree(nulls);
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
 * The same through the executor, for row security.  The table is named as it is
 * called now; a swap that renames it between here and the parser is seen by the
 * plan's OID, and the name looked up again.
 */
static void
scan_with_policies(const Lookup *lookup, Datum **keys, bool **nulls, int64 count)
{
	TupleDesc	table = RelationGetDescr(lookup->records);
	Oid		   *types = palloc(lookup->key_count * sizeof(Oid));
	Datum	   *values = palloc(lookup->key_count * sizeof(Datum));
	char	   *columns = select_list(lookup);
	SPIPlanPtr	plan = NULL;

	SPI_connect();
	while (plan == NULL)
	{
		char	   *schema = get_namespace_name(RelationGetNamespace(lookup->records));
		StringInfoData sql;
		CachedPlanSource *source;

		initStringInfo(&sql);
		appendStringInfo(&sql, "SELECT %s FROM ONLY %s WHERE ", columns,
						 quote_qualified_identifier(schema,
													RelationGetRelationName(lookup->records)));
		for (int k = 0; k < lookup->key_count; k++)
		{
			AttrNumber	attribute = lookup->index->rd_index->indkey.values[k];
			Oid			operator_oid = get_opfamily_member(lookup->index->rd_opfamily[k],
														   lookup->index->rd_opcintype[k],
														   lookup->index->rd_opcintype[k],
														   BTEqualStrategyNumber);

			const char *name = NameStr(TupleDescAttr(table, attribute - 1)->attname);

			types[k] = TupleDescAttr(table, attribute - 1)->atttypid;
			appendStringInfo(&sql, "%s%s OPERATOR(%s.%s) $%d", k > 0 ? " AND " : "",
							 quote_identifier(name),
							 quote_identifier(operator_schema(operator_oid)),
							 get_opname(operator_oid), k + 1);
		}
		plan = SPI_prepare(sql.data, lookup->key_count, types);
		if (plan == NULL)
			elog(ERROR, "could not prepare \"%s\": %s", sql.data,
				 SPI_result_code_string(SPI_result));
		source = linitial(SPI_plan_get_plan_sources(plan));
		if (!list_member_oid(source->relationOids, RelationGetRelid(lookup->records)))
		{
			SPI_freeplan(plan);
			plan = NULL;
			CHECK_FOR_INTERRUPTS();
		}
	}

	for (int64 n = 0; n < count; n++)
	{
		bool		has_null = false;

		for (int k = 0; k < lookup->key_count; k++)
		{
			has_null |= nulls[k][n];
			values[k] = keys[k][n];
		}
		if (has_null)
			continue;
		/* Read-only: under the caller's snapshot, as the index scan would be. */
		if (SPI_execute_plan(plan, values, NULL, true, 1) != SPI_OK_SELECT)
			elog(ERROR, "could not execute a look-up in store \"%s\"", lookup->store);
		if (SPI_processed == 1)
			emit_selected(lookup, SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n + 1);
		SPI_freetuptable(SPI_tuptable);
	}
	SPI_finish();
}

static void
look_up(const Lookup *lookup, Datum **keys, bool **nulls, int64 count)
{
	if (lookup->row_security)
		scan_with_policies(lookup, keys, nulls, count);
	else
		scan_index(lookup, keys, nulls, count);
}

/*
 * venice_get
 *		get(store text, VARIADIC keys "any"): 0 or 1 row.
 */
Datum
venice_get(PG_FUNCTION_ARGS)
{
	Lookup	   *lookup = begin_lookup(fcinfo, false);
	Datum	  **keys = palloc(lookup->key_count * sizeof(Datum *));
	bool	  **nulls = palloc(lookup->key_count * sizeof(bool *));

	for (int k = 0; k < lookup->key_count; k++)
	{
		check_key_type(lookup, k, get_fn_expr_argtype(fcinfo->flinfo, k + 1));
		keys[k] = &fcinfo->args[k + 1].value;
		nulls[k] = &fcinfo->args[k + 1].isnull;
	}
	look_up(lookup, keys, nulls, 1);
	end_lookup(lookup);
	return (Datum) 0;
}

/*
 * venice_batch_get
 *		batch_get(store text, VARIADIC keys "any"): one array per key column, all
 *		of one length.  A NULL array finds nothing, as does a NULL element.
 */
Datum
venice_batch_get(PG_FUNCTION_ARGS)
{
	Lookup	   *lookup = begin_lookup(fcinfo, true);
	Datum	  **keys = palloc(lookup->key_count * sizeof(Datum *));
	bool	  **nulls = palloc(lookup->key_count * sizeof(bool *));
	int			count = 0;
	bool		null_array = false;

	for (int k = 0; k < lookup->key_count; k++)
	{
		ArrayType  *array;
		Oid			type;
		int16		length;
		bool		by_value;
		char		alignment;
		int			elements;

		if (PG_ARGISNULL(k + 1))
		{
			null_array = true;
			continue;
		}
		type = get_element_type(get_fn_expr_argtype(fcinfo->flinfo, k + 1));
		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("key argument %d of store \"%s\" is not an array", k + 1,
							lookup->store)));
		check_key_type(lookup, k, type);
		array = PG_GETARG_ARRAYTYPE_P(k + 1);
		get_typlenbyvalalign(type, &length, &by_value, &alignment);
		deconstruct_array(array, type, length, by_value, alignment, &keys[k], &nulls[k], &elements);
		if (k > 0 && !null_array && elements != count)
			ereport(ERROR,
					(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
					 errmsg("key arrays of store \"%s\" differ in length", lookup->store),
					 errdetail("The first has %d elements, number %d has %d.", count, k + 1,
							   elements)));
		count = elements;
	}
	if (!null_array)
		look_up(lookup, keys, nulls, count);
	end_lookup(lookup);
	return (Datum) 0;
}
