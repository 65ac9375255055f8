/*-------------------------------------------------------------------------
 *
 * history.c
 *		The past of a store: <store>_history.rows.
 *
 * An ordinary table of the store's owner, partitioned by event time, in a schema that
 * no swap renames: what was true of a key from when on.  Nothing in the registry says
 * that there is one; its name and its owner do, so that a restored one is there at once
 * and somebody else's is none.
 *
 * A batch store has no events: how a version differs from the one that it takes the
 * place of is what has happened.  It is appended in the transaction of the swap, before
 * the swap takes any lock, as the store's owner.  After it, what is newest in the history
 * is what the store answers: a value that does not go by its own event time to the newest
 * place of its key goes there by the time of the swap.
 *
 * A row without a partition goes to the default one, from where maintenance moves it:
 * here nothing makes a partition, which would keep readers waiting for the transaction.
 *
 * Locks: StoreLock by the callers; those of DDL and of INSERT on the history.  Who is
 * about to lock the whole of it takes ShareUpdateExclusiveLock first, and so waits for
 * who rewrites a partition while readers still go on.
 * Must not know: how partitions are moved, rewritten and retired; what a view is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/history.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_type.h"
#include "commands/schemacmds.h"
#include "commands/tablecmds.h"
#include "commands/tablespace.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/ruleutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"

#include "catalog/pointer.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/user_context.h"
#include "version/layout.h"
#include "version/streams.h"

#define HISTORY_SUFFIX "_history"

/* Columns of this many bytes in all go into the index, so that a look-up needs no more. */
#define INCLUDED_BYTES_MAX	256

#define PERIOD_MIN_US	USECS_PER_HOUR

/* Weeks begin on Mondays: the first of 2000. */
#define PERIOD_ORIGIN	(2 * USECS_PER_DAY)

Oid
HistorySchema(const Store *store)
{
	Oid			schema = get_namespace_oid(psprintf("%s" HISTORY_SUFFIX, store->name), true);

	return OidIsValid(schema) && SchemaOwner(schema) == store->owner ? schema : InvalidOid;
}

Oid
HistoryRelation(const Store *store)
{
	Oid			schema = HistorySchema(store);
	Oid			rows;

	if (!OidIsValid(schema))
		return InvalidOid;
	rows = get_relname_relid("rows", schema);
	return OidIsValid(rows) && get_rel_relkind(rows) == RELKIND_PARTITIONED_TABLE ? rows :
		InvalidOid;
}

Oid
HistoryLog(const Store *store)
{
	Oid			schema = HistorySchema(store);

	return OidIsValid(schema) ? get_relname_relid("log", schema) : InvalidOid;
}

Oid
HistoryOutbox(const Store *store)
{
	Oid			schema = HistorySchema(store);
	Oid			outbox = OidIsValid(schema) ? get_relname_relid("outbox", schema) : InvalidOid;

	return OidIsValid(outbox) && get_rel_relkind(outbox) == RELKIND_RELATION ? outbox : InvalidOid;
}

char *
HistoryColumn(Oid history, const char *name)
{
	char	   *other = psprintf("_%s", name);

	return get_attnum(history, other) != InvalidAttrNumber ? other : pstrdup(name);
}

static char *
history_schema(const Store *store)
{
	return pstrdup(quote_identifier(psprintf("%s" HISTORY_SUFFIX, store->name)));
}

static void
refuse_interval(const char *option, const Interval *value, const char *wanted)
{
	char	   *text = DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(value)));

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", option, text),
			 errhint("It takes %s.", wanted)));
}

void
HistoryCheckOptions(const StoreOptions *options)
{
	const Interval *width = &options->history_partition;
	const Interval *retention = options->history_retention;
	Interval	zero = {0};

	if (width->month > 0 ? width->day != 0 || width->time != 0 :
		width->day * USECS_PER_DAY + width->time < PERIOD_MIN_US)
		refuse_interval("history_partition", width,
						"whole months, or a number of days and hours, of at least one hour");
	if (retention != NULL &&
		!DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(retention),
										  IntervalPGetDatum(&zero))))
		refuse_interval("history_retention", retention, "an interval that is positive");
}

