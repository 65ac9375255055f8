/*-------------------------------------------------------------------------
 *
 * swap_generation.c
 *		Whether the version pointers that a backend has cached can be trusted.
 *
 * Two numbers per database: how many swaps are in commit right now, and how
 * many have ever been.  A reader that, after taking its snapshot, finds none in
 * commit and the generation unchanged knows that no swap became visible since it
 * filled its cache.  Invalidation messages cannot tell, because they are sent
 * after the commit is already visible; a single odd/even counter cannot, because
 * two stores may swap at once.
 *
 * Databases whose OIDs fall together share their numbers: a swap in one only
 * makes the readers of the other look again.  There are none on a standby, whose
 * commits run no code of ours, nor without preload.  COMMIT PREPARED runs none
 * either: what has moved a pointer cannot be prepared.
 *
 * Locks: both numbers are atomics; nothing here takes a lock or waits.
 * Must not know: what a pointer is, or how a swap is made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/swap_generation.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "miscadmin.h"
#include "port/atomics.h"

#include "common/shmem.h"

static bool callback_registered = false;

/* The outermost subtransaction that has moved a pointer and was not rolled back. */
static SubTransactionId marked_in = InvalidSubTransactionId;
static bool announced = false;	/* it counts as being in commit */

static SharedSwaps *
swaps(void)
{
	return &Shared->swaps[MyDatabaseId % SHARED_SWAPS];
}

/*
 * The count falls after commit or abort, whichever comes: an error in between that
 * left it above zero would send every reader of the database to the table for ever.
 */
static void
follow_transaction(XactEvent event, void *argument)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			if (marked_in != InvalidSubTransactionId)
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("cannot PREPARE a transaction that has changed which version of a store is current")));
			return;
		case XACT_EVENT_PRE_COMMIT:
			if (marked_in == InvalidSubTransactionId || announced || Shared == NULL)
				return;
			pg_atomic_fetch_add_u32(&swaps()->in_commit, 1);
			announced = true;
			return;
		case XACT_EVENT_COMMIT:
		case XACT_EVENT_ABORT:
			marked_in = InvalidSubTransactionId;
			if (!announced)
				return;
			announced = false;
			pg_atomic_fetch_add_u64(&swaps()->generation, 1);
			pg_atomic_fetch_sub_u32(&swaps()->in_commit, 1);
			return;
		default:
			return;
	}
}

static void
follow_subtransaction(SubXactEvent event, SubTransactionId id, SubTransactionId parent,
					  void *argument)
{
	if (id != marked_in)
		return;
	if (event == SUBXACT_EVENT_COMMIT_SUB)
		marked_in = parent;
	else if (event == SUBXACT_EVENT_ABORT_SUB)
		marked_in = InvalidSubTransactionId;
}

void
SwapGenerationMark(void)
{
	if (!callback_registered)
	{
		RegisterXactCallback(follow_transaction, NULL);
		RegisterSubXactCallback(follow_subtransaction, NULL);
		callback_registered = true;
	}
	if (marked_in == InvalidSubTransactionId)
		marked_in = GetCurrentSubTransactionId();
}

bool
SwapGenerationRead(uint64 *generation)
{
	if (Shared == NULL || marked_in != InvalidSubTransactionId || RecoveryInProgress())
		return false;

	/* What its leader's transaction has done is visible to a worker and counted nowhere. */
	if (IsParallelWorker() && TransactionIdIsValid(GetTopTransactionIdIfAny()))
		return false;

	pg_memory_barrier();
	if (pg_atomic_read_u32(&swaps()->in_commit) != 0)
		return false;
	pg_read_barrier();
	*generation = pg_atomic_read_u64(&swaps()->generation);
	return true;
}
