/*-------------------------------------------------------------------------
 *
 * answer.c
 *		The rows that answer a request, made of joined rows.
 *
 * What is asked for and was joined is passed on; the rest is worked out from the joined
 * row when all joins are done: features of on-demand views, values of another type than
 * was pinned, defaults, statuses.  The rules are those of online answers, so that both
 * are the same.
 *
 * An expression is analysed over subselects that have columns of the right names and
 * types; in the result they stand for columns of the joined row.
 *
 * Locks: none.
 * Must not know: how rows are found.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/answer.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/analyze.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "parser/parser.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "common/item_list.h"
#include "common/type_input.h"
#include "registry/expression.h"
#include "registry/service_plan.h"

/* The alias of request columns in expressions of on-demand views. */
#define REQUEST_ALIAS "request"

/* A feature that is joined, in the joined row: columns from 0. */
typedef struct AnswerInput
{
	int			value;
	int			event_time;
	int			status;
} AnswerInput;

typedef struct AnswerFeature
{
	const char *name;
	bool		is_plain;		/* what is joined is the answer, and its status is not asked for */
	int			input_count;
	AnswerInput *inputs;
	ExprState  *expression;		/* NULL: the one input is the value */
	ExprState  *cast;			/* to the type that it is to have, or NULL: it has */
	ExprState  *cast_back;		/* NULL: what a cast loses does not matter */
	FmgrInfo	equal;
	Oid			from_type;		/* of a cast */
	Oid			to_type;
	bool		has_default;
	Datum		default_value;
} AnswerFeature;

typedef struct AnswerTime
{
	int			input_count;
	AnswerInput *inputs;
} AnswerTime;

struct Answer
{
	const HistoricalRequest *request;
	JoinPipeline *join;
	int			feature_count;
	AnswerFeature *features;
	int			time_count;
	AnswerTime *times;
	FeatureStatus *statuses;
	ServiceColumn *names;		/* of the features, for their statuses */
	ExprContext *econtext;
	TupleTableSlot *joined;		/* the row, where expressions read it */
	bool		computes;		/* any of them does */
	const AnswerFeature *at_hand;
	EState	   *estate;
	MemoryContext row_context;	/* of what is computed */
};

/* Which columns of the joined row the columns of an expression's FROM clause stand for. */
typedef struct Replacement
{
	TupleDesc	joined;
	List	   *items;			/* of List of int: for each item of the clause, columns from 0 */
} Replacement;

/* A column of the joined row as an expression takes it. */
static Node *
joined_column(const Replacement *replacement, const Var *variable)
{
	List	   *columns = list_nth(replacement->items, variable->varno - 1);
	int			column = list_nth_int(columns, variable->varattno - 1);
	Form_pg_attribute attribute = TupleDescAttr(replacement->joined, column);
	Var		   *replaced = makeVar(1, column + 1, attribute->atttypid, attribute->atttypmod,
								   attribute->attcollation, 0);
	Node	   *coerced = coerce_to_target_type(NULL, (Node *) replaced, attribute->atttypid,
												variable->vartype, variable->vartypmod,
												COERCION_EXPLICIT, COERCE_IMPLICIT_CAST, -1);

	if (coerced == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_COERCE),
				 errmsg("cannot cast column \"%s\" of type %s to %s", NameStr(attribute->attname),
						format_type_be(attribute->atttypid), format_type_be(variable->vartype))));
	return coerced;
}

static Node *
replace_columns(Node *node, void *replacement)
{
	if (node == NULL)
		return NULL;
	if (IsA(node, Var))
		return joined_column(replacement, (Var *) node);
	return expression_tree_mutator(node, replace_columns, replacement);
}

/* "(SELECT NULL::type AS name, …) AS alias", one more item of a FROM clause. */
static void
append_item(StringInfo from, const char *columns, const char *alias)
{
	ItemListAppend(from, "(SELECT %s) AS %s", columns, quote_identifier(alias));
}