/* Midnight, in UTC, of the first day of a month, counted from the year 0. */
static TimestampTz
month_start(int month)
{
	return (date2j(month / MONTHS_PER_YEAR, month % MONTHS_PER_YEAR + 1, 1) -
			POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
}

static int
month_of(TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fraction;

	if (timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("timestamp out of range")));
	return tm.tm_year * MONTHS_PER_YEAR + tm.tm_mon - 1;
}

TimestampTz
HistoryPeriodStart(const Interval *width, TimestampTz time)
{
	int64		width_us = width->day * USECS_PER_DAY + width->time;
	int64		offset;

	if (width->month > 0)
		return month_start(month_of(time) / width->month * width->month);
	offset = (time - PERIOD_ORIGIN) % width_us;
	return time - (offset < 0 ? offset + width_us : offset);
}

TimestampTz
HistoryPeriodEnd(const Interval *width, TimestampTz start)
{
	return width->month > 0 ? month_start(month_of(start) + width->month) :
		start + width->day * USECS_PER_DAY + width->time;
}

/* The same text, and the same instant, whatever the session's time zone and date style. */
static char *
utc_text(TimestampTz time, const char *format)
{
	struct pg_tm tm;
	fsec_t		fraction;

	(void) timestamp2tm(time, NULL, &tm, &fraction, NULL, NULL);
	return psprintf(format, tm.tm_year, tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

/* Where no tablespace is named the database's is meant; to the end of the query session. */
static void
pin_tablespace(void)
{
	(void) set_config_option("default_tablespace", "", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

/* "TABLESPACE x"; nothing for the database's, which cannot be said of a partitioned table. */
static char *
tablespace_clause(Oid tablespace)
{
	return OidIsValid(tablespace) && tablespace != MyDatabaseTableSpace ?
		psprintf(" TABLESPACE %s", quote_identifier(get_tablespace_name(tablespace))) : pstrdup("");
}

/* It says what it will hold, so that nobody has to look when it is attached. */
#define BOUNDS_CONSTRAINT "rows_bounds"

static char *
instant(TimestampTz time)
{
	return utc_text(time, "'%04d-%02d-%02d %02d:%02d:%02d+00'");
}

Oid
HistoryPartitionMake(Oid history, TimestampTz start, TimestampTz end)
{
	Oid			schema = get_rel_namespace(history);
	const char *event_time = quote_identifier(HistoryColumn(history, "event_time"));
	char	   *name = utc_text(start, start % USECS_PER_DAY == 0 ? "rows_%04d%02d%02d" :
								"rows_%04d%02d%02d_%02d%02d%02d");
	char	   *free = name;
	int			number = 0;

	while (OidIsValid(get_relname_relid(free, schema)))
		free = psprintf("%s_%d", name, ++number);
	pin_tablespace();
	QueryRunf("CREATE TABLE %s (LIKE %s INCLUDING DEFAULTS INCLUDING STORAGE INCLUDING COMPRESSION, "
			  "CONSTRAINT " BOUNDS_CONSTRAINT " CHECK (%s >= %s AND %s < %s))%s",
			  quote_qualified_identifier(get_namespace_name(schema), free), QualifiedName(history),
			  event_time, instant(start), event_time, instant(end),
			  tablespace_clause(get_rel_tablespace(history)));
	return get_relname_relid(free, schema);
}

void
HistoryPartitionAttach(Oid history, Oid table, TimestampTz start, TimestampTz end)
{
	QueryRunf("ALTER TABLE %s ATTACH PARTITION %s FOR VALUES FROM (%s) TO (%s)",
			  QualifiedName(history), QualifiedName(table), instant(start), instant(end));
	QueryRunf("ALTER TABLE %s DROP CONSTRAINT " BOUNDS_CONSTRAINT, QualifiedName(table));
}

static char *
type_name(Oid type, int32 modifier)
{
	return format_type_extended(type, modifier,
								FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
}

/* Of a domain its base type: a row that says that a key is gone has NULLs. */
static char *
history_type(const StoreColumn *column)
{
	Oid			type;
	int32		modifier;

	parseTypeString(column->type_name, &type, &modifier, false);
	type = getBaseTypeAndTypmod(type, &modifier);
	return type_name(type, modifier);
}

static bool
is_value(const StoreColumn *column)
{
	return !column->is_key && strcmp(column->name, EVENT_TIME_COLUMN) != 0;
}

static char *
free_name(const Store *store, const char *name)
{
	ListCell   *cell;

	foreach(cell, store->columns)
		if (strcmp(((StoreColumn *) lfirst(cell))->name, name) == 0)
			return psprintf("_%s", name);
	return pstrdup(name);
}

/* The columns of the index that are there to be read only. */
static char *
included_columns(const Store *store)
{
	StringInfoData list;
	int			bytes = 0;
	int			count = store->key_count + 4;
	ListCell   *cell;

	initStringInfo(&list);
	appendStringInfoString(&list, "_deleted");
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		Oid			type;
		int32		modifier;

		if (!is_value(column))
			continue;
		parseTypeString(column->type_name, &type, &modifier, false);
		if (get_typlen(type) <= 0 || bytes + get_typlen(type) > INCLUDED_BYTES_MAX ||
			++count > INDEX_MAX_KEYS)
			break;
		bytes += get_typlen(type);
		ItemListAppend(&list, "%s", quote_identifier(column->name));
	}
	return list.data;
}

static void
create_tables(const Store *store)
{
	const char *schema = history_schema(store);
	const char *event_time = free_name(store, "event_time");
	const char *created_time = free_name(store, "created_time");
	const char *arrival = free_name(store, "arrival");
	const Interval *width = &store->options->history_partition;
	TimestampTz start = HistoryPeriodStart(width, GetCurrentTimestamp());
	Oid			history;
	StringInfoData columns;
	ListCell   *cell;

	initStringInfo(&columns);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		if (column->is_key || is_value(column))
			appendStringInfo(&columns, "%s %s%s, ", quote_identifier(column->name),
							 history_type(column), column->is_key ? " NOT NULL" : "");
	}
	pin_tablespace();
	QueryRunf("CREATE TABLE %s.rows (%s%s pg_catalog.timestamptz NOT NULL, "
			  "%s pg_catalog.timestamptz DEFAULT pg_catalog.clock_timestamp(), "
			  "%s pg_catalog.int8 NOT NULL DEFAULT venice_internal.next_arrival(), "
			  "_deleted pg_catalog.bool NOT NULL DEFAULT false) PARTITION BY RANGE (%s)%s",
			  schema, columns.data, event_time, created_time, arrival, event_time,
			  tablespace_clause(store->options->tablespace == NULL ? InvalidOid :
								get_tablespace_oid(store->options->tablespace, false)));
	QueryRunf("COMMENT ON TABLE %s.rows IS 'What was true of each key from when on. Rows may be added with INSERT.'",
			  schema);
	QueryRunf("CREATE INDEX rows_as_of ON %s.rows (%s, %s DESC, %s DESC NULLS LAST, %s DESC) INCLUDE (%s)",
			  schema, KeyColumnList(store, ""), event_time, created_time, arrival, included_columns(store));
	QueryRunf("CREATE INDEX rows_event_time ON %s.rows USING brin (%s)", schema, event_time);
	QueryRunf("CREATE TABLE %s.rows_default PARTITION OF %s.rows DEFAULT", schema, schema);
	history = HistoryRelation(store);
	for (int ahead = 0; ahead <= HISTORY_PERIODS_AHEAD; ahead++)
	{
		TimestampTz end = HistoryPeriodEnd(width, start);

		HistoryPartitionAttach(history, HistoryPartitionMake(history, start, end), start, end);
		start = end;
	}
}

/*
 * Who may read a column of records may read that of the history.  Not where row security
 * keeps rows of records from him: what he may see of the past is for the owner to say.
 */
static void
copy_privileges(const Store *store, Oid records, Oid history)
{
	const char *ours = psprintf("%s, %s, %s, _deleted",
								quote_identifier(HistoryColumn(history, "event_time")),
								quote_identifier(HistoryColumn(history, "created_time")),
								quote_identifier(HistoryColumn(history, "arrival")));
	const char *schema = history_schema(store);
	QueryArgs	args = {0};
	List	   *statements;
	uint64		count;
	ListCell   *cell;

	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(records), false);
	QueryArgText(&args, schema);
	QueryArgText(&args, ours);
	QueryArgText(&args, EVENT_TIME_COLUMN);
	count = QueryRunLatest("WITH readers AS (SELECT a.what, a.columns, CASE x.grantee WHEN 0 THEN 'PUBLIC' "
						   "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(x.grantee)) END AS grantee "
						   "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, "
						   "LATERAL (SELECT 'USAGE' AS what, NULL AS columns, n.nspacl AS acl "
						   "UNION ALL SELECT 'SELECT', NULL, c.relacl "
						   "UNION ALL SELECT 'SELECT', pg_catalog.quote_ident(t.attname), t.attacl "
						   "FROM pg_catalog.pg_attribute t WHERE t.attrelid = c.oid AND t.attnum > 0 "
						   "AND NOT t.attisdropped AND t.attname <> $4::name) a, "
						   "LATERAL pg_catalog.aclexplode(a.acl) x "
						   "WHERE c.oid = $1 AND NOT c.relrowsecurity AND x.grantee <> c.relowner "
						   "AND x.privilege_type = a.what) "
						   "SELECT CASE what WHEN 'USAGE' THEN 'GRANT USAGE ON SCHEMA ' || $2 "
						   "ELSE 'GRANT SELECT' || COALESCE(' (' || pg_catalog.string_agg(columns, ', ') || ', ' || $3 || ')', '') "
						   "|| ' ON ' || $2 || '.rows' END || ' TO ' || grantee "
						   "FROM readers GROUP BY what, grantee, columns IS NULL", &args);
	statements = QueryTextColumn(count, 1, CurrentMemoryContext);
	foreach(cell, statements)
		QueryRunf("%s", (char *) lfirst(cell));
}

bool
HistoryHasRows(const Store *store)
{
	QuerySession session;
	bool		found;

	QueryBegin(&session, store->owner);
	found = QueryRun(psprintf("SELECT FROM %s.rows LIMIT 1", history_schema(store)), NULL) > 0;
	QueryEnd(&session);
	return found;
}

/* What two versions' rows are compared by, and what of them goes where. */
typedef struct Difference
{
	const Store *store;
	Oid			history;
	const char *rows;			/* the history, quoted */
	Oid			old;			/* invalid: there is none */
	Oid			new;
	const char *old_from;		/* what stands in FROM */
	const char *new_from;
	bool		old_has_time;	/* have the rows event times of their own? */
	bool		new_has_time;
	bool		may_be_late;	/* may the history have what is newer than a row? */
	bool		is_push;
} Difference;

/* "n.k = o.k AND ...", by the operators of the keys' own types. */
static char *
keys_equal(const Difference *difference, const char *one, const char *other)
{
	StringInfoData condition;
	ListCell   *cell;

	initStringInfo(&condition);
	foreach(cell, difference->store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		const char *name = quote_identifier(column->name);
		Oid			type = get_atttype(difference->history,
									   get_attnum(difference->history, column->name));

		if (!column->is_key)
			continue;
		if (condition.len > 0)
			appendStringInfoString(&condition, " AND ");
		generate_operator_clause(&condition, psprintf("%s.%s", one, name), type,
								 lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr,
								 psprintf("%s.%s", other, name), type);
	}
	return condition.data;
}

/* The values of one side, as the history has them; NULL for a column that it does not have. */
static char *
value_list(const Difference *difference, Oid records, const char *side)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, difference->store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		if (!is_value(column))
			continue;
		if (get_attnum(records, column->name) == InvalidAttrNumber)
			ItemListAppend(&list, "NULL::%s", history_type(column));
		else
			ItemListAppend(&list, "%s.%s::%s", side, quote_identifier(column->name),
						   history_type(column));
	}
	return list.data;
}

