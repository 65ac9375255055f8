/*-------------------------------------------------------------------------
 *
 * historical_scan.c
 *		Rows of get_historical_features as they are found.
 *
 * The executor keeps all that a function returns, and spills it, before the first row
 * is read.  Of a training set that is as much as the join itself takes.  So where such a call
 * is all that a query, or a subquery, reads from, the planner is given a node in its place
 * that hands over row after row.
 *
 * Workers may then be about while the rest of the plan runs.  That is what parallel mode is
 * for, so all the rest of the statement must be such as may be in a parallel plan.  What the
 * spine's query does the planner does not see; it may be anything, as there are no workers yet.
 *
 * Rows are kept after all where the executor has not entered that mode, since it may then stop
 * and come back, as for a cursor; and where they are read again, for a correlated subquery
 * say, from the second time on.
 *
 * Locks: those of the join.
 * Must not know: how rows are found, or what is computed from them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/historical_scan.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/extensible.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/clauses.h"
#include "optimizer/cost.h"
#include "optimizer/optimizer.h"
#include "optimizer/paths.h"
#include "optimizer/planner.h"
#include "optimizer/restrictinfo.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "common/compat.h"
#include "offline/answer.h"
#include "offline/historical.h"

typedef struct HistoricalScan
{
	CustomScanState custom;		/* first */
	List	   *arguments;		/* of ExprState */
	MemoryContext context;		/* of a run */
	Answer	   *answer;			/* NULL: not begun, or at an end */
	bool		at_end;
	bool		was_read;		/* and may be again */
	Tuplestorestate *kept;		/* all rows, or NULL */
	TupleTableSlot *kept_slot;
} HistoricalScan;

static planner_hook_type previous_planner = NULL;
static set_rel_pathlist_hook_type previous_pathlist = NULL;

/* The statement that is being planned may have the node. */
static bool may_scan = false;

static Node *create_state(CustomScan *plan);
static Plan *plan_path(PlannerInfo *root, RelOptInfo *relation, CustomPath *path,
					   List *columns, List *clauses, List *plans);
static void begin_scan(CustomScanState *state, EState *estate, int flags);
static TupleTableSlot *run_scan(CustomScanState *state);
static void end_scan(CustomScanState *state);
static void rescan(CustomScanState *state);
static void shutdown_scan(CustomScanState *state);

static const CustomPathMethods path_methods = {
	.CustomName = "get_historical_features",
	.PlanCustomPath = plan_path
};

static const CustomScanMethods scan_methods = {
	.CustomName = "get_historical_features",
	.CreateCustomScanState = create_state
};

static const CustomExecMethods state_methods = {
	.CustomName = "get_historical_features",
	.BeginCustomScan = begin_scan,
	.ExecCustomScan = run_scan,
	.EndCustomScan = end_scan,
	.ReScanCustomScan = rescan,
	.ShutdownCustomScan = shutdown_scan
};

/* Is it our function, and no other of its name? */
static bool
is_ours(Oid function)
{
	char	   *name = get_func_name(function);
	FmgrInfo	called;

	if (name == NULL || strcmp(name, "get_historical_features") != 0)
		return false;
	fmgr_info(function, &called);
	return called.fn_addr == venice_get_historical_features;
}

/* Is a relation of a query our function?  No other has its columns from the query. */
static bool
is_call(const RangeTblEntry *entry)
{
	const RangeTblFunction *function;

	if (entry->rtekind != RTE_FUNCTION || list_length(entry->functions) != 1 ||
		entry->funcordinality)
		return false;
	function = linitial_node(RangeTblFunction, entry->functions);
	return function->funccoltypes != NIL && IsA(function->funcexpr, FuncExpr) &&
		is_ours(((FuncExpr *) function->funcexpr)->funcid);
}

/* The calls in a query and its subqueries, those in its expressions left out. */
static List *
find_calls(const Query *query)
{
	List	   *calls = NIL;
	const ListCell *cell;

	foreach(cell, query->rtable)
	{
		RangeTblEntry *entry = lfirst(cell);

		if (entry->rtekind == RTE_SUBQUERY)
			calls = list_concat(calls, find_calls(entry->subquery));
		else if (is_call(entry))
			calls = lappend(calls, entry);
	}
	foreach(cell, query->cteList)
	{
		const CommonTableExpr *cte = lfirst(cell);

		if (IsA(cte->ctequery, Query))
			calls = list_concat(calls, find_calls((Query *) cte->ctequery));
	}
	return calls;
}

/* Is there one call, and nothing else that must not be in a parallel plan? */
static bool
may_be_parallel(Query *query)
{
	Query	   *rest;
	RangeTblFunction *call;

	if (list_length(find_calls(query)) != 1)
		return false;
	rest = copyObject(query);
	call = linitial_node(RangeTblFunction,
						 ((RangeTblEntry *) linitial(find_calls(rest)))->functions);
	call->funcexpr = (Node *) makeNullConst(RECORDOID, -1, InvalidOid);
	return max_parallel_hazard(rest) != PROPARALLEL_UNSAFE;
}