/* What lies under a domain will do: to make a value of one is to run its owner's code. */
static void
append_null(StringInfo columns, const char *type_name, const char *name)
{
	Oid			type;
	int32		typmod;

	parseTypeString(type_name, &type, &typmod, false);
	type = getBaseTypeAndTypmod(type, &typmod);
	ItemListAppend(columns, "NULL::%s AS %s",
				   format_type_extended(type, typmod,
										FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY),
				   quote_identifier(name));
}

static AnswerInput
place_input(const RequestInput *input)
{
	int			first = input->view->first_column;
	int			count = list_length(input->view->features);
	AnswerInput place = {first + input->position, first + count, first + count + 1};

	return place;
}

static AnswerInput *
place_inputs(const List *inputs, int *count)
{
	AnswerInput *places = palloc(list_length(inputs) * sizeof(AnswerInput));
	const ListCell *cell;

	*count = list_length(inputs);
	foreach(cell, inputs)
		places[foreach_current_index(cell)] = place_input(lfirst(cell));
	return places;
}

/* The FROM clause of an on-demand view's expressions, and what its columns stand for. */
static char *
from_inputs(const RequestFeature *feature, const AnswerInput *inputs, Replacement *replacement)
{
	const FeatureView *view = feature->feature->view;
	StringInfoData from;
	StringInfoData columns;
	List	   *aliases = NIL;
	ListCell   *cell;
	ListCell   *other;
	ListCell   *type;

	initStringInfo(&from);
	initStringInfo(&columns);
	foreach(cell, view->inputs)
	{
		Reference	input;

		ReferenceParse(lfirst(cell), &input);
		aliases = list_append_unique(aliases, makeString(input.name));
	}
	foreach(cell, aliases)
	{
		List	   *item = NIL;

		resetStringInfo(&columns);
		foreach(other, view->inputs)
		{
			int			number = foreach_current_index(other);
			Reference	input;

			ReferenceParse(lfirst(other), &input);
			if (strcmp(input.name, strVal(lfirst(cell))) != 0)
				continue;
			append_null(&columns, list_nth(feature->input_types, number), input.feature);
			item = lappend_int(item, inputs[number].value);
		}
		append_item(&from, columns.data, strVal(lfirst(cell)));
		replacement->items = lappend(replacement->items, item);
	}
	if (view->request_names != NIL)
	{
		List	   *item = NIL;

		resetStringInfo(&columns);
		forthree(cell, view->request_names, type, view->request_types, other, feature->request)
		{
			append_null(&columns, lfirst(type), lfirst(cell));
			item = lappend_int(item, lfirst_int(other) - 1);
		}
		append_item(&from, columns.data, REQUEST_ALIAS);
		replacement->items = lappend(replacement->items, item);
	}
	return from.data;
}

/*
 * What the registry has for an expression is taken apart once more: who can write its
 * tables must not have others run what he likes.
 */
static Node *
compile_expression(const HistoricalRequest *request, const RequestFeature *feature,
				   const AnswerInput *inputs)
{
	Replacement replacement = {request->joined, NIL};
	const ViewFeature *definition = feature->feature->feature;
	char	   *from = from_inputs(feature, inputs, &replacement);
	List	   *parsed = ExpressionsParse(psprintf("%s AS %s", definition->expression,
												   quote_identifier(definition->name)),
										  from, GetUserId());
	char	   *sql = psprintf("SELECT %s FROM %s", ((Expression *) linitial(parsed))->text, from);
	RawStmt    *statement = linitial_node(RawStmt, raw_parser(sql, RAW_PARSE_DEFAULT));
	Query	   *query = parse_analyze_fixedparams(statement, sql, NULL, 0, NULL);

	return replace_columns((Node *) linitial_node(TargetEntry, query->targetList)->expr,
						   &replacement);
}

