/*-------------------------------------------------------------------------
 *
 * forget.c
 *		Which tables' rows may be cached, and the trigger that reports writes.
 *
 * The trigger comes before each row that is replaced or deleted, in every mode of
 * replication.  A table that lacks it, or where it is switched off, is not
 * cached; and since it may be off for a while only, the command that last
 * changed it is a part of what identifies the table to the cache.
 *
 * To switch a trigger, ALTER TABLE takes a lock that lets readers in.  Messages
 * about it are sent after the commit is visible: in between, a reader would trust
 * the trigger, and see rows that were written without it.  So here it takes the
 * lock that DROP TRIGGER takes.
 *
 * Locks: AccessExclusiveLock on a table whose trigger is being switched, until the
 * end of the transaction.
 * Must not know: stores, versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/forget.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_trigger.h"
#include "commands/trigger.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "storage/lmgr.h"
#include "utils/fmgroids.h"
#include "utils/rel.h"

#include "common/compat.h"

#define TRIGGER_NAME		"venice_forget"

PG_FUNCTION_INFO_V1(venice_forget_row);

static object_access_hook_type previous_hook = NULL;

/*
 * Which command of which transaction made the trigger what it is in the catalog; 0 if
 * it is not what it has to be.
 */
static uint64
trigger_change(Relation records)
{
	Relation	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;
	uint64		change = 0;

	ScanKeyInit(&keys[0], Anum_pg_trigger_tgrelid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(RelationGetRelid(records)));
	ScanKeyInit(&keys[1], Anum_pg_trigger_tgname, BTEqualStrategyNumber, F_NAMEEQ,
				CStringGetDatum(TRIGGER_NAME));
	scan = systable_beginscan(catalog, TriggerRelidNameIndexId, true, NULL, 2, keys);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);
		const int16 wanted = TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_DELETE |
			TRIGGER_TYPE_UPDATE;
		FmgrInfo	function;
		bool		is_null;

		fmgr_info(trigger->tgfoid, &function);
		(void) heap_getattr(tuple, Anum_pg_trigger_tgqual, RelationGetDescr(catalog), &is_null);
		if (function.fn_addr == venice_forget_row && trigger->tgtype == wanted && is_null &&
			trigger->tgattr.dim1 == 0 && trigger->tgenabled == TRIGGER_FIRES_ALWAYS)
			change = (uint64) HeapTupleHeaderGetRawXmin(tuple->t_data) << 32 |
				HeapTupleHeaderGetRawCommandId(tuple->t_data);
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	return change;
}

/* Another number, in all likelihood, when the table's columns are others. */
static uint32
shape_of(TupleDesc columns)
{
	uint32		shape = columns->natts;

	for (int i = 0; i < columns->natts; i++)
		shape = hash_combine(shape, TupleDescAttr(columns, i)->attisdropped ? 0 :
							 murmurhash32(TupleDescAttr(columns, i)->atttypid));
	return shape;
}

static bool
describe_key(Relation records, CacheTable *table)
{
	Oid			key = RelationGetPrimaryKeyIndex(records, false);
	Relation	index;

	if (!OidIsValid(key))
		return false;
	index = index_open(key, AccessShareLock);
	table->records = RelationGetRelid(records);
	table->key_index = key;
	table->key_count = IndexRelationGetNumberOfKeyAttributes(index);
	for (int k = 0; k < table->key_count; k++)
	{
		AttrNumber	number = index->rd_index->indkey.values[k];
		Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(records), number - 1);

		table->key_attributes[k] = number;
		table->key_lengths[k] = attribute->attlen;
		table->key_by_value[k] = attribute->attbyval;
	}
	index_close(index, NoLock);
	return true;
}

bool
CacheTableDescribe(Relation records, CacheTable *table)
{
	if (!describe_key(records, table))
		return false;
	table->file = RelationFileNumber(records);
	table->trigger = trigger_change(records);
	table->shape = shape_of(RelationGetDescr(records));
	return table->trigger != 0;
}

static void
forget(const CacheTable *table, const Datum *key_values)
{
	CacheKey	key;

	if (CacheKeyMake(table, key_values, &key))
		CacheForget(table, &key);
}

bool
ForgetIsOnlyTrigger(Relation records, CacheTable *table)
{
	table->key_count = 0;
	for (int i = 0; records->trigdesc != NULL && i < records->trigdesc->numtriggers; i++)
	{
		const Trigger *trigger = &records->trigdesc->triggers[i];
		FmgrInfo	function;

		if (!TRIGGER_FOR_ROW(trigger->tgtype))
			continue;
		fmgr_info(trigger->tgfoid, &function);
		if (function.fn_addr != venice_forget_row || trigger->tgqual != NULL ||
			trigger->tgenabled != TRIGGER_FIRES_ALWAYS)
			return false;
	}
	if (CacheIsConfigured())
		(void) describe_key(records, table);
	return true;
}

void
ForgetRow(const CacheTable *table, TupleTableSlot *row)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		is_null;

	for (int k = 0; k < table->key_count; k++)
		values[k] = slot_getattr(row, table->key_attributes[k], &is_null);
	if (table->key_count > 0)
		forget(table, values);
}

/*
 * venice_forget_row
 *		BEFORE UPDATE OR DELETE, for each row.
 */
Datum
venice_forget_row(PG_FUNCTION_ARGS)
{
	TriggerData *trigger = (TriggerData *) fcinfo->context;
	CacheTable	table;
	Datum		values[INDEX_MAX_KEYS];
	bool		is_null;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(trigger->tg_event) ||
		!TRIGGER_FIRED_BEFORE(trigger->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called before a row by trigger manager",
						"forget_row")));
	if (CacheIsConfigured() && describe_key(trigger->tg_relation, &table))
	{
		for (int k = 0; k < table.key_count; k++)
			values[k] = heap_getattr(trigger->tg_trigtuple, table.key_attributes[k],
									 RelationGetDescr(trigger->tg_relation), &is_null);
		forget(&table, values);
	}
	return PointerGetDatum(TRIGGER_FIRED_BY_UPDATE(trigger->tg_event) ? trigger->tg_newtuple :
						   trigger->tg_trigtuple);
}

/*
 * Runs after the catalog was changed, and before the command sees that: a trigger that
 * is new is not found, and neither is one that was not trusted before this transaction.
 */
static void
watch_triggers(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *argument)
{
	Relation	catalog;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;
	Oid			records = InvalidOid;

	if (previous_hook)
		previous_hook(access, class_id, object_id, sub_id, argument);
	if (class_id != TriggerRelationId ||
		(access != OAT_POST_ALTER && access != OAT_POST_CREATE) || !CacheIsConfigured())
		return;

	catalog = table_open(TriggerRelationId, AccessShareLock);
	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object_id));
	scan = systable_beginscan(catalog, TriggerOidIndexId, true, NULL, 1, &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple) &&
		!TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetRawXmin(tuple->t_data)))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (strcmp(NameStr(trigger->tgname), TRIGGER_NAME) == 0)
			records = trigger->tgrelid;
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
	if (OidIsValid(records))
		LockRelationOid(records, AccessExclusiveLock);
}

void
ForgetTriggerWatch(void)
{
	previous_hook = object_access_hook;
	object_access_hook = watch_triggers;
}