static char *
value_names(const Store *store)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		if (is_value(column))
			ItemListAppend(&list, "%s", quote_identifier(column->name));
	}
	return list.data;
}

/*
 * From when on what is said of a side's key is true: from the given time, unless the
 * history has what is newer, of a version that came back or of a deletion, say.  Then it
 * is from the swap on, whose time is $1: who asks for a time after it is to find this row.
 */
static char *
true_from(const Difference *difference, const char *side, const char *time)
{
	const char *event_time = quote_identifier(HistoryColumn(difference->history, "event_time"));

	if (!difference->may_be_late)
		return pstrdup(time);
	return psprintf("COALESCE((SELECT GREATEST($1, h.%s) FROM %s h WHERE %s AND h.%s > %s "
					"ORDER BY h.%s DESC LIMIT 1), %s)",
					event_time, difference->rows, keys_equal(difference, "h", side), event_time,
					time, event_time, time);
}

/* The time of a row of the new version, as far as the row itself can tell. */
static const char *
own_time(const Difference *difference)
{
	if (!difference->new_has_time)
		return "$1";
	return difference->is_push ? "COALESCE(n." EVENT_TIME_COLUMN ", $1)" :
		"GREATEST($1, n." EVENT_TIME_COLUMN ")";
}

/* Keys that are new, or have other values, or were told another time. */
static void
append_changes(const Difference *difference, const QueryArgs *args)
{
	const Store *store = difference->store;

	(void) QueryRun(psprintf("INSERT INTO %s (%s, %s, %s, %s) "
							 "SELECT %s, %s, %s, $1 FROM %s n LEFT JOIN (SELECT *, true AS is_there FROM %s) o ON %s "
							 "WHERE o.is_there IS NULL OR pg_catalog.record_image_ne(ROW(%s%s), ROW(%s%s))",
							 difference->rows, KeyColumnList(store, ""), value_names(store),
							 quote_identifier(HistoryColumn(difference->history, "event_time")),
							 quote_identifier(HistoryColumn(difference->history, "created_time")),
							 KeyColumnList(store, "n."), value_list(difference, difference->new, "n"),
							 true_from(difference, "n", own_time(difference)),
							 difference->new_from, difference->old_from,
							 keys_equal(difference, "o", "n"),
							 value_list(difference, difference->old, "o"),
							 difference->old_has_time && difference->new_has_time ? ", o." EVENT_TIME_COLUMN : "",
							 value_list(difference, difference->new, "n"),
							 difference->old_has_time && difference->new_has_time ? ", n." EVENT_TIME_COLUMN : ""),
					args);
}

