/*-------------------------------------------------------------------------
 *
 * select.c
 *		Running a SELECT as the current user, its rows taken as they come.
 *
 * SPI would materialize what it returns, or go through a cursor, which is never
 * parallel; this is the executor itself, with a receiver of ours.  Rights, row security
 * and hooks work as for a statement that the user has typed.
 *
 * Everything is seen under the active snapshot, as in a function that is not
 * volatile: a spine and the histories of one request show one state of the database.
 *
 * Locks: AccessShareLock on what is read, to the end of the transaction.
 * Must not know: what the queries are about.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/select.h"

#include "executor/executor.h"
#include "miscadmin.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "common/compat.h"
#include "store/arguments.h"

/* Rows that the executor is asked for at once. */
#define CURSOR_ROWS 256

typedef struct SelectDest
{
	DestReceiver dest;
	SelectReceiver receive;
	void	   *state;
} SelectDest;

struct SelectCursor
{
	PlannedStmt *plan;
	char	   *sql;
	MemoryContext owner;		/* of the running query */
	QueryDesc  *query;			/* NULL: none is running */
	SelectDest	dest;
	MemoryContext context;		/* of the rows in hand */
	TupleTableSlot *slot;
	MinimalTuple rows[CURSOR_ROWS];
	int			row_count;
	int			next_row;
	bool		at_end;
};

Query *
SelectAnalyze(const char *sql, const char *what, Oid *types, int type_count)
{
	List	   *statements = ParseUserText("", sql, "", NULL);
	UserText	user = {sql, 0, NULL};
	ErrorContextCallback callback = {error_context_stack, UserTextPoint, &user};
	RawStmt    *statement;
	List	   *queries;
	Query	   *query;

	if (list_length(statements) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s is not one statement", what),
				 errhint("Write a single SELECT, VALUES or TABLE.")));
	statement = linitial_node(RawStmt, statements);
	if (!IsA(statement->stmt, SelectStmt) || castNode(SelectStmt, statement->stmt)->intoClause)
		ereport(ERROR,
				(errcode(ERRCODE_SYNTAX_ERROR),
				 errmsg("%s is not a query", what),
				 errhint("Write a single SELECT, VALUES or TABLE.")));
	error_context_stack = &callback;
	queries = pg_analyze_and_rewrite_fixedparams(statement, sql, types, type_count, NULL);
	error_context_stack = callback.previous;
	query = linitial_node(Query, queries);
	if (query->hasModifyingCTE || query->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must not change or lock rows", what)));
	return query;
}

void
SelectCheckRights(Query *query)
{
	(void) ExecCheckPermissions(query->rtable, query->rteperminfos, true);
}

static void
dest_startup(DestReceiver *self, int operation, TupleDesc columns)
{
}

static bool
dest_receive(TupleTableSlot *slot, DestReceiver *self)
{
	SelectDest *dest = (SelectDest *) self;

	dest->receive(dest->state, slot);
	return true;
}

static void
dest_shutdown(DestReceiver *self)
{
}

static void
dest_destroy(DestReceiver *self)
{
}

static void
init_dest(SelectDest *dest, SelectReceiver receive, void *state)
{
	memset(dest, 0, sizeof(SelectDest));
	dest->dest.receiveSlot = dest_receive;
	dest->dest.rStartup = dest_startup;
	dest->dest.rShutdown = dest_shutdown;
	dest->dest.rDestroy = dest_destroy;
	dest->dest.mydest = DestNone;
	dest->receive = receive;
	dest->state = state;
}

static QueryDesc *
start(PlannedStmt *plan, const char *sql, ParamListInfo params, SelectDest *dest)
{
	QueryDesc  *result = CreateQueryDesc(plan, sql, GetActiveSnapshot(), InvalidSnapshot,
										 &dest->dest, params, NULL, 0);

	ExecutorStart(result, 0);
	return result;
}

static void
finish(QueryDesc *query)
{
	ExecutorFinish(query);
	ExecutorEnd(query);
	FreeQueryDesc(query);
}

void
SelectRun(Query *query, const char *sql, SelectReceiver receive, void *state)
{
	SelectDest	dest;
	QueryDesc  *running;
	PlannedStmt *plan = pg_plan_query(query, sql, CURSOR_OPT_PARALLEL_OK, NULL);

	/* Those of subqueries as well. */
	if (plan->rowMarks != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("spine must not change or lock rows")));
	init_dest(&dest, receive, state);
	running = start(plan, sql, NULL, &dest);
	ExecutorRun(running, ForwardScanDirection, 0);
	finish(running);
}

static void
keep_row(void *state, TupleTableSlot *slot)
{
	SelectCursor *cursor = state;
	MemoryContext old = MemoryContextSwitchTo(cursor->context);

	cursor->rows[cursor->row_count++] = ExecCopySlotMinimalTuple(slot);
	MemoryContextSwitchTo(old);
}

SelectCursor *
SelectPrepare(Query *query, const char *sql, ParamListInfo params)
{
	SelectCursor *cursor = palloc0(sizeof(SelectCursor));

	cursor->owner = CurrentMemoryContext;
	cursor->context = AllocSetContextCreate(CurrentMemoryContext, "venice rows in hand",
											ALLOCSET_DEFAULT_SIZES);
	cursor->sql = pstrdup(sql);
	cursor->plan = pg_plan_query(query, sql, 0, params);
	cursor->slot = MakeSingleTupleTableSlot(ExecCleanTypeFromTL(cursor->plan->planTree->targetlist),
											&TTSOpsMinimalTuple);
	cursor->at_end = true;
	init_dest(&cursor->dest, keep_row, cursor);
	return cursor;
}

static void
stop(SelectCursor *cursor)
{
	if (cursor->query != NULL)
		finish(cursor->query);
	cursor->query = NULL;
}

void
SelectStart(SelectCursor *cursor, ParamListInfo params)
{
	MemoryContext old = MemoryContextSwitchTo(cursor->owner);

	stop(cursor);
	ExecClearTuple(cursor->slot);
	MemoryContextReset(cursor->context);
	cursor->row_count = cursor->next_row = 0;
	cursor->at_end = false;
	cursor->query = start(cursor->plan, cursor->sql, params, &cursor->dest);
	MemoryContextSwitchTo(old);
}

double
SelectCost(const SelectCursor *cursor)
{
	return cursor->plan->planTree->total_cost;
}

TupleDesc
SelectColumns(SelectCursor *cursor)
{
	return cursor->slot->tts_tupleDescriptor;
}

TupleTableSlot *
SelectNext(SelectCursor *cursor)
{
	if (cursor->next_row == cursor->row_count)
	{
		if (cursor->at_end)
			return NULL;
		CHECK_FOR_INTERRUPTS();
		ExecClearTuple(cursor->slot);
		MemoryContextReset(cursor->context);
		cursor->row_count = cursor->next_row = 0;
		ExecutorRun(cursor->query, ForwardScanDirection, CURSOR_ROWS);
		cursor->at_end = cursor->row_count < CURSOR_ROWS;
		if (cursor->row_count == 0)
			return NULL;
	}
	return ExecStoreMinimalTuple(cursor->rows[cursor->next_row++], cursor->slot, false);
}

void
SelectClose(SelectCursor *cursor)
{
	ExecDropSingleTupleTableSlot(cursor->slot);
	stop(cursor);
	MemoryContextDelete(cursor->context);
	pfree(cursor);
}
