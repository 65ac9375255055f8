/*-------------------------------------------------------------------------
 *
 * columns.c
 *		Columns that versions get which there are already.
 *
 * A column that is NULL, or has a constant default, is added to a table without a row
 * being touched: the catalog says what rows have that are older.  All that is needed is
 * a moment in which nobody uses the table.  A reader who has read holds a lock to
 * the end of his transaction, however long, and who waits in the queue behind him makes
 * all others wait, too.  So a lock is waited for only so long as a reader can be asked
 * to wait, and then let go for as long: all of them are had at once, or none.  They are
 * taken in the order in which writers take them, so that nobody waits in a ring.
 *
 * A version that SQL fills gets its columns when it is built: who fills it has columns in
 * mind that it had when he began.
 *
 * Locks: StoreWritersLock, alone; AccessExclusiveLock on each table, to the end of the
 * transaction.
 * Must not know: which changes of columns are allowed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/columns.h"

#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/heap.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "optimizer/optimizer.h"
#include "parser/parse_node.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "avro/reader.h"
#include "common/compat.h"
#include "common/guc.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/subtransaction.h"
#include "common/table_lock.h"
#include "version/functions.h"
#include "version/state.h"

/* How long is tried without a lock_timeout. */
#define TRY_MS		(10 * 1000)

/* A default that every row has which is older: it is one value, and not NULL. */
static bool
is_constant(const StoreColumn *column, Oid type, int32 typmod)
{
	List	   *statements = raw_parser(psprintf("SELECT %s", column->default_expression),
										RAW_PARSE_DEFAULT);
	SelectStmt *select = castNode(SelectStmt, linitial_node(RawStmt, statements)->stmt);
	ParseState *pstate = make_parsestate(NULL);
	Node	   *expression = cookDefault(pstate, linitial_node(ResTarget, select->targetList)->val,
										 type, typmod, column->name, 0);

	free_parsestate(pstate);
	expression = (Node *) expression_planner((Expr *) expression);
	return IsA(expression, Const) && !((Const *) expression)->constisnull;
}

/* Can it be added without looking at a row? */
static bool
is_addable(const StoreColumn *column)
{
	Oid			type;
	int32		typmod;

	parseTypeString(column->type_name, &type, &typmod, false);
	if (DomainHasConstraints(type))
		return false;
	if (column->default_expression == NULL)
		return !column->not_null;
	return is_constant(column, type, typmod);
}

/* Columns of the store that a table lacks and can be given. */
static List *
missing_columns(const Store *store, Oid records)
{
	List	   *missing = NIL;
	ListCell   *cell;

	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (!column->is_key && get_attnum(records, column->name) == InvalidAttrNumber &&
			is_addable(column))
			missing = lappend(missing, column);
	}
	return missing;
}

static void
add_columns(Oid records, const List *columns)
{
	StringInfoData actions;
	ListCell   *cell;

	initStringInfo(&actions);
	foreach(cell, columns)
	{
		const StoreColumn *column = lfirst(cell);

		ItemListAppend(&actions, "ADD COLUMN %s %s%s%s%s", quote_identifier(column->name),
					   column->type_name, column->default_expression != NULL ? " DEFAULT " : "",
					   column->default_expression != NULL ? column->default_expression : "",
					   column->not_null ? " NOT NULL" : "");
	}
	QueryRunf("ALTER TABLE %s %s", QualifiedName(records), actions.data);
}

void
VersionAddColumns(const Store *store, const Version *version)
{
	Oid			records = VersionRecords(version);
	QuerySession session;
	List	   *missing;

	QueryBegin(&session, SchemaOwner(get_rel_namespace(records)));
	missing = missing_columns(store, records);
	if (missing != NIL)
		add_columns(records, missing);
	QueryEnd(&session);
}

/* What is to be locked, all of it or nothing. */
typedef struct TableSet
{
	const Store *store;
	List	   *tables;			/* in this order */
	List	   *also;			/* who writes to these has a lock on the others, too */
	Oid			refused;		/* InvalidOid: the writers' lock was */
	bool		is_refused;
} TableSet;

static int
left_ms(TimestampTz until)
{
	return Max(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until), 1);
}

static void
lock_all(void *argument)
{
	TableSet   *set = argument;
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
													Settings.drop_lock_timeout_ms);
	ListCell   *cell;

	set->is_refused = true;
	set->refused = InvalidOid;
	if (!StoreWritersLockAlone(set->store->name, left_ms(until)))
		return;
	foreach(cell, set->tables)
	{
		set->refused = lfirst_oid(cell);
		if (!TableLockQueued(set->refused, left_ms(until)))
			return;
	}
	foreach(cell, set->also)
	{
		set->refused = lfirst_oid(cell);
		if (!ConditionalLockRelationOid(set->refused, AccessExclusiveLock))
			return;
	}
	set->is_refused = false;
}

