/*-------------------------------------------------------------------------
 *
 * rewrite.c
 *		Giving a table other files, made beside it, while it is read.
 *
 * As CLUSTER does it: rows are copied with the transactions that wrote them, so that a
 * snapshot from before finds what it found.  Otherwise than CLUSTER: readers go
 * on meanwhile, and indexes and statistics are made beside as well.  Only the exchange
 * of the files, which are some rows of pg_class, keeps readers out.
 *
 * The table stays the table that it was, so that who waits to write to it, or has planned
 * to, finds it.
 *
 * Locks: ExclusiveLock on the table; AccessExclusiveLock for the exchange, tried for a
 * while and never waited for in the queue; ShareUpdateExclusiveLock on its TOAST table,
 * against VACUUM.
 * Must not know: what is in the table, and why it is rewritten.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/rewrite.h"

#include "access/htup_details.h"
#include "access/multixact.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/heap.h"
#include "catalog/indexing.h"
#include "catalog/pg_class.h"
#include "commands/cluster.h"
#include "commands/tablecmds.h"
#include "parser/parse_utilcmd.h"
#include "pgstat.h"
#include "storage/lmgr.h"
#include "storage/predicate.h"
#include "storage/procarray.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "common/query.h"
#include "common/table_lock.h"

Rewrite *
RewriteBegin(Oid table)
{
	Rewrite    *rewrite = palloc0(sizeof(Rewrite));
	Form_pg_class form;

	rewrite->table = try_table_open(table, ExclusiveLock);
	if (rewrite->table == NULL)
		return NULL;
	form = rewrite->table->rd_rel;
	if (OidIsValid(form->reltoastrelid))
		LockRelationOid(form->reltoastrelid, ShareUpdateExclusiveLock);

	rewrite->oldest_xmin = GetOldestNonRemovableTransactionId(rewrite->table);
	rewrite->freeze_limit = rewrite->oldest_xmin;
	if (TransactionIdPrecedes(rewrite->freeze_limit, form->relfrozenxid))
		rewrite->freeze_limit = form->relfrozenxid;
	rewrite->multi_limit = GetOldestMultiXactId();
	if (MultiXactIdPrecedes(rewrite->multi_limit, form->relminmxid))
		rewrite->multi_limit = form->relminmxid;

	rewrite->heap = make_new_heap(table, form->reltablespace, form->relam, form->relpersistence,
								  ExclusiveLock);
	LockRelationOid(rewrite->heap, AccessExclusiveLock);
	return rewrite;
}

Relation
RewriteHeapOpen(const Rewrite *rewrite)
{
	Relation	heap = table_open(rewrite->heap, NoLock);

	/* Pointers to what is out of line name the TOAST table that the table keeps. */
	heap->rd_toastoid = rewrite->table->rd_rel->reltoastrelid;
	return heap;
}

void
RewriteHeapClose(Relation heap)
{
	heap->rd_toastoid = InvalidOid;
	table_close(heap, NoLock);
	CommandCounterIncrement();
}

void
RewriteSort(Rewrite *rewrite, const char *columns)
{
	double		vacuumed = 0;
	double		recently_dead = 0;
	Relation	heap;
	Relation	index;
	ObjectAddress object;

	/* The index stays empty: it only says what the order is. */
	QueryRunf("CREATE INDEX ON %s (%s)", QualifiedName(rewrite->heap), columns);
	heap = RewriteHeapOpen(rewrite);
	ObjectAddressSet(object, RelationRelationId, linitial_oid(RelationGetIndexList(heap)));
	index = index_open(object.objectId, AccessExclusiveLock);
	table_relation_copy_for_cluster(rewrite->table, heap, index, true, rewrite->oldest_xmin,
									&rewrite->freeze_limit, &rewrite->multi_limit,
									&rewrite->rows, &vacuumed, &recently_dead);
	index_close(index, NoLock);
	RewriteHeapClose(heap);
	performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);

	/* Of a table that only we know yet, the server would leave these out of indexes. */
	if (recently_dead > 0)
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("deleted rows of \"%s\" may still be seen by a transaction",
						RelationGetRelationName(rewrite->table)),
				 errhint("Try again when the transactions that run now are over.")));
}

List *
IndexesClone(Relation from, Relation to)
{
	List	   *clones = NIL;
	AttrMap    *columns = build_attrmap_by_name(RelationGetDescr(to), RelationGetDescr(from),
												false);
	int			nest_level = NewGUCNestLevel();
	ListCell   *cell;

	/* A definition that names no tablespace means the database's. */
	(void) set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	foreach(cell, RelationGetIndexList(from))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);
		IndexStmt  *statement = generateClonedIndexStmt(NULL, index, columns, NULL);
		ObjectAddress clone = DefineIndex(RelationGetRelid(to), statement, InvalidOid, InvalidOid,
										  InvalidOid, -1, false, false, false, false, true);

		clones = lappend_oid(clones, clone.objectId);
		index_close(index, AccessShareLock);
		CommandCounterIncrement();
	}
	AtEOXact_GUC(false, nest_level);
	return clones;
}