static PlannedStmt *
plan_statement(Query *query, const char *text, int options, ParamListInfo parameters)
{
	bool		outer_may = may_scan;
	PlannedStmt *plan;

	may_scan = (options & CURSOR_OPT_PARALLEL_OK) != 0 && IsUnderPostmaster &&
		query->commandType == CMD_SELECT && !query->hasModifyingCTE &&
		max_parallel_workers_per_gather > 0 && !IsParallelWorker() && may_be_parallel(query);
	PG_TRY();
	{
		plan = previous_planner != NULL ? previous_planner(query, text, options, parameters) :
			standard_planner(query, text, options, parameters);
	}
	PG_FINALLY();
	{
		may_scan = outer_may;
	}
	PG_END_TRY();
	return plan;
}

/* The row as a whole is a value that the node does not make. */
static bool
has_whole_row(List *expressions, Index relation)
{
	Bitmapset  *columns = NULL;

	pull_varattnos((Node *) expressions, relation, &columns);
	return bms_is_member(0 - FirstLowInvalidHeapAttributeNumber, columns);
}

/* The call that a relation of a query is, where the node may stand in its place; or NULL. */
static FuncExpr *
replaceable_call(PlannerInfo *root, RelOptInfo *relation, RangeTblEntry *entry)
{
	FuncExpr   *call;

	if (!may_scan || !is_call(entry) || relation->lateral_relids != NULL ||
		bms_membership(root->all_baserels) != BMS_SINGLETON)
		return NULL;
	call = (FuncExpr *) linitial_node(RangeTblFunction, entry->functions)->funcexpr;
	if (contain_var_clause((Node *) call->args) || contain_subplans((Node *) call->args) ||
		has_whole_row(relation->reltarget->exprs, relation->relid) ||
		has_whole_row(extract_actual_clauses(relation->baserestrictinfo, false), relation->relid))
		return NULL;
	return call;
}

static void
replace_path(PlannerInfo *root, RelOptInfo *relation, Index number, RangeTblEntry *entry)
{
	FuncExpr   *call;
	const Path *replaced;
	CustomPath *path;

	if (previous_pathlist != NULL)
		previous_pathlist(root, relation, number, entry);
	call = replaceable_call(root, relation, entry);
	if (call == NULL || list_length(relation->pathlist) != 1)
		return;
	replaced = linitial(relation->pathlist);
	if (!IsA(replaced, Path) || replaced->pathtype != T_FunctionScan ||
		replaced->param_info != NULL)
		return;
	path = makeNode(CustomPath);
	path->path.pathtype = T_CustomScan;
	path->path.parent = relation;
	path->path.pathtarget = relation->reltarget;
	path->path.rows = replaced->rows;
	path->path.startup_cost = replaced->startup_cost;
	path->path.total_cost = replaced->total_cost;
	path->flags = CUSTOMPATH_SUPPORT_PROJECTION;
	path->custom_private = list_make1(call);
	path->methods = &path_methods;
	relation->pathlist = list_make1(path);
}

static Plan *
plan_path(PlannerInfo *root, RelOptInfo *relation, CustomPath *path, List *columns,
		  List *clauses, List *plans)
{
	CustomScan *plan = makeNode(CustomScan);
	FuncExpr   *call = linitial(path->custom_private);
	RangeTblEntry *entry = root->simple_rte_array[relation->relid];
	RangeTblFunction *function = linitial_node(RangeTblFunction, entry->functions);
	AttrNumber	column;

	plan->scan.plan.targetlist = columns;
	plan->scan.plan.qual = extract_actual_clauses(clauses, false);
	plan->flags = path->flags;
	plan->custom_exprs = call->args;
	plan->custom_private = list_make1_oid(call->funcid);
	for (column = 1; column <= list_length(function->funccoltypes); column++)
	{
		Var		   *value = makeVar(relation->relid, column,
									list_nth_oid(function->funccoltypes, column - 1),
									list_nth_int(function->funccoltypmods, column - 1),
									list_nth_oid(function->funccolcollations, column - 1), 0);

		plan->custom_scan_tlist =
			lappend(plan->custom_scan_tlist,
					makeTargetEntry((Expr *) value, column, NULL, false));
	}
	plan->methods = &scan_methods;
	root->glob->parallelModeNeeded = true;
	return &plan->scan.plan;
}

static Node *
create_state(CustomScan *plan)
{
	HistoricalScan *scan = palloc0(sizeof(HistoricalScan));

	NodeSetTag(scan, T_CustomScanState);
	scan->custom.methods = &state_methods;
	return (Node *) scan;
}

static void
begin_scan(CustomScanState *state, EState *estate, int flags)
{
	HistoricalScan *scan = (HistoricalScan *) state;
	CustomScan *plan = (CustomScan *) state->ss.ps.plan;
	Oid			function = linitial_oid(plan->custom_private);
	AclResult	may = object_aclcheck(ProcedureRelationId, function, GetUserId(), ACL_EXECUTE);

	/* As the executor does for a function. */
	if (may != ACLCHECK_OK)
		aclcheck_error(may, OBJECT_FUNCTION, get_func_name(function));
	InvokeFunctionExecuteHook(function);
	scan->arguments = ExecInitExprList(plan->custom_exprs, &state->ss.ps);
	scan->context = AllocSetContextCreate(estate->es_query_cxt, "venice historical scan",
										  ALLOCSET_DEFAULT_SIZES);
}

