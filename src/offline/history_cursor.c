/*-------------------------------------------------------------------------
 *
 * history_cursor.c
 *		The rows of a history in the order of keys and time.
 *
 * It is a query, so that the planner finds the way: along an index, by a merge of
 * partitions, or a sort that spills.  The range of times is given on the column as
 * it is, for partitions and indexes.
 *
 * Locks: AccessShareLock on the relation, to the end of the transaction.
 * Must not know: what the rows are for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/history_cursor.h"

#include "catalog/pg_type.h"
#include "common/int.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/timestamp.h"

#include "offline/select.h"

struct HistoryCursor
{
	SelectCursor *select;
	int			key_count;		/* of the key that is asked for; 0: it is not asked for one */
	Oid		   *types;			/* of the parameters */
	ParamListInfo params;
};

/* Qualified and quoted. */
static char *
relation_name(const HistorySource *source)
{
	const char *schema = get_namespace_name(get_rel_namespace(source->relation));
	const char *name = get_rel_name(source->relation);

	if (schema == NULL || name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", source->relation)));
	return quote_qualified_identifier(schema, name);
}

/* A time as timestamptz; a column that is one stays itself, for the indexes. */
static char *
time_expression(const HistorySource *source, const char *column)
{
	char	   *name = psprintf("%s.%s", quote_identifier(source->alias), quote_identifier(column));
	Oid			type = get_atttype(source->relation, get_attnum(source->relation, column));

	if (type == TIMESTAMPTZOID)
		return name;
	if (source->time_zone != NULL && type == TIMESTAMPOID)
		return psprintf("%s AT TIME ZONE %s", name, quote_literal_cstr(source->time_zone));
	return psprintf("%s::pg_catalog.timestamptz", name);
}

char *
HistoryQuery(const HistorySource *source, const List *expressions)
{
	const char *alias = quote_identifier(source->alias);
	StringInfoData sql;
	const ListCell *cell;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	foreach(cell, source->key_columns)
		appendStringInfo(&sql, "%s.%s, ", alias, quote_identifier(lfirst(cell)));
	appendStringInfoString(&sql, time_expression(source, source->event_time));
	if (source->created_time != NULL)
		appendStringInfo(&sql, ", %s", time_expression(source, source->created_time));
	else
		appendStringInfoString(&sql, ", NULL::pg_catalog.timestamptz");
	if (source->deleted != NULL)
		appendStringInfo(&sql, ", COALESCE(%s.%s, false)", alias,
						 quote_identifier(source->deleted));
	else
		appendStringInfoString(&sql, ", false");
	foreach(cell, expressions)
		appendStringInfo(&sql, ", %s", (char *) lfirst(cell));
	appendStringInfo(&sql, " FROM %s AS %s", relation_name(source), alias);
	return sql.data;
}

/*
 * Where clocks are put back and forth, the order of local times is not that of times:
 * for indexes and partitions two days more on either side, which is more than any zone is off.
 */
static void
append_range(StringInfo sql, const HistorySource *source, const char *operator, int parameter)
{
	const char *alias = quote_identifier(source->alias);
	const char *column = quote_identifier(source->event_time);
	Oid			type = get_atttype(source->relation,
								   get_attnum(source->relation, source->event_time));

	appendStringInfo(sql, " AND (%s) OPERATOR(pg_catalog.%s) $%d",
					 time_expression(source, source->event_time), operator, parameter);
	if (type == TIMESTAMPOID)
		appendStringInfo(sql, " AND %s.%s OPERATOR(pg_catalog.%s) $%d", alias, column, operator,
						 parameter + 2);
}

static TimestampTz
shifted(TimestampTz time, int64 us)
{
	TimestampTz result;

	if (TIMESTAMP_NOT_FINITE(time) || pg_add_s64_overflow(time, us, &result) ||
		!IS_VALID_TIMESTAMP(result))
		return us < 0 ? DT_NOBEGIN : DT_NOEND;
	return result;
}

/* Parameters of the query: the range of times, as points in time and as local times, then keys. */
enum
{
	PARAM_FROM,
	PARAM_TO,
	PARAM_LOCAL_FROM,
	PARAM_LOCAL_TO,
	PARAM_KEYS
};

static void
set_param(HistoryCursor *cursor, int param, Datum value, bool is_known)
{
	ParamExternData *data = &cursor->params->params[param];

	data->value = value;
	data->isnull = !is_known;
	data->pflags = is_known ? PARAM_FLAG_CONST : 0;
	data->ptype = cursor->types[param];
}

static HistoryCursor *
prepare(const HistorySource *source, const List *expressions, TimestampTz from, TimestampTz to,
		bool newest_first, bool is_keyed, const HistoryKey *keys)
{
	HistoryCursor *cursor = palloc0(sizeof(HistoryCursor));
	const char *alias = quote_identifier(source->alias);
	const char *direction = newest_first ? "DESC NULLS LAST" : "ASC NULLS FIRST";
	int			column_count = list_length(source->key_columns);
	int			key_count = is_keyed ? column_count : 0;
	StringInfoData sql;
	const ListCell *cell;
	int			i;

	cursor->key_count = key_count;
	cursor->types = palloc(sizeof(Oid) * (PARAM_KEYS + key_count));
	cursor->types[PARAM_FROM] = cursor->types[PARAM_TO] = TIMESTAMPTZOID;
	cursor->types[PARAM_LOCAL_FROM] = cursor->types[PARAM_LOCAL_TO] = TIMESTAMPOID;
	for (i = 0; i < key_count; i++)
		cursor->types[PARAM_KEYS + i] = keys[i].type;
	cursor->params = makeParamList(PARAM_KEYS + key_count);
	set_param(cursor, PARAM_FROM, TimestampTzGetDatum(from), true);
	set_param(cursor, PARAM_LOCAL_FROM, TimestampTzGetDatum(shifted(from, -2 * USECS_PER_DAY)),
			  true);
	set_param(cursor, PARAM_TO, TimestampTzGetDatum(to), !is_keyed);
	set_param(cursor, PARAM_LOCAL_TO, TimestampTzGetDatum(shifted(to, 2 * USECS_PER_DAY)),
			  !is_keyed);
	for (i = 0; i < key_count; i++)
		set_param(cursor, PARAM_KEYS + i, (Datum) 0, false);

	initStringInfo(&sql);
	appendStringInfoString(&sql, HistoryQuery(source, expressions));
	appendStringInfo(&sql, " WHERE %s.%s IS NOT NULL", alias, quote_identifier(source->event_time));
	if (!TIMESTAMP_IS_NOBEGIN(from))
		append_range(&sql, source, ">=", PARAM_FROM + 1);
	if (!TIMESTAMP_IS_NOEND(to))
		append_range(&sql, source, "<=", PARAM_TO + 1);
	foreach(cell, source->key_columns)
	{
		char	   *column = psprintf("%s.%s", alias, quote_identifier(lfirst(cell)));

		i = foreach_current_index(cell);
		appendStringInfoString(&sql, " AND ");
		if (!is_keyed)
			appendStringInfo(&sql, "%s IS NOT NULL", column);
		else
			generate_operator_clause(&sql, column, keys[i].column_type, keys[i].equal,
									 psprintf("$%d", PARAM_KEYS + 1 + i), keys[i].type);
	}
	appendStringInfoString(&sql, " ORDER BY ");
	for (i = 1; !is_keyed && i <= column_count; i++)
		appendStringInfo(&sql, "%d, ", i);

	/* The nulls' place of the event time, which has none, is the index's. */
	appendStringInfo(&sql, "%d %s", column_count + 1, newest_first ? "DESC" : "ASC");
	if (source->created_time != NULL)
		appendStringInfo(&sql, ", %d %s", column_count + 2, direction);
	if (source->arrival != NULL)
		appendStringInfo(&sql, ", %s.%s %s", alias, quote_identifier(source->arrival),
						 newest_first ? "DESC" : "ASC");
	cursor->select = SelectPrepare(SelectAnalyze(sql.data, "history", cursor->types,
												 PARAM_KEYS + key_count), sql.data, cursor->params);
	return cursor;
}

HistoryCursor *
HistoryCursorOpen(const HistorySource *source, List *expressions, TimestampTz from,
				  TimestampTz to, bool newest_first)
{
	HistoryCursor *cursor = prepare(source, expressions, from, to, newest_first, false, NULL);

	SelectStart(cursor->select, cursor->params);
	return cursor;
}

HistoryCursor *
HistoryCursorOpenKeyed(const HistorySource *source, List *expressions, TimestampTz from,
					   bool newest_first, const HistoryKey *keys)
{
	return prepare(source, expressions, from, 0, newest_first, true, keys);
}

void
HistoryCursorSeek(HistoryCursor *cursor, const Datum *keys, TimestampTz to)
{
	int			i;

	set_param(cursor, PARAM_TO, TimestampTzGetDatum(to), true);
	set_param(cursor, PARAM_LOCAL_TO, TimestampTzGetDatum(shifted(to, 2 * USECS_PER_DAY)), true);
	for (i = 0; i < cursor->key_count; i++)
		set_param(cursor, PARAM_KEYS + i, keys[i], true);
	SelectStart(cursor->select, cursor->params);
}

double
HistoryCursorCost(const HistoryCursor *cursor)
{
	return SelectCost(cursor->select);
}

TupleDesc
HistoryCursorColumns(HistoryCursor *cursor)
{
	return SelectColumns(cursor->select);
}

TupleTableSlot *
HistoryCursorNext(HistoryCursor *cursor)
{
	return SelectNext(cursor->select);
}

void
HistoryCursorClose(HistoryCursor *cursor)
{
	SelectClose(cursor->select);
	pfree(cursor);
}
