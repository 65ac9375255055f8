/*-------------------------------------------------------------------------
 *
 * subtransaction.c
 *		Trying something that may fail in a foreseen way.
 *
 * The subtransaction is rolled back before any error goes on: one left open would
 * swallow whatever the session does next.
 *
 * Locks: what the action takes; given back if it fails.
 * Must not know: what is tried.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/subtransaction.h"

#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

static ErrorData *
run(SubtransactionAction action, void *argument, const bool *undo)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	/* A subtransaction cannot start while there is something to invalidate. */
	CommandCounterIncrement();
	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(context);
	PG_TRY();
	{
		action(argument);
		if (*undo)
			RollbackAndReleaseCurrentSubTransaction();
		else
			ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(context);
	CurrentResourceOwner = owner;
	return error;
}

static bool
is_request_to_stop(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_QUERY_CANCELED ||
		error->sqlerrcode == ERRCODE_ADMIN_SHUTDOWN;
}

ErrorData *
SubtransactionTry(SubtransactionAction action, void *argument, int expected_sqlstate)
{
	bool		undo = false;
	ErrorData  *error = run(action, argument, &undo);

	if (error == NULL || error->sqlerrcode == expected_sqlstate)
		return error;
	if (expected_sqlstate != SUBTRANSACTION_ANY_ERROR || is_request_to_stop(error))
		ReThrowError(error);
	return error;
}

ErrorData *
SubtransactionTryUnless(SubtransactionAction action, void *argument, const bool *undo)
{
	ErrorData  *error = run(action, argument, undo);

	if (error != NULL && is_request_to_stop(error))
		ReThrowError(error);
	return error;
}