void
RewriteFinish(Rewrite *rewrite)
{
	Relation	heap = table_open(rewrite->heap, NoLock);

	rewrite->indexes = list_copy(RelationGetIndexList(rewrite->table));
	rewrite->new_indexes = IndexesClone(rewrite->table, heap);
	table_close(heap, NoLock);
	QueryRunf("ANALYZE %s", QualifiedName(rewrite->heap));
}

/* Let two relations of the same kind have each other's file. */
static void
exchange_files(Oid one, Oid other, const Rewrite *limits)
{
	Relation	catalog = table_open(RelationRelationId, RowExclusiveLock);
	Relation	relations[2];
	HeapTuple	tuples[2] = {
		SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(one)),
		SearchSysCacheCopy1(RELOID, ObjectIdGetDatum(other))
	};
	Form_pg_class a = (Form_pg_class) GETSTRUCT(tuples[0]);
	Form_pg_class b = (Form_pg_class) GETSTRUCT(tuples[1]);
	FormData_pg_class saved = *a;

	if (a->relfilenode == 0 || a->reltablespace != b->reltablespace || a->relam != b->relam)
		elog(ERROR, "relations %u and %u cannot exchange their files", one, other);
	a->relfilenode = b->relfilenode;
	a->relpages = b->relpages;
	a->reltuples = b->reltuples;
	a->relallvisible = b->relallvisible;
	b->relfilenode = saved.relfilenode;
	b->relpages = saved.relpages;
	b->reltuples = saved.reltuples;
	b->relallvisible = saved.relallvisible;
	ClassExchangeFrozenPages(a, b);
	if (limits != NULL)
	{
		a->relfrozenxid = limits->freeze_limit;
		a->relminmxid = limits->multi_limit;
	}
	CatalogTupleUpdate(catalog, &tuples[0]->t_self, tuples[0]);
	CatalogTupleUpdate(catalog, &tuples[1]->t_self, tuples[1]);
	table_close(catalog, RowExclusiveLock);

	relations[0] = relation_open(one, AccessExclusiveLock);
	relations[1] = relation_open(other, AccessExclusiveLock);
	RelationFilesExchanged(relations[0], relations[1]);
	relation_close(relations[0], NoLock);
	relation_close(relations[1], NoLock);
}

static void
exchange_toast(Oid one, Oid other, const Rewrite *limits)
{
	exchange_files(one, other, limits);
	exchange_files(toast_get_valid_index(one, AccessExclusiveLock),
				   toast_get_valid_index(other, AccessExclusiveLock), NULL);
}

void
RewriteSwap(Rewrite *rewrite, int timeout_ms)
{
	Oid			table = RelationGetRelid(rewrite->table);
	Relation	heap = table_open(rewrite->heap, NoLock);
	Oid			toast = rewrite->table->rd_rel->reltoastrelid;
	Oid			new_toast = heap->rd_rel->reltoastrelid;
	ObjectAddress object;
	ListCell   *one;
	ListCell   *other;

	if (!TableLockUnqueued(table, timeout_ms))
		ereport(ERROR,
				(errcode(ERRCODE_LOCK_NOT_AVAILABLE),
				 errmsg("table \"%s\" is being read", RelationGetRelationName(rewrite->table)),
				 errdetail("It is read by %s.", TableLockHolders(table)),
				 errhint("Try again later.")));
	CheckTableNotInUse(rewrite->table, "rewrite");
	TransferPredicateLocksToHeapRelation(rewrite->table);
	table_close(rewrite->table, NoLock);
	table_close(heap, NoLock);

	RemoveStatistics(table, 0);
	CopyStatistics(rewrite->heap, table);
	exchange_files(table, rewrite->heap, rewrite);
	if (OidIsValid(toast) && OidIsValid(new_toast))
		exchange_toast(toast, new_toast, rewrite);
	forboth(one, rewrite->indexes, other, rewrite->new_indexes)
		exchange_files(lfirst_oid(one), lfirst_oid(other), NULL);
	CommandCounterIncrement();
	ObjectAddressSet(object, RelationRelationId, rewrite->heap);
	performDeletion(&object, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);

	/* Autovacuum is to find it full of new rows, and to mark its pages as visible to all. */
	rewrite->table = table_open(table, NoLock);
	pgstat_count_heap_insert(rewrite->table, (PgStat_Counter) rewrite->rows);
	table_close(rewrite->table, NoLock);
}
