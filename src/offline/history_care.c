/*-------------------------------------------------------------------------
 *
 * history_care.c
 *		What is done for histories again and again.
 *
 * Partitions are made ahead, split off, retired; and those whose time is over are
 * rewritten in the order of keys, so that a join reads each key's rows from a few pages.
 * One thing at a time, each in a transaction of its own, so that locks are held for that
 * alone.
 *
 * Locks: ShareUpdateExclusiveLock on the history, against the same and against DDL that
 * would have readers wait; no StoreLock: pushes go on.
 * Must not know: who asks for it, but for compact_history.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/history_care.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "common/guc.h"
#include "common/query.h"
#include "offline/partitions.h"
#include "offline/rewrite.h"
#include "registry/view.h"
#include "store/arguments.h"
#include "version/history.h"

PG_FUNCTION_INFO_V1(venice_compact_history);

/* A partition is closed so long after its end: most late rows have come. */
#define GRACE_US		USECS_PER_HOUR

#define LOOK_EVERY_MS	(10 * 1000)

/* Partitions of before a time that are worth being rewritten. */
static List *
scattered_partitions(const Store *store, Oid history, TimestampTz before)
{
	List	   *scattered = NIL;
	ListCell   *cell;

	foreach(cell, PartitionList(store, history))
	{
		Partition  *partition = lfirst(cell);

		if (partition->end <= before && PartitionIsScattered(partition))
			scattered = lappend(scattered, partition);
	}
	return scattered;
}

static List *
begin_compaction(const Store *store, Oid history, List *partitions)
{
	List	   *rewrites = NIL;
	ListCell   *cell;

	foreach(cell, partitions)
	{
		Rewrite    *rewrite = RewriteBegin(((Partition *) lfirst(cell))->relation);

		if (rewrite == NULL)
			continue;
		RewriteSort(rewrite, HistoryOrder(store, history));
		RewriteFinish(rewrite);
		rewrites = lappend(rewrites, rewrite);
	}
	return rewrites;
}

static void
end_compaction(const Store *store, List *rewrites, int timeout_ms)
{
	ListCell   *cell;

	foreach(cell, rewrites)
	{
		Rewrite    *rewrite = lfirst(cell);
		Oid			table = RelationGetRelid(rewrite->table);

		RewriteSwap(rewrite, timeout_ms);
		PartitionNoteCompaction(store, table);
	}
}

/* Waiting for readers is worth as long as the work has taken that would be lost. */
static int
patience_ms(TimestampTz started)
{
	return Max(Settings.drop_lock_timeout_ms,
			   TimestampDifferenceMilliseconds(started, GetCurrentTimestamp()));
}

static bool
compact_next(const Store *store, Oid history)
{
	TimestampTz started = GetCurrentTimestamp();
	List	   *partitions = scattered_partitions(store, history, started - GRACE_US);
	List	   *rewrites;

	if (partitions == NIL)
		return false;
	rewrites = begin_compaction(store, history, list_make1(linitial(partitions)));
	end_compaction(store, rewrites, patience_ms(started));
	return true;
}

/* The history, locked against others who do the same; invalid if there is none. */
static Oid
lock_history(const Store *store)
{
	Oid			history = HistoryRelation(store);

	if (!OidIsValid(history))
		return InvalidOid;
	LockRelationOid(history, ShareUpdateExclusiveLock);
	return HistoryRelation(store) == history ? history : InvalidOid;
}

bool
HistoryCare(const char *name)
{
	Store	   *store = StoreLookup(name, true);
	Oid			history = store != NULL ? lock_history(store) : InvalidOid;
	QuerySession session;
	bool		done;

	if (!OidIsValid(history))
		return false;
	QueryBegin(&session, store->owner);
	done = PartitionsMakeAhead(store, history) || PartitionsRetire(store, history) ||
		PartitionsSplitDefault(store, history) || compact_next(store, history);
	QueryEnd(&session);
	return done;
}

static bool
is_in_need(const char *name)
{
	Store	   *store = StoreLookup(name, true);
	Oid			history = store != NULL ? HistoryRelation(store) : InvalidOid;

	return OidIsValid(history) &&
		(PartitionsAreDue(store, history) ||
		 scattered_partitions(store, history, GetCurrentTimestamp() - GRACE_US) != NIL);
}

List *
HistoriesInNeed(void)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	List	   *names;
	List	   *in_need = NIL;
	ListCell   *cell;
	uint64		count;

	QueryBeginRegistry(&session);
	count = QueryRunKept(&plan, "SELECT store_name::text FROM venice.store "
						 "WHERE (options ->> 'history')::pg_catalog.bool ORDER BY 1", NULL);
	names = QueryTextColumn(count, 1, session.result_context);
	QueryEnd(&session);
	foreach(cell, names)
		if (is_in_need(lfirst(cell)))
			in_need = lappend(in_need, lfirst(cell));
	return in_need;
}

bool
HistoryCareIsNeeded(void)
{
	static TimestampTz next_look = 0;
	TimestampTz now = GetCurrentTimestamp();

	if (now < next_look)
		return false;
	next_look = TimestampTzPlusMilliseconds(now, LOOK_EVERY_MS);
	return HistoriesInNeed() != NIL;
}

/*
 * venice_compact_history
 *		compact_history(view): rewrite all closed partitions of the view's history that are
 *		worth it, with what is in none yet.  What keeps readers out comes last.
 */
Datum
venice_compact_history(PG_FUNCTION_ARGS)
{
	char	   *name = ArgumentText(fcinfo, 0, "view", true);
	TimestampTz started = GetCurrentTimestamp();
	Reference	reference;
	FeatureView *view;
	Store	   *store;
	Oid			history = InvalidOid;
	QuerySession session;
	List	   *rewrites;

	FunctionRequireWritable(fcinfo);
	ReferenceParse(name, &reference);
	view = FeatureViewLookup(&reference, false);
	store = view->store != NULL ? StoreLookup(view->store, false) : NULL;
	if (store != NULL)
	{
		StoreCheckOwner(store);
		history = lock_history(store);
	}
	if (!OidIsValid(history))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%s \"%s\" has no history of its own", FeatureViewKind(view),
						FeatureViewShortName(view)),
				 errdetail("Its past, if there is one, is read in place."),
				 errhint("Give the relation that it is read from an index on keys and event time, and CLUSTER it by that.")));
	QueryBegin(&session, store->owner);
	rewrites = begin_compaction(store, history, scattered_partitions(store, history, started));
	/* When that is done, the history is locked, and nobody is to wait for long. */
	end_compaction(store, rewrites, PartitionsSplitDefault(store, history) ?
				   Settings.drop_lock_timeout_ms : patience_ms(started));
	QueryEnd(&session);
	PG_RETURN_VOID();
}