/* A cast of what is in the expression context's case value. */
static ExprState *
make_cast(const char *feature, Oid from, int32 from_typmod, Oid to, int32 to_typmod)
{
	CaseTestExpr *value = makeNode(CaseTestExpr);
	Node	   *cast;

	value->typeId = from;
	value->typeMod = from_typmod;
	value->collation = get_typcollation(from);
	cast = coerce_to_target_type(NULL, (Node *) value, from, to, to_typmod, COERCION_EXPLICIT,
								 COERCE_EXPLICIT_CAST, -1);
	if (cast == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_CANNOT_COERCE),
				 errmsg("cannot cast feature \"%s\" of type %s to %s", feature,
						format_type_be(from), format_type_be(to))));
	return ExecInitExpr(expression_planner((Expr *) cast), NULL);
}

/* A value that is of another type than the feature had when it was pinned. */
static void
prepare_cast(AnswerFeature *feature, Oid from, int32 from_typmod, Oid to, int32 to_typmod)
{
	TypeCacheEntry *types;

	from = getBaseTypeAndTypmod(from, &from_typmod);
	if (from == to && (to_typmod == -1 || to_typmod == from_typmod))
		return;
	feature->from_type = from;
	feature->to_type = to;
	feature->cast = make_cast(feature->name, from, from_typmod, to, to_typmod);
	/* To a float it may change: that is what the types are like. */
	types = lookup_type_cache(from, TYPECACHE_EQ_OPR_FINFO);
	if (to == FLOAT4OID || to == FLOAT8OID || !OidIsValid(types->eq_opr))
		return;
	feature->cast_back = make_cast(feature->name, to, to_typmod, from, from_typmod);
	fmgr_info_copy(&feature->equal, &types->eq_opr_finfo, CurrentMemoryContext);
}

static void
prepare_feature(Answer *answer, int number)
{
	const HistoricalRequest *request = answer->request;
	const RequestFeature *asked = list_nth(request->features, number);
	Form_pg_attribute column = TupleDescAttr(request->columns,
											 request->join.spine_columns->natts + number);
	AnswerFeature *feature = &answer->features[number];
	Oid			type;
	int32		typmod;

	feature->name = asked->feature->output_name;
	feature->inputs = place_inputs(asked->inputs, &feature->input_count);
	answer->names[number].name = asked->feature->output_name;
	if (strcmp(asked->feature->view->kind, "on_demand") == 0)
	{
		Node	   *expression = compile_expression(request, asked, feature->inputs);

		type = exprType(expression);
		typmod = exprTypmod(expression);
		feature->expression = ExecInitExpr(expression_planner((Expr *) expression), NULL);
	}
	else
	{
		Form_pg_attribute joined = TupleDescAttr(request->joined, feature->inputs->value);

		type = joined->atttypid;
		typmod = joined->atttypmod;
	}
	prepare_cast(feature, type, typmod, column->atttypid, column->atttypmod);
	if (asked->feature->default_value != NULL)
	{
		TypeInput	input;

		TypeInputInit(&input, column->atttypid, column->atttypmod, CurrentMemoryContext);
		feature->default_value = TypeInputCall(&input, pstrdup(asked->feature->default_value));
		feature->has_default = true;
	}
	answer->computes |= feature->expression != NULL || feature->cast != NULL;
	feature->is_plain = feature->expression == NULL && feature->cast == NULL &&
		!feature->has_default && !request->with_status;
}

static Datum
evaluate(Answer *answer, ExprState *expression, bool *is_null)
{
	return ExecEvalExprSwitchContext(expression, answer->econtext, is_null);
}

static Datum
cast_value(Answer *answer, const AnswerFeature *feature, Datum value, bool *is_null)
{
	ExprContext *econtext = answer->econtext;
	Datum		result;
	Datum		back;
	bool		back_is_null;

	econtext->caseValue_datum = value;
	econtext->caseValue_isNull = false;
	result = evaluate(answer, feature->cast, is_null);
	if (feature->cast_back == NULL || *is_null)
		return result;
	econtext->caseValue_datum = result;
	back = evaluate(answer, feature->cast_back, &back_is_null);
	if (back_is_null ||
		!DatumGetBool(FunctionCall2Coll(unconstify(FmgrInfo *, &feature->equal),
										DEFAULT_COLLATION_OID, value, back)))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("value of feature \"%s\" does not fit its type %s", feature->name,
						format_type_be(feature->to_type)),
				 errdetail("The feature is of type %s now.", format_type_be(feature->from_type))));
	return result;
}