/* Keys that are gone, which is true from the swap on. */
static void
append_deletions(const Difference *difference, const QueryArgs *args)
{
	const Store *store = difference->store;

	(void) QueryRun(psprintf("INSERT INTO %s (%s, %s, %s, _deleted) SELECT %s, %s, $1, true FROM %s o "
							 "WHERE NOT EXISTS (SELECT FROM %s n WHERE %s)",
							 difference->rows, KeyColumnList(store, ""),
							 quote_identifier(HistoryColumn(difference->history, "event_time")),
							 quote_identifier(HistoryColumn(difference->history, "created_time")),
							 KeyColumnList(store, "o."),
							 true_from(difference, "o", "$1"),
							 difference->old_from, difference->new_from,
							 keys_equal(difference, "o", "n")),
					args);
}

/* The newest row of each key, as a crash has left nothing else of the version. */
static char *
from_history(const Difference *difference)
{
	const char *event_time = quote_identifier(HistoryColumn(difference->history, "event_time"));
	const char *keys = KeyColumnList(difference->store, "");

	return psprintf("(SELECT * FROM (SELECT DISTINCT ON (%s) %s, %s, %s AS " EVENT_TIME_COLUMN ", _deleted "
					"FROM %s ORDER BY %s, %s DESC, %s DESC NULLS LAST, %s DESC) l WHERE NOT _deleted)",
					keys, keys, value_names(difference->store), event_time, difference->rows, keys,
					event_time, quote_identifier(HistoryColumn(difference->history, "created_time")),
					quote_identifier(HistoryColumn(difference->history, "arrival")));
}