pg_noreturn static void
report_refusal(const TableSet *set)
{
	if (!OidIsValid(set->refused))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("cannot add columns to store \"%s\" while rows are written to it",
						set->store->name),
				 errhint("Nothing has changed. Try again when the writers' transactions have ended; with a lock_timeout it is tried for so long.")));
	ereport(ERROR,
			(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
			 errmsg("cannot add columns to store \"%s\" while table \"%s.%s\" is in use",
					set->store->name, get_namespace_name(get_rel_namespace(set->refused)),
					get_rel_name(set->refused)),
			 errdetail("It is locked by %s.", TableLockHolders(set->refused)),
			 errhint("Nothing has changed. Try again when that has ended; with a lock_timeout it is tried for so long.")));
	pg_unreachable();
}

/* Others have as long without us as they may have to wait for us. */
static void
lock_tables(TableSet *set)
{
	TimestampTz start = GetCurrentTimestamp();
	int			try_ms = LockTimeout > 0 ? LockTimeout : TRY_MS;

	for (;;)
	{
		ErrorData  *error = SubtransactionTryUnless(lock_all, set, &set->is_refused);

		if (error != NULL)
			ReThrowError(error);
		if (!set->is_refused)
			return;
		if (TimestampDifferenceExceeds(start, GetCurrentTimestamp(), try_ms))
			report_refusal(set);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 Settings.drop_lock_timeout_ms, WaitEventNamed("VeniceTableLock"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Does the store's Avro schema, as that of the reader, fit the columns of a version? */
static bool
schema_fits(const Store *store, const Version *version, Oid records)
{
	Relation	relation = table_open(records, NoLock);
	TupleDesc	descriptor = RelationGetDescr(relation);
	AvroColumn *columns = palloc0(descriptor->natts * sizeof(AvroColumn));
	const char *texts[] = {store->value_schema};
	int			count = 0;
	DecodeError error;
	bool		fits;

	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		char	   *name = NameStr(attribute->attname);
		AvroColumn *column = &columns[count];
		bool		is_key = false;
		ListCell   *cell;

		foreach(cell, store->columns)
		{
			const StoreColumn *other = lfirst(cell);

			is_key |= other->is_key && strcmp(other->name, name) == 0;
		}
		if (attribute->attisdropped || is_key || name[0] == '_')
			continue;
		if (version->options->fields != NULL)
			column->field = OptionText(version->options->fields, name);
		if (column->field == NULL)
			column->field = name;
		column->type = attribute->atttypid;
		column->typmod = attribute->atttypmod;
		count++;
	}
	fits = AvroReaderCreate(texts, 1, NULL, columns, count, CurrentMemoryContext, &error) != NULL;
	table_close(relation, NoLock);
	return fits;
}

/* Records that come from now on are read with the new columns. */
static void
change_reader(const Store *store, const Version *version, Oid records, const List *added)
{
	List	   *names = NIL;
	bool		reads_schema;
	ListCell   *cell;

	foreach(cell, added)
		names = lappend(names, ((StoreColumn *) lfirst(cell))->name);
	reads_schema = store->value_schema != NULL &&
		strcmp(version->options->value_format, "confluent-avro") == 0 &&
		schema_fits(store, version, records);
	VersionSetReader(version, reads_schema ? store->value_schema : NULL, names);
}

/* Does it get columns before it is built? */
static bool
is_followed(const Version *version)
{
	return VersionStateIsComplete(version->state) ||
		(version->state == VERSION_STARTED && version->topic != NULL);
}

void
VersionsAddColumns(const Store *store, List *also)
{
	TableSet	set = {.store = store,.also = also};
	List	   *versions = NIL;
	UserContext user;
	QuerySession session;
	ListCell   *cell;

	UserContextEnter(&user, store->owner);
	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);
		Oid			records = is_followed(version) ? VersionRecords(version) : InvalidOid;

		if (!OidIsValid(records) || missing_columns(store, records) == NIL)
			continue;
		versions = lappend(versions, version);
		set.tables = lappend_oid(set.tables, records);
	}
	UserContextLeave(&user);
	if (versions == NIL && also == NIL)
		return;
	lock_tables(&set);

	foreach(cell, versions)
	{
		Version    *version = lfirst(cell);
		Oid			records = VersionRecords(version);
		Oid			schema = get_rel_namespace(records);
		List	   *missing;

		QueryBegin(&session, SchemaOwner(schema));
		missing = missing_columns(store, records);
		add_columns(records, missing);
		QueryEnd(&session);
		change_reader(store, version, records, missing);
		if (VersionStateIsComplete(version->state))
			GeneratedFunctionsRenew(store, schema, RENEW_ADDED);
	}
}