static FeatureStatus
input_status(const AnswerInput *input, const Datum *values, const bool *nulls)
{
	switch ((JoinStatus) DatumGetInt32(values[input->status]))
	{
		case JOIN_NOT_FOUND:
			return FEATURE_NOT_FOUND;
		case JOIN_OUTSIDE_MAX_AGE:
			return FEATURE_OUTSIDE_MAX_AGE;
		case JOIN_INCOMPLETE:
			return FEATURE_INCOMPLETE;
		case JOIN_PRESENT:
			break;
	}
	return nulls[input->value] ? FEATURE_NULL_VALUE : FEATURE_PRESENT;
}

/* A computed value is there, or it lacks what its inputs lack. */
static FeatureStatus
status_of(const AnswerFeature *feature, bool is_null, const Datum *values, const bool *nulls)
{
	FeatureStatus status = FEATURE_NULL_VALUE;

	if (feature->expression == NULL)
		return input_status(feature->inputs, values, nulls);
	if (!is_null)
		return FEATURE_PRESENT;
	for (int i = 0; i < feature->input_count; i++)
		status = Min(status, input_status(&feature->inputs[i], values, nulls));
	return status;
}

static void
answer_feature(Answer *answer, int number, const Datum *values, const bool *nulls, Datum *value,
			   bool *is_null)
{
	const AnswerFeature *feature = &answer->features[number];

	answer->at_hand = feature;
	if (feature->expression != NULL)
		*value = evaluate(answer, feature->expression, is_null);
	else
	{
		*value = values[feature->inputs->value];
		*is_null = nulls[feature->inputs->value];
	}
	answer->statuses[number] = status_of(feature, *is_null, values, nulls);
	if (feature->cast != NULL && !*is_null)
		*value = cast_value(answer, feature, *value, is_null);
	if (feature->has_default && answer->statuses[number] < FEATURE_NULL_VALUE)
	{
		*value = feature->default_value;
		*is_null = false;
	}
	answer->at_hand = NULL;
}

/* Of what several are: the oldest, as what was computed from them is as old. */
static void
answer_time(const AnswerTime *time, const Datum *values, const bool *nulls, Datum *value,
			bool *is_null)
{
	*is_null = true;
	for (int i = 0; i < time->input_count; i++)
	{
		int			column = time->inputs[i].event_time;

		if (nulls[column] ||
			(!*is_null && DatumGetTimestampTz(values[column]) >= DatumGetTimestampTz(*value)))
			continue;
		*value = values[column];
		*is_null = false;
	}
}

/* Make a joined row an answer. */
static void
answer_row(Answer *answer, const Datum *joined, const bool *joined_nulls, Datum *values,
		   bool *nulls)
{
	const HistoricalRequest *request = answer->request;
	int			column = request->join.spine_columns->natts;

	memcpy(values, joined, column * sizeof(Datum));
	memcpy(nulls, joined_nulls, column * sizeof(bool));
	if (answer->computes)
	{
		ExecClearTuple(answer->joined);
		memcpy(answer->joined->tts_values, joined, request->joined->natts * sizeof(Datum));
		memcpy(answer->joined->tts_isnull, joined_nulls, request->joined->natts * sizeof(bool));
		ExecStoreVirtualTuple(answer->joined);
	}
	for (int i = 0; i < answer->feature_count; i++, column++)
	{
		const AnswerFeature *feature = &answer->features[i];

		if (feature->is_plain)
		{
			values[column] = joined[feature->inputs->value];
			nulls[column] = joined_nulls[feature->inputs->value];
		}
		else
			answer_feature(answer, i, joined, joined_nulls, &values[column], &nulls[column]);
	}
	for (int i = 0; i < answer->time_count; i++, column++)
		answer_time(&answer->times[i], joined, joined_nulls, &values[column], &nulls[column]);
	if (request->with_status)
	{
		Jsonb	   *status = FeatureStatusObject(answer->names, answer->feature_count,
												 answer->statuses);

		values[column] = PointerGetDatum(status);
		nulls[column] = status == NULL;
	}
}