void
HistoryAppend(const Store *store, const Version *old, const Version *target, bool is_push)
{
	Difference	difference = {.store = store,.is_push = is_push};
	QuerySession session;
	QueryArgs	args = {0};

	difference.history = HistoryRelation(store);
	if (!OidIsValid(difference.history))
	{
		if (store->options->history)
			ereport(WARNING,
					(errcode(ERRCODE_UNDEFINED_TABLE),
					 errmsg("store \"%s\" has lost its history", store->name),
					 errhint("A new one begins with venice.alter_store(%s, '{\"history\": true}').",
							 quote_literal_cstr(store->name))));
		return;
	}
	HistoryStreamsBegin(store, target);
	difference.rows = QualifiedName(difference.history);
	difference.old = VersionRecords(old);
	difference.new = VersionRecords(target);
	difference.new_from = QualifiedName(difference.new);
	difference.new_has_time = get_attnum(difference.new, EVENT_TIME_COLUMN) != InvalidAttrNumber;
	difference.old_from = QualifiedName(difference.old);
	difference.old_has_time = get_attnum(difference.old, EVENT_TIME_COLUMN) != InvalidAttrNumber;
	if (old->state == VERSION_LOST)
	{
		difference.old = difference.history;
		difference.old_from = from_history(&difference);
		difference.old_has_time = true;
	}
	difference.may_be_late = (difference.old_has_time || difference.new_has_time) &&
		HistoryHasRows(store);
	/* A clock that was set back does not change the order of swaps. */
	QueryArgDatum(&args, TIMESTAMPTZOID,
				  TimestampTzGetDatum(Max(GetCurrentTimestamp(), old->swapped_time)), false);
	QueryBegin(&session, store->owner);
	append_changes(&difference, &args);
	append_deletions(&difference, &args);
	QueryEnd(&session);
}