static HistoricalRequest *
make_request(HistoricalScan *scan)
{
	ExprContext *econtext = scan->custom.ss.ps.ps_ExprContext;
	HistoricalRequest *request;
	const ListCell *cell;
	LOCAL_FCINFO(fcinfo, FUNC_MAX_ARGS);

	InitFunctionCallInfoData(*fcinfo, NULL, list_length(scan->arguments), InvalidOid, NULL, NULL);
	foreach(cell, scan->arguments)
	{
		NullableDatum *argument = &fcinfo->args[foreach_current_index(cell)];

		argument->value = ExecEvalExpr((ExprState *) lfirst(cell), econtext, &argument->isnull);
	}
	request = HistoricalRequestOfCall(fcinfo);
	HistoricalColumnsCheck(request, scan->custom.ss.ss_ScanTupleSlot->tts_tupleDescriptor);
	return request;
}

static void
put_row(void *state, const Datum *values, const bool *nulls)
{
	HistoricalScan *scan = state;

	tuplestore_putvalues(scan->kept, scan->custom.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
						 unconstify(Datum *, values), unconstify(bool *, nulls));
}

/* While nobody is about whom it is for. */
static bool
leave_parallel_mode(void)
{
	bool		leaves = IsInParallelMode() && !ParallelContextActive();

	if (leaves)
		ExitParallelMode();
	return leaves;
}

static void
begin_run(HistoricalScan *scan)
{
	MemoryContext old = MemoryContextSwitchTo(scan->context);
	bool		leaves = leave_parallel_mode();
	HistoricalRequest *request = make_request(scan);

	if (scan->custom.ss.ps.state->es_use_parallel_mode && !scan->was_read)
		scan->answer = AnswerBegin(request, NULL);
	else
	{
		scan->kept = tuplestore_begin_heap(true, false, work_mem);
		scan->kept_slot =
			MakeSingleTupleTableSlot(scan->custom.ss.ss_ScanTupleSlot->tts_tupleDescriptor,
									 &TTSOpsMinimalTuple);
		AnswerRun(request, put_row, scan, NULL);
	}
	if (leaves)
		EnterParallelMode();
	MemoryContextSwitchTo(old);
}

static void
end_answer(HistoricalScan *scan)
{
	if (scan->answer != NULL)
		AnswerEnd(scan->answer);
	scan->answer = NULL;
}

/* Let the workers go before the executor leaves parallel mode. */
static void
shutdown_scan(CustomScanState *state)
{
	HistoricalScan *scan = (HistoricalScan *) state;

	end_answer(scan);
	scan->at_end = true;
}

static TupleTableSlot *
next_row(ScanState *state)
{
	HistoricalScan *scan = (HistoricalScan *) state;
	TupleTableSlot *slot = state->ss_ScanTupleSlot;
	bool		leaves;
	bool		is_row;

	ExecClearTuple(slot);
	if (scan->at_end)
		return slot;
	if (scan->answer == NULL && scan->kept == NULL)
		begin_run(scan);
	if (scan->kept != NULL)
		return tuplestore_gettupleslot(scan->kept, true, false, scan->kept_slot) ?
			ExecCopySlot(slot, scan->kept_slot) : slot;
	leaves = leave_parallel_mode();
	is_row = AnswerNext(scan->answer, slot->tts_values, slot->tts_isnull);
	if (leaves)
		EnterParallelMode();
	if (is_row)
		return ExecStoreVirtualTuple(slot);
	shutdown_scan(&scan->custom);
	return slot;
}

static bool
recheck_row(ScanState *state, TupleTableSlot *slot)
{
	return true;
}

static TupleTableSlot *
run_scan(CustomScanState *state)
{
	return ExecScan(&state->ss, next_row, recheck_row);
}

static void
end_run(HistoricalScan *scan)
{
	end_answer(scan);
	if (scan->kept != NULL)
	{
		ExecDropSingleTupleTableSlot(scan->kept_slot);
		tuplestore_end(scan->kept);
	}
	scan->kept = NULL;
	MemoryContextReset(scan->context);
}

static void
rescan(CustomScanState *state)
{
	HistoricalScan *scan = (HistoricalScan *) state;

	ExecScanReScan(&state->ss);
	scan->at_end = false;
	if (scan->kept != NULL && state->ss.ps.chgParam == NULL)
	{
		tuplestore_rescan(scan->kept);
		return;
	}
	end_run(scan);
	scan->was_read = true;
}

static void
end_scan(CustomScanState *state)
{
	end_run((HistoricalScan *) state);
}

void
HistoricalScanInstall(void)
{
	RegisterCustomScanMethods(&scan_methods);
	previous_planner = planner_hook;
	planner_hook = plan_statement;
	previous_pathlist = set_rel_pathlist_hook;
	set_rel_pathlist_hook = replace_path;
}