static void
name_feature(void *argument)
{
	const Answer *answer = argument;

	if (answer->at_hand != NULL)
		errcontext("feature \"%s\"", answer->at_hand->name);
}

Answer *
AnswerBegin(const HistoricalRequest *request, JoinReport *report)
{
	Answer	   *answer = palloc0(sizeof(Answer));
	ErrorContextCallback callback = {error_context_stack, name_feature, answer};
	ListCell   *cell;

	answer->request = request;
	answer->estate = CreateExecutorState();
	answer->feature_count = list_length(request->features);
	answer->features = palloc0(answer->feature_count * sizeof(AnswerFeature));
	answer->names = palloc0(answer->feature_count * sizeof(ServiceColumn));
	answer->statuses = palloc(answer->feature_count * sizeof(FeatureStatus));
	answer->time_count = list_length(request->times);
	answer->times = palloc(answer->time_count * sizeof(AnswerTime));
	answer->econtext = GetPerTupleExprContext(answer->estate);
	answer->joined = MakeSingleTupleTableSlot(request->joined, &TTSOpsVirtual);
	answer->econtext->ecxt_scantuple = answer->joined;
	answer->row_context = AllocSetContextCreate(CurrentMemoryContext, "venice answer",
												ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < answer->feature_count; i++)
		prepare_feature(answer, i);
	foreach(cell, request->times)
	{
		AnswerTime *time = &answer->times[foreach_current_index(cell)];

		time->inputs = place_inputs(((RequestTime *) lfirst(cell))->inputs, &time->input_count);
	}
	error_context_stack = &callback;
	answer->join = JoinBegin(&request->join, report);
	error_context_stack = callback.previous;
	return answer;
}

bool
AnswerNext(Answer *answer, Datum *values, bool *nulls)
{
	ErrorContextCallback callback = {error_context_stack, name_feature, answer};
	const Datum *joined;
	const bool *joined_nulls;
	MemoryContext old;
	bool		is_row;

	error_context_stack = &callback;
	MemoryContextReset(answer->row_context);
	if (answer->computes)
		ResetExprContext(answer->econtext);
	is_row = JoinNext(answer->join, &joined, &joined_nulls);
	if (is_row)
	{
		old = MemoryContextSwitchTo(answer->row_context);
		answer_row(answer, joined, joined_nulls, values, nulls);
		MemoryContextSwitchTo(old);
	}
	error_context_stack = callback.previous;
	return is_row;
}

void
AnswerEnd(Answer *answer)
{
	JoinEnd(answer->join);
	ExecDropSingleTupleTableSlot(answer->joined);
	FreeExecutorState(answer->estate);
	MemoryContextDelete(answer->row_context);
	pfree(answer);
}

void
AnswerRun(const HistoricalRequest *request, AnswerReceiver receive, void *state,
		  JoinReport *report)
{
	Answer	   *answer = AnswerBegin(request, report);
	Datum	   *values = palloc(request->columns->natts * sizeof(Datum));
	bool	   *nulls = palloc(request->columns->natts * sizeof(bool));

	while (AnswerNext(answer, values, nulls))
	{
		MemoryContext old = MemoryContextSwitchTo(answer->row_context);

		receive(state, values, nulls);
		MemoryContextSwitchTo(old);
	}
	AnswerEnd(answer);
	pfree(values);
	pfree(nulls);
}