/*
 * What was written, as a table "n": the arguments from $3 on.  Who puts a row need not know
 * of a column that came lately: it has its default then.
 */
static char *
written_row(const Store *store, HistoryEvent event, TupleDesc columns)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		int			argument = 0;

		for (int i = 0; i < columns->natts; i++)
			if (strcmp(NameStr(TupleDescAttr(columns, i)->attname), column->name) == 0)
				argument = i + 3;
		if (argument > 0)
			ItemListAppend(&list, "$%d::%s AS %s", argument, history_type(column),
						   quote_identifier(column->name));
		else if (is_value(column))
			ItemListAppend(&list, "(%s)::%s AS %s",
						   event == HISTORY_PUT && column->default_expression != NULL ?
						   column->default_expression : "NULL", history_type(column),
						   quote_identifier(column->name));
	}
	return psprintf("(SELECT %s)", list.data);
}

void
HistoryAppendWrite(const Store *store, HistoryEvent event, TupleDesc columns,
				   const HistoryWrite *writes, int count, bool in_order)
{
	Difference	difference = {.store = store,.may_be_late = in_order || event == HISTORY_UPDATE};
	int			argument_count = columns->natts + 2;
	Oid		   *types = palloc(argument_count * sizeof(Oid));
	Datum	   *arguments = palloc(argument_count * sizeof(Datum));
	char	   *nulls = palloc(argument_count);
	const char *written = written_row(store, event, columns);
	VersionPointer pointer;
	QuerySession session;
	SPIPlanPtr	plan;
	char	   *sql;

	difference.history = HistoryRelation(store);
	if (!OidIsValid(difference.history) ||
		!VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
		return;
	difference.rows = QualifiedName(difference.history);
	difference.new = pointer.records;
	if (event == HISTORY_UPDATE)
		written = psprintf("(SELECT r.* FROM %s n JOIN %s r ON %s)", written,
						   QualifiedName(difference.new), keys_equal(&difference, "r", "n"));
	else
		difference.new = difference.history;
	types[0] = types[1] = TIMESTAMPTZOID;
	nulls[0] = nulls[1] = ' ';
	for (int i = 0; i < columns->natts; i++)
		types[i + 2] = TupleDescAttr(columns, i)->atttypid;
	sql = psprintf("INSERT INTO %s (%s, %s, %s, %s, _deleted) SELECT %s, %s, %s, $2, %s FROM %s n",
				   difference.rows, KeyColumnList(store, ""), value_names(store),
				   quote_identifier(HistoryColumn(difference.history, "event_time")),
				   quote_identifier(HistoryColumn(difference.history, "created_time")),
				   KeyColumnList(store, "n."), value_list(&difference, difference.new, "n"),
				   true_from(&difference, "n", "$1"),
				   event == HISTORY_DELETE ? "true" : "false", written);
	QueryBegin(&session, store->owner);
	plan = SPI_prepare(sql, argument_count, types);
	for (int row = 0; row < count; row++)
	{
		arguments[0] = TimestampTzGetDatum(writes[row].event_time);
		arguments[1] = TimestampTzGetDatum(GetCurrentTimestamp());
		for (int i = 0; i < columns->natts; i++)
		{
			arguments[i + 2] = writes[row].values[i];
			nulls[i + 2] = writes[row].isnull[i] ? 'n' : ' ';
		}
		if (SPI_execute_plan(plan, arguments, nulls, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not execute \"%s\"", sql);
	}
	QueryEnd(&session);
}

/* What is current has been true since it was swapped in, as far as is known. */
static void
append_current(const Store *store, const Version *current)
{
	Difference	difference = {.store = store};
	QueryArgs	args = {0};

	difference.history = HistoryRelation(store);
	difference.new = VersionRecords(current);
	QueryArgDatum(&args, TIMESTAMPTZOID,
				  TimestampTzGetDatum(current->swapped_time != 0 ? current->swapped_time :
									  GetCurrentTimestamp()), false);
	(void) QueryRun(psprintf("INSERT INTO %s (%s, %s, %s, %s) SELECT %s, %s, %s, $1 FROM %s n",
							 QualifiedName(difference.history), KeyColumnList(store, ""),
							 value_names(store),
							 quote_identifier(HistoryColumn(difference.history, "event_time")),
							 quote_identifier(HistoryColumn(difference.history, "created_time")),
							 KeyColumnList(store, "n."), value_list(&difference, difference.new, "n"),
							 get_attnum(difference.new, EVENT_TIME_COLUMN) != InvalidAttrNumber ?
							 "COALESCE(n." EVENT_TIME_COLUMN ", $1)" : "$1",
							 QualifiedName(difference.new)), &args);
}

void
HistorySchemaMake(const Store *store)
{
	QuerySession session;

	if (OidIsValid(HistorySchema(store)))
		return;
	QueryBeginRegistry(&session);
	QueryRunf("CREATE SCHEMA %s AUTHORIZATION %s", history_schema(store),
			  quote_identifier(GetUserNameFromId(store->owner, false)));
	QueryRunf("COMMENT ON SCHEMA %s IS %s", history_schema(store),
			  quote_literal_cstr(psprintf("venice store %s, history", store->name)));
	QueryEnd(&session);
}

void
HistoryCreate(const Store *store)
{
	VersionPointer pointer;
	QuerySession session;

	HistorySchemaMake(store);
	QueryBegin(&session, store->owner);
	create_tables(store);
	if (VersionPointerRead(store->name, GetLatestSnapshot(), &pointer))
	{
		Version    *current = VersionLookup(store->name, pointer.version, false);

		copy_privileges(store, pointer.records, HistoryRelation(store));
		HistoryStreamsBegin(store, current);
		append_current(store, current);
	}
	QueryEnd(&session);
}

/*
 * Lock the history against readers, too, for DDL: who rewrites a partition, which takes
 * long, is waited for before anybody waits for us.
 */
static void
lock_history(Oid history)
{
	LockRelationOid(history, ShareUpdateExclusiveLock);
	LockRelationOid(history, AccessExclusiveLock);
}

static const char *const own_names[] = {"event_time", "created_time", "arrival"};

/* Does another column of the store's come to have the name of one of ours? */
static bool
takes_name(const Store *store, Oid history, const char *name)
{
	return strcmp(HistoryColumn(history, name), name) == 0 &&
		strcmp(free_name(store, name), name) != 0;
}

/* As ALTER TABLE has it; NULL when there is nothing to be changed. */
static char *
column_changes(const Store *store, Oid history)
{
	StringInfoData changes;
	ListCell   *cell;

	initStringInfo(&changes);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		const char *name = quote_identifier(column->name);
		AttrNumber	attribute = get_attnum(history, column->name);
		char	   *type = history_type(column);
		Oid			old_type;
		int32		old_modifier;
		Oid			collation;

		if (!is_value(column))
			continue;
		if (attribute == InvalidAttrNumber)
		{
			ItemListAppend(&changes, "ADD COLUMN %s %s", name, type);
			continue;
		}
		get_atttypetypmodcoll(history, attribute, &old_type, &old_modifier, &collation);
		if (strcmp(type, type_name(old_type, old_modifier)) != 0)
			ItemListAppend(&changes, "ALTER COLUMN %s TYPE %s", name, type);
	}
	return changes.len > 0 ? changes.data : NULL;
}

/* Would any of that be something to do? */
static bool
is_to_change(const Store *store, Oid history)
{
	QuerySession session;
	bool		result = false;

	QueryBegin(&session, store->owner);
	for (int i = 0; i < lengthof(own_names) && !result; i++)
		result = takes_name(store, history, own_names[i]);
	result = result || column_changes(store, history) != NULL;
	QueryEnd(&session);
	return result;
}

List *
HistoryTablesToChange(const Store *store)
{
	Oid			history = HistoryRelation(store);

	if (!OidIsValid(history) || !is_to_change(store, history))
		return NIL;
	LockRelationOid(history, ShareUpdateExclusiveLock);
	return find_all_inheritors(history, NoLock, NULL);
}

void
HistoryFollowColumns(const Store *store)
{
	Oid			history = HistoryRelation(store);
	char	   *changes;
	QuerySession session;

	if (!OidIsValid(history) || !is_to_change(store, history))
		return;
	QueryBegin(&session, store->owner);
	lock_history(history);
	for (int i = 0; i < lengthof(own_names); i++)
		if (takes_name(store, history, own_names[i]))
			QueryRunf("ALTER TABLE %s.rows RENAME COLUMN %s TO %s", history_schema(store),
					  own_names[i], free_name(store, own_names[i]));
	changes = column_changes(store, history);
	if (changes != NULL)
		QueryRunf("ALTER TABLE %s.rows %s", history_schema(store), changes);
	QueryEnd(&session);
}

void
HistoryChangeOwner(const Store *store, Oid owner)
{
	Oid			schema = HistorySchema(store);
	Oid			history = HistoryRelation(store);
	Oid			tables[] = {HistoryLog(store), HistoryOutbox(store)};
	UserContext user;
	ListCell   *cell;

	if (!OidIsValid(schema))
		return;
	UserContextEnter(&user, ExtensionOwner());
	if (OidIsValid(history))
	{
		lock_history(history);
		foreach(cell, find_all_inheritors(history, AccessExclusiveLock, NULL))
			ATExecChangeOwner(lfirst_oid(cell), owner, false, AccessExclusiveLock);
	}
	for (int i = 0; i < lengthof(tables); i++)
		if (OidIsValid(tables[i]))
			ATExecChangeOwner(tables[i], owner, false, AccessExclusiveLock);
	AlterSchemaOwner_oid(schema, owner);
	UserContextLeave(&user);
}

void
HistoryDrop(const Store *store, bool force)
{
	const char *schema = history_schema(store);
	QuerySession session;

	if (!OidIsValid(HistorySchema(store)))
		return;
	QueryBegin(&session, store->owner);
	if (force)
		(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	else if (OidIsValid(HistoryRelation(store)))
		QueryRunf("DROP TABLE %s.rows", schema);
	HistoryStreamsEnd(store->name);
	if (force || !(OidIsValid(HistoryLog(store)) || OidIsValid(HistoryOutbox(store))))
		QueryRunf("DROP SCHEMA %s%s", schema, force ? " CASCADE" : "");
	QueryEnd(&session);
}
