/*-------------------------------------------------------------------------
 *
 * historical.c
 *		The functions that answer what features were: get_historical_features and
 *		its like.
 *
 * The columns of an answer follow from the arguments, so that PostgreSQL has to be
 * told them; historical_features_query writes the query that does.
 *
 * Locks: those of the spine's query, and of reading histories.
 * Must not know: how rows are found, or what is computed from them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/historical.h"

#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/tuplestore.h"

#include "offline/answer.h"
#include "registry/view.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_get_historical_features);
PG_FUNCTION_INFO_V1(venice_historical_features_query);
PG_FUNCTION_INFO_V1(venice_explain_historical_features);

HistoricalRequest *
HistoricalRequestOfCall(FunctionCallInfo fcinfo)
{
	char	   *spine = ArgumentText(fcinfo, 0, "spine", true);
	char	   *event_time = ArgumentText(fcinfo, 2, "event_time", true);
	Jsonb	   *options = ArgumentOptions(fcinfo, 3);

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("features must not be null")));
	return HistoricalRequestMake(spine, TextArrayList(PG_GETARG_ARRAYTYPE_P(1)), event_time,
								 options);
}

/* Is what the caller expects what there is?  A type modifier of his is not applied. */
static bool
fits(TupleDesc expected, TupleDesc columns)
{
	if (expected->natts != columns->natts)
		return false;
	for (int i = 0; i < columns->natts; i++)
	{
		Form_pg_attribute wanted = TupleDescAttr(expected, i);
		Form_pg_attribute column = TupleDescAttr(columns, i);

		if (wanted->atttypid != column->atttypid ||
			(wanted->atttypmod != -1 && wanted->atttypmod != column->atttypmod))
			return false;
	}
	return true;
}

void
HistoricalColumnsCheck(const HistoricalRequest *request, TupleDesc expected)
{
	if (!fits(expected, request->columns))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column definition list does not fit the features"),
				 errhint("Write AS name(%s).", HistoricalRequestColumns(request))));
}

static void
put_row(void *state, const Datum *values, const bool *nulls)
{
	ReturnSetInfo *result = state;

	tuplestore_putvalues(result->setResult, result->setDesc, unconstify(Datum *, values),
						 unconstify(bool *, nulls));
}

/*
 * venice_get_historical_features
 *		get_historical_features(spine, features, event_time, options): a row for each
 *		of the spine, with what the features were at its event time.
 *
 * Where the planner cannot put a HistoricalScan in its place.
 */
Datum
venice_get_historical_features(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HistoricalRequest *request;

	if (result == NULL || !IsA(result, ReturnSetInfo) || result->expectedDesc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("get_historical_features needs a column definition list"),
				 errhint("Have venice.historical_features_query write the query, and run that with \\gexec, COPY or CREATE TABLE AS.")));
	request = HistoricalRequestOfCall(fcinfo);
	HistoricalColumnsCheck(request, result->expectedDesc);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	AnswerRun(request, put_row, result, NULL);
	return (Datum) 0;
}

/*
 * venice_historical_features_query
 *		The same arguments: the query that calls get_historical_features with them.
 */
Datum
venice_historical_features_query(PG_FUNCTION_ARGS)
{
	HistoricalRequest *request = HistoricalRequestOfCall(fcinfo);
	Jsonb	   *options = ArgumentOptions(fcinfo, 3);
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfo(&query, "SELECT * FROM venice.get_historical_features(%s, ",
					 quote_literal_cstr(request->join.spine));
	appendStringInfo(&query, "%s::text[], ",
					 quote_literal_cstr(OidOutputFunctionCall(F_ARRAY_OUT, PG_GETARG_DATUM(1))));
	appendStringInfo(&query, "%s, ",
					 quote_literal_cstr(ArgumentText(fcinfo, 2, "event_time", true)));
	appendStringInfo(&query, "%s::jsonb) AS historical_features(%s)",
					 quote_literal_cstr(JsonbToCString(NULL, &options->root, VARSIZE(options))),
					 HistoricalRequestColumns(request));
	PG_RETURN_TEXT_P(cstring_to_text_with_len(query.data, query.len));
}

static void
put_line(ReturnSetInfo *result, const char *line)
{
	Datum		value = CStringGetTextDatum(line);
	bool		is_null = false;

	tuplestore_putvalues(result->setResult, result->setDesc, &value, &is_null);
}

static char *
describe_cost(double cost)
{
	return cost < 0 ? pstrdup("impossible") : psprintf("%.2f", cost);
}

static void
put_step(ReturnSetInfo *result, const JoinStep *step)
{
	if (strcmp(step->plan, "pruned") == 0)
	{
		put_line(result, psprintf("    %s: pruned", step->relation));
		return;
	}
	put_line(result, psprintf("    %s: %s%s%s", step->relation, step->plan,
							  step->index != NULL ? " using " : "",
							  step->index != NULL ? step->index : ""));
	put_line(result, psprintf("      Cost: probe %s, merge %s", describe_cost(step->probe_cost),
							  describe_cost(step->merge_cost)));
	put_line(result, psprintf("      Descents: " INT64_FORMAT "  Index Entries: " INT64_FORMAT
							  "  Rows: " INT64_FORMAT, step->descents, step->entries_read,
							  step->rows_read));
}

static void
drop_row(void *state, const Datum *values, const bool *nulls)
{
}

/*
 * venice_explain_historical_features
 *		The same arguments: how the rows are found, which are, and thrown away.
 */
Datum
venice_explain_historical_features(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	HistoricalRequest *request = HistoricalRequestOfCall(fcinfo);
	JoinReport	report = {0};
	const char *view = NULL;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	AnswerRun(request, drop_row, NULL, &report);
	put_line(result, "Point-in-Time Join");
	put_line(result, psprintf("  Spine Rows: " INT64_FORMAT "  Sorts: " INT64_FORMAT
							  "  Spilled: " INT64_FORMAT "kB  Batches: " INT64_FORMAT
							  "  Workers: %d", report.spine_rows, report.sorts, report.spilled_kb,
							  report.batches, report.workers));
	foreach(cell, report.steps)
	{
		const JoinStep *step = lfirst(cell);

		if (view == NULL || strcmp(view, step->view) != 0)
			put_line(result, psprintf("  View: %s", step->view));
		view = step->view;
		put_step(result, step);
	}
	return (Datum) 0;
}
