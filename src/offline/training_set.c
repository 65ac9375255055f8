/*-------------------------------------------------------------------------
 *
 * training_set.c
 *		Tables of what was asked of the past, and how they were made.
 *
 * A training set is an ordinary table of whoever makes it: he indexes it, grants
 * it, drops it.  What the registry keeps beside it is what makes it again: the
 * spines as they were written, with the settings that their text depends on, and
 * the features with the view versions that they meant.
 *
 * It is made as the caller, whose texts they are.  To make it again is to run
 * what somebody else may have written, so that this is done as the table's owner
 * in a restricted context, as REFRESH MATERIALIZED VIEW does it.  The registry's
 * tables are restored, and so written, by the database's owner; what is run as a
 * table's owner must not be his to say: the comment of the table, which only its
 * owner can set, has a digest of it.
 *
 * Locks: ShareRowExclusiveLock on the table while its rows are changed: readers go
 * on, and who else wants to change it waits.
 * Must not know: how features are joined.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/event_trigger.h"
#include "commands/tablecmds.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"
#include "utils/varlena.h"

#include "catalog/audit.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/store_options.h"
#include "offline/request.h"
#include "registry/entry.h"
#include "registry/service_definition.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_create_training_set);
PG_FUNCTION_INFO_V1(venice_refresh_training_set);
PG_FUNCTION_INFO_V1(venice_extend_training_set);
PG_FUNCTION_INFO_V1(venice_compare_training_sets);
PG_FUNCTION_INFO_V1(venice_forget_training_sets);

#define SETTING_COUNT	3

/* Settings that the meaning of a spine's text depends on. */
static const char *const setting_names[SETTING_COUNT] = {"search_path", "TimeZone", "DateStyle"};

/* A spine, and what became of it. */
typedef struct Part
{
	char	   *spine;
	char	   *settings[SETTING_COUNT];
	int64		rows;
	char	   *snapshot;		/* under which it was read */
	char	   *time;
} Part;

typedef struct TrainingSet
{
	Oid			relation;
	Oid			owner;			/* the table's */
	List	   *parts;			/* of Part */
	List	   *features;		/* of char *: definite */
	char	   *event_time;
	Jsonb	   *options;		/* with description and tags */
	List	   *spine_columns;	/* of char * */
	List	   *feature_columns;	/* of char * */
	List	   *used_features;	/* of char *: what they come from */
	List	   *services;		/* of char *: among features */
} TrainingSet;

static const char *const own_options[] = {"description", "tags", NULL};

#define COMMENT_PREFIX "venice training set "

/* What the audit keeps of one. */
#define DEFINITION_COLUMN \
	"pg_catalog.jsonb_build_object('features', features, 'event_time', event_time, 'options', options, 'parts', parts)"

/* The schemas of search_path that there are, for a role that "$user" is not. */
static char *
path_schemas(void)
{
	StringInfoData names;
	ListCell   *cell;

	initStringInfo(&names);
	foreach(cell, fetch_search_path(false))
		ItemListAppend(&names, "%s", quote_identifier(get_namespace_name(lfirst_oid(cell))));
	return names.data;
}

static Part *
make_part(char *spine)
{
	Part	   *part = palloc0(sizeof(Part));

	part->spine = spine;
	part->settings[0] = path_schemas();
	for (int i = 1; i < SETTING_COUNT; i++)
		part->settings[i] = GetConfigOptionByName(setting_names[i], NULL, false);
	return part;
}

/* Under the settings that a spine was written for, until the GUC nest level ends. */
static void
apply_settings(const Part *part)
{
	for (int i = 0; i < SETTING_COUNT; i++)
		(void) set_config_option(setting_names[i], part->settings[i], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}

static Jsonb *
parts_to_jsonb(const TrainingSet *set)
{
	StringInfoData text;
	ListCell   *cell;

	initStringInfo(&text);
	foreach(cell, set->parts)
	{
		const Part *part = lfirst(cell);

		appendStringInfoString(&text, text.len == 0 ? "[{\"spine\": " : ", {\"spine\": ");
		escape_json(&text, part->spine);
		for (int i = 0; i < SETTING_COUNT; i++)
		{
			appendStringInfo(&text, "%s\"%s\": ", i == 0 ? ", \"settings\": {" : ", ",
							 setting_names[i]);
			escape_json(&text, part->settings[i]);
		}
		appendStringInfo(&text, "}, \"rows\": " INT64_FORMAT ", \"snapshot\": ", part->rows);
		escape_json(&text, part->snapshot);
		appendStringInfoString(&text, ", \"time\": ");
		escape_json(&text, part->time);
		appendStringInfoChar(&text, '}');
	}
	appendStringInfoChar(&text, ']');
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text.data)));
}

/*
 * What the features mean today, for ever: each by name, of the view version that it is of.
 * Services stay services, whose features are theirs to change.
 */
static void
make_definite(TrainingSet *set, List *texts)
{
	char	   *joins = OptionText(set->options, "joins");
	char	   *join_options = joins != NULL ? psprintf("{\"joins\": %s}", joins) : "{}";
	Jsonb	   *options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															 CStringGetDatum(join_options)));
	ListCell   *cell;

	foreach(cell, texts)
	{
		char	   *name = ServiceNamed(lfirst(cell));
		Service		resolved = {.offline = true};
		char	   *prefix;
		ListCell   *feature;

		if (name != NULL)
		{
			set->features = lappend(set->features, name);
			set->services = lappend(set->services, name);
			continue;
		}
		ServiceResolve(&resolved, list_make1(lfirst(cell)), options, NULL, NULL);
		prefix = pstrdup(linitial(resolved.features_text));
		*strrchr(prefix, ':') = '\0';
		foreach(feature, resolved.features)
			set->features = lappend(set->features,
									psprintf("%s:%s", prefix,
											 ((ServiceFeature *) lfirst(feature))->feature->name));
		set->options = StoreOptionsMerge(set->options, resolved.options);
	}
}

/* What is ours among the options; the rest is for the join to judge. */
static void
check_own_options(const Jsonb *options)
{
	static const char *const no_others[] = {NULL};
	char	   *tags = OptionText(options, "tags");
	Datum		own;

	(void) OptionString(options, "description");
	if (tags == NULL)
		return;
	own = DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf("{\"tags\": %s}", tags)));
	RegistryCheckOptions(DatumGetJsonbP(own), no_others, NULL);
}

static HistoricalRequest *
make_request(const TrainingSet *set, const Part *part)
{
	return HistoricalRequestMake(part->spine, set->features, set->event_time,
								 RegistryWithout(set->options, own_options));
}

/* Take over what the columns of a request are, and what they come from. */
static void
note_columns(TrainingSet *set, const HistoricalRequest *request)
{
	ListCell   *cell;

	for (int i = 0; i < request->join.spine_columns->natts; i++)
		set->spine_columns = lappend(set->spine_columns,
									 pstrdup(NameStr(TupleDescAttr(request->columns, i)->attname)));
	foreach(cell, request->features)
	{
		const ServiceFeature *feature = ((RequestFeature *) lfirst(cell))->feature;

		set->feature_columns = lappend(set->feature_columns, feature->output_name);
		set->used_features = lappend(set->used_features,
									 psprintf("%s:%s", FeatureViewReference(feature->view),
											  feature->feature->name));
	}
}

/* What get_historical_features answers, as a query. */
static char *
make_query(const TrainingSet *set, const Part *part, const HistoricalRequest *request)
{
	Jsonb	   *options = RegistryWithout(set->options, own_options);
	StringInfoData features;
	ListCell   *cell;

	initStringInfo(&features);
	foreach(cell, set->features)
		ItemListAppend(&features, "%s", quote_literal_cstr(lfirst(cell)));
	return psprintf("SELECT * FROM venice.get_historical_features(%s, ARRAY[%s]::pg_catalog.text[], %s, %s) AS features (%s)",
					quote_literal_cstr(part->spine), features.data,
					quote_literal_cstr(set->event_time),
					quote_literal_cstr(JsonbToCString(NULL, &options->root, VARSIZE(options))),
					HistoricalRequestColumns(request));
}

/* Run what makes rows of a part, and note under which snapshot.  Not SPI's memory. */
static void
make_rows(Part *part, const char *sql, int expected)
{
	MemoryContext context = CurrentMemoryContext;
	/* Not the calling statement's: who had the table locked may have committed since. */
	Snapshot	snapshot = RegisterSnapshot(GetTransactionSnapshot());
	SPIPlanPtr	statement;
	int			code;

	SPI_connect();
	statement = SPI_prepare(sql, 0, NULL);
	if (statement == NULL)
		elog(ERROR, "could not prepare \"%s\": %s", sql, SPI_result_code_string(SPI_result));
	code = SPI_execute_snapshot(statement, NULL, NULL, snapshot, InvalidSnapshot, false, true, 0);
	if (code != expected)
		elog(ERROR, "could not execute \"%s\": %s", sql, SPI_result_code_string(code));
	part->rows = SPI_processed;
	statement = SPI_prepare("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text, "
							"pg_catalog.to_jsonb(pg_catalog.clock_timestamp()) #>> '{}'", 0, NULL);
	(void) SPI_execute_snapshot(statement, NULL, NULL, snapshot, InvalidSnapshot, true, false, 0);
	part->snapshot = QueryText(0, 1, context);
	part->time = QueryText(0, 2, context);
	SPI_finish();
	UnregisterSnapshot(snapshot);
}

/* What is worth to be known of a column, for its type. */
static void
append_statistics(StringInfo sql, const char *name, Oid type)
{
	const char *quoted = quote_identifier(name);
	const char *finite = "";

	appendStringInfo(sql, "%spg_catalog.jsonb_build_object(%s, pg_catalog.jsonb_strip_nulls("
					 "pg_catalog.jsonb_build_object('nulls', pg_catalog.count(*) FILTER (WHERE %s IS NULL)",
					 sql->len > 0 ? " || " : "SELECT ", quote_literal_cstr(name), quoted);
	switch (type)
	{
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			/* Squares of more would not fit; NaN is more than all numbers. */
			finite = psprintf(" FILTER (WHERE %s BETWEEN -1e150 AND 1e150)", quoted);
			/* FALLTHROUGH */
		case INT2OID:
		case INT4OID:
		case INT8OID:
			appendStringInfo(sql, ", 'mean', pg_catalog.avg(%s::float8)%s"
							 ", 'stddev', pg_catalog.stddev_samp(%s::float8)%s",
							 quoted, finite, quoted, finite);
			/* FALLTHROUGH */
		case DATEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			appendStringInfo(sql, ", 'min', pg_catalog.min(%s), 'max', pg_catalog.max(%s)", quoted, quoted);
			break;
		case BOOLOID:
			appendStringInfo(sql, ", 'mean', pg_catalog.avg(%s::int4)::float8", quoted);
			break;
	}
	appendStringInfoString(sql, ")))");
}

/* Of all columns that the table has in common with what made it. */
static Jsonb *
make_statistics(Oid relation, TupleDesc columns)
{
	StringInfoData sql;
	QuerySession session;
	Jsonb	   *statistics;

	initStringInfo(&sql);
	for (int i = 0; i < columns->natts; i++)
		append_statistics(&sql, NameStr(TupleDescAttr(columns, i)->attname),
						  TupleDescAttr(columns, i)->atttypid);
	appendStringInfo(&sql, " FROM ONLY %s", QualifiedName(relation));
	QueryBegin(&session, GetUserId());
	(void) QueryRun(sql.data, NULL);
	statistics = QueryJsonb(0, 1, session.result_context);
	QueryEnd(&session);
	return statistics;
}

/*
 * Keep how the set is made, in the registry and, as a digest, where only the table's
 * owner can.  action is the audit's.
 */
static void
write_set(const TrainingSet *set, const char *action, const Jsonb *statistics, const Jsonb *before)
{
	char	   *description = OptionText(set->options, "description");
	char	   *name = QualifiedName(set->relation);
	QuerySession session;
	QueryArgs	args = {0};
	char	   *digest;
	Jsonb	   *after;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, REGCLASSOID, ObjectIdGetDatum(set->relation), false);
	QueryArgJsonb(&args, parts_to_jsonb(set));
	QueryArgTexts(&args, set->features);
	QueryArgText(&args, set->event_time);
	QueryArgJsonb(&args, set->options);
	QueryArgTexts(&args, set->spine_columns);
	QueryArgTexts(&args, set->feature_columns);
	QueryArgTexts(&args, set->used_features);
	QueryArgTexts(&args, set->services);
	QueryArgJsonb(&args, statistics);
	(void) QueryRun("INSERT INTO venice.training_set (relation, parts, features, event_time, options, "
					"spine_columns, feature_columns, used_features, services, statistics) "
					"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) "
					"ON CONFLICT (relation) DO UPDATE SET parts = $2, features = $3, event_time = $4, "
					"options = $5, spine_columns = $6, feature_columns = $7, used_features = $8, "
					"services = $9, statistics = $10 "
					"RETURNING venice_internal.training_set_digest(parts, features, event_time, options), "
					DEFINITION_COLUMN, &args);
	digest = QueryText(0, 1, session.result_context);
	after = QueryJsonb(0, 2, session.result_context);
	QueryEnd(&session);

	QueryBegin(&session, GetUserId());
	QueryRunf("COMMENT ON TABLE %s IS %s", name,
			  quote_literal_cstr(psprintf(COMMENT_PREFIX "%s%s%s", digest,
										  description != NULL ? ": " : "",
										  description != NULL ? description : "")));
	QueryEnd(&session);
	AuditWrite(action, "training_set", NULL, name, GetUserNameFromId(set->owner, false), before,
			   after);
}

static void
check_create(Oid schema)
{
	AclResult	result = object_aclcheck(NamespaceRelationId, schema, GetUserId(), ACL_CREATE);

	if (result != ACLCHECK_OK)
		aclcheck_error(result, OBJECT_SCHEMA, get_namespace_name(schema));
}

/*
 * venice_create_training_set
 *		create_training_set(name, spine, features, event_time, options) → rows.
 */
Datum
venice_create_training_set(PG_FUNCTION_ARGS)
{
	char	   *name = ArgumentText(fcinfo, 0, "name", true);
	char	   *spine = ArgumentText(fcinfo, 1, "spine", true);
	TrainingSet set = {0};
	List	   *names;
	RangeVar   *table;
	Oid			schema;
	Part	   *part;
	HistoricalRequest *request;

	FunctionRequireWritable(fcinfo);
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("features must not be null")));
	set.event_time = ArgumentText(fcinfo, 3, "event_time", true);
	set.options = ArgumentOptions(fcinfo, 4);
	check_own_options(set.options);
	names = textToQualifiedNameList(cstring_to_text(name));
	table = makeRangeVarFromNameList(names);
	schema = RangeVarGetCreationNamespace(table);
	if (isAnyTempNamespace(schema))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a training set cannot be a temporary table"),
				 errhint("CREATE TEMPORARY TABLE ... AS the query that venice.historical_features_query returns.")));
	/* CREATE TABLE would say so after the work of taking the request apart. */
	check_create(schema);
	if (OidIsValid(get_relname_relid(table->relname, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", table->relname)));
	make_definite(&set, TextArrayList(PG_GETARG_ARRAYTYPE_P(2)));
	part = make_part(spine);
	set.parts = list_make1(part);
	request = make_request(&set, part);
	note_columns(&set, request);
	make_rows(part, psprintf("CREATE TABLE %s AS %s", NameListToQuotedString(names),
							 make_query(&set, part, request)), SPI_OK_UTILITY);
	set.relation = get_relname_relid(table->relname, schema);
	set.owner = GetUserId();
	write_set(&set, "create", make_statistics(set.relation, request->columns), NULL);
	PG_RETURN_INT64(part->rows);
}

pg_noreturn static void
refuse_table(Oid relation)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("table \"%s\" is not a training set", get_rel_name(relation)),
			 errhint("SELECT name FROM venice.training_sets lists them.")));
	pg_unreachable();
}

/* Rows of the table that no function of ours has written may have anything in them. */
static bool
is_complete(const List *parts)
{
	ListCell   *cell;

	foreach(cell, parts)
	{
		const Part *part = lfirst(cell);

		if (part->spine == NULL || part->snapshot == NULL || part->time == NULL)
			return false;
		for (int i = 0; i < SETTING_COUNT; i++)
			if (part->settings[i] == NULL)
				return false;
	}
	return parts != NIL;
}

/* The set's row; *before is what the audit has of it. */
static TrainingSet *
read_set(Relation table, Jsonb **before)
{
	TrainingSet *set = palloc0(sizeof(TrainingSet));
	char	   *comment = GetComment(RelationGetRelid(table), RelationRelationId, 0);
	MemoryContext context = CurrentMemoryContext;
	QuerySession session;
	QueryArgs	args = {0};
	char	   *wanted;
	uint64		parts;

	set->relation = RelationGetRelid(table);
	set->owner = table->rd_rel->relowner;
	QueryBeginRegistry(&session);
	QueryArgDatum(&args, REGCLASSOID, ObjectIdGetDatum(set->relation), false);
	if (QueryRun("SELECT features, event_time, options, spine_columns, feature_columns, used_features, services, "
				 "venice_internal.training_set_digest(parts, features, event_time, options), "
				 /* An older snapshot's row would not be what the comment is of: 40001. */
				 DEFINITION_COLUMN " FROM venice.training_set WHERE relation = $1 FOR UPDATE", &args) == 0)
		refuse_table(set->relation);
	set->features = QueryTexts(0, 1, context);
	set->event_time = QueryText(0, 2, context);
	set->options = QueryJsonb(0, 3, context);
	set->spine_columns = QueryTexts(0, 4, context);
	set->feature_columns = QueryTexts(0, 5, context);
	set->used_features = QueryTexts(0, 6, context);
	set->services = QueryTexts(0, 7, context);
	wanted = psprintf(COMMENT_PREFIX "%s", QueryText(0, 8, context));
	*before = QueryJsonb(0, 9, context);
	parts = QueryRun("SELECT p.part ->> 'spine', p.part -> 'settings' ->> 'search_path', "
					 "p.part -> 'settings' ->> 'TimeZone', p.part -> 'settings' ->> 'DateStyle', "
					 "(p.part ->> 'rows')::bigint, p.part ->> 'snapshot', p.part ->> 'time' "
					 "FROM venice.training_set t, pg_catalog.jsonb_array_elements(t.parts) WITH ORDINALITY AS p (part, number) "
					 "WHERE t.relation = $1 ORDER BY p.number", &args);
	for (uint64 row = 0; row < parts; row++)
	{
		Part	   *part = MemoryContextAllocZero(context, sizeof(Part));
		MemoryContext spi = MemoryContextSwitchTo(context);

		part->spine = QueryText(row, 1, context);
		for (int i = 0; i < SETTING_COUNT; i++)
			part->settings[i] = QueryText(row, 2 + i, context);
		part->rows = QueryInt8(row, 5, 0);
		part->snapshot = QueryText(row, 6, context);
		part->time = QueryText(row, 7, context);
		set->parts = lappend(set->parts, part);
		MemoryContextSwitchTo(spi);
	}
	if (!is_complete(set->parts))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("definition of training set \"%s\" is incomplete", get_rel_name(set->relation)),
				 errdetail("Somebody has written it by hand."),
				 errhint("Make another one with venice.create_training_set.")));
	if (comment == NULL || strncmp(comment, wanted, strlen(wanted)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("training set \"%s\" is not made as its comment says", get_rel_name(set->relation)),
				 errdetail("The comment of the table has a digest of its definition, so that nobody but its owner can change what is run as him."),
				 errhint("COMMENT ON TABLE %s IS %s if venice.training_sets shows what you want to be run.",
						 QualifiedName(set->relation), quote_literal_cstr(wanted))));
	QueryEnd(&session);
	return set;
}

/* Lock the table that argument 0 names, which must be the caller's. */
static Relation
argument_table(FunctionCallInfo fcinfo)
{
	char	   *name = ArgumentText(fcinfo, 0, "name", true);
	RangeVar   *table = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(name)));

	FunctionRequireWritable(fcinfo);
	return table_open(RangeVarGetRelidExtended(table, ShareRowExclusiveLock, 0,
											   RangeVarCallbackOwnsRelation, NULL), NoLock);
}

static bool
lists_differ(const List *one, const List *other)
{
	const ListCell *cell;
	const ListCell *other_cell;

	if (list_length(one) != list_length(other))
		return true;
	forboth(cell, one, other_cell, other)
		if (strcmp(lfirst(cell), lfirst(other_cell)) != 0)
			return true;
	return false;
}

/* The table still has every column, and the request the columns that the set was made with. */
static void
check_columns(Relation table, const TrainingSet *set, const TrainingSet *now,
			  const HistoricalRequest *request)
{
	char	   *problem = NULL;

	if (lists_differ(set->spine_columns, now->spine_columns))
		problem = psprintf("The columns of the spine were (%s), and are (%s).",
						   ItemListJoin(set->spine_columns), ItemListJoin(now->spine_columns));
	else if (lists_differ(set->feature_columns, now->feature_columns))
		problem = psprintf("The features were (%s), and are (%s).",
						   ItemListJoin(set->feature_columns), ItemListJoin(now->feature_columns));
	for (int i = 0; i < request->columns->natts && problem == NULL; i++)
	{
		Form_pg_attribute column = TupleDescAttr(request->columns, i);
		AttrNumber	number = get_attnum(RelationGetRelid(table), NameStr(column->attname));
		Oid			type;

		if (number == InvalidAttrNumber)
		{
			problem = psprintf("The table has no column \"%s\".", NameStr(column->attname));
			break;
		}
		type = TupleDescAttr(RelationGetDescr(table), number - 1)->atttypid;
		if (type != column->atttypid)
			problem = psprintf("Column \"%s\" of the table is of type %s, and would be of type %s.",
							   NameStr(column->attname), format_type_be(type),
							   format_type_be(column->atttypid));
	}
	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("rows of training set \"%s\" would not be like those that it has",
						RelationGetRelationName(table)),
				 errdetail_internal("%s", problem),
				 errhint("Make another one with venice.create_training_set.")));
}

/* Add the rows of a part, of today's features; they are put into now.  As the table's owner. */
static void
add_part(Relation table, const TrainingSet *set, TrainingSet *now, Part *part,
		 HistoricalRequest **request)
{
	StringInfoData columns;

	now->spine_columns = now->feature_columns = now->used_features = NIL;
	*request = make_request(set, part);
	note_columns(now, *request);
	check_columns(table, set, now, *request);
	initStringInfo(&columns);
	for (int i = 0; i < (*request)->columns->natts; i++)
		ItemListAppend(&columns, "%s",
					   quote_identifier(NameStr(TupleDescAttr((*request)->columns, i)->attname)));
	make_rows(part, psprintf("INSERT INTO %s (%s) %s", QualifiedName(set->relation), columns.data,
							 make_query(set, part, *request)), SPI_OK_INSERT);
}

/*
 * venice_refresh_training_set
 *		refresh_training_set(name) → rows.
 */
Datum
venice_refresh_training_set(PG_FUNCTION_ARGS)
{
	Relation	table = argument_table(fcinfo);
	Jsonb	   *before;
	TrainingSet *set = read_set(table, &before);
	TrainingSet now = *set;
	HistoricalRequest *request = NULL;
	UserContext user;
	int64		rows = 0;
	ListCell   *cell;

	UserContextEnter(&user, set->owner);
	/* All of them, or an error: a policy must not keep some. */
	(void) set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
	SPI_connect();
	QueryRunf("DELETE FROM ONLY %s", QualifiedName(set->relation));
	SPI_finish();
	UserContextLeave(&user);
	foreach(cell, set->parts)
	{
		UserContextEnter(&user, set->owner);
		apply_settings(lfirst(cell));
		add_part(table, set, &now, lfirst(cell), &request);
		UserContextLeave(&user);
		rows += ((Part *) lfirst(cell))->rows;
	}
	UserContextEnter(&user, set->owner);
	write_set(&now, "refresh", make_statistics(set->relation, request->columns), before);
	UserContextLeave(&user);
	table_close(table, NoLock);
	PG_RETURN_INT64(rows);
}

/*
 * venice_extend_training_set
 *		extend_training_set(name, spine) → rows that were added.
 */
Datum
venice_extend_training_set(PG_FUNCTION_ARGS)
{
	char	   *spine = ArgumentText(fcinfo, 1, "spine", true);
	Relation	table = argument_table(fcinfo);
	Jsonb	   *before;
	TrainingSet *set = read_set(table, &before);
	TrainingSet now = *set;
	Part	   *part = make_part(spine);
	HistoricalRequest *request;
	UserContext user;

	UserContextEnter(&user, set->owner);
	apply_settings(part);
	add_part(table, set, &now, part, &request);
	if (lists_differ(set->used_features, now.used_features))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("features of training set \"%s\" come from other view versions now",
						RelationGetRelationName(table)),
				 errdetail("They came from %s, and come from %s.", ItemListJoin(set->used_features),
						   ItemListJoin(now.used_features)),
				 errhint("Make all of its rows anew with venice.refresh_training_set, then extend it.")));
	now.parts = lappend(list_copy(set->parts), part);
	write_set(&now, "extend", make_statistics(set->relation, request->columns), before);
	UserContextLeave(&user);
	table_close(table, NoLock);
	PG_RETURN_INT64(part->rows);
}

/* One side of a comparison: the spine as a record, with a number among those like it. */
static char *
comparison_side(Oid relation, const List *spine, const List *features)
{
	StringInfoData keys;
	StringInfoData values;
	const ListCell *cell;

	initStringInfo(&keys);
	initStringInfo(&values);
	foreach(cell, spine)
		ItemListAppend(&keys, "%s", quote_identifier(lfirst(cell)));
	foreach(cell, features)
		appendStringInfo(&values, ", ROW(%s) AS value%d, %s IS NULL AS null%d",
						 quote_identifier(lfirst(cell)), foreach_current_index(cell),
						 quote_identifier(lfirst(cell)), foreach_current_index(cell));
	/* By the text, which every type has, and which tells apart what is equal and not the same. */
	return psprintf("(SELECT ROW(%s) AS k, pg_catalog.row_number() OVER (PARTITION BY ROW(%s)::pg_catalog.text) AS n%s FROM ONLY %s)",
					keys.data, keys.data, values.data, QualifiedName(relation));
}

/* An array of how many of the rows that both have meet a condition, feature by feature. */
static void
append_counts(StringInfo sql, int features, const char *left, const char *right)
{
	appendStringInfoString(sql, ", ARRAY[");
	for (int i = 0; i < features; i++)
	{
		appendStringInfo(sql, "%spg_catalog.count(*) FILTER (WHERE a.n IS NOT NULL AND b.n IS NOT NULL AND %s%d",
						 i > 0 ? ", " : "", left, i);
		if (right != NULL)
			appendStringInfo(sql, "%s%d", right, i);
		appendStringInfoChar(sql, ')');
	}
	appendStringInfoString(sql, "]::pg_catalog.text[]");
}

/* Values count as different when their bytes do: not every type has an equality. */
static char *
comparison_query(const TrainingSet *set, const TrainingSet *other, const List *features)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.count(*) FILTER (WHERE a.n IS NOT NULL AND b.n IS NOT NULL), "
						   "pg_catalog.count(*) FILTER (WHERE b.n IS NULL), "
						   "pg_catalog.count(*) FILTER (WHERE a.n IS NULL)");
	append_counts(&sql, list_length(features), "a.value", " OPERATOR(pg_catalog.*<>) b.value");
	append_counts(&sql, list_length(features), "a.null", NULL);
	append_counts(&sql, list_length(features), "b.null", NULL);
	appendStringInfo(&sql, " FROM %s a FULL JOIN %s b ON a.k OPERATOR(pg_catalog.*=) b.k AND a.n OPERATOR(pg_catalog.=) b.n",
					 comparison_side(set->relation, set->spine_columns, features),
					 comparison_side(other->relation, other->spine_columns, features));
	return sql.data;
}

/* A training set whose rows are going to be read, by whoever may. */
static TrainingSet *
argument_set(FunctionCallInfo fcinfo, int number, const char *name)
{
	char	   *text = ArgumentText(fcinfo, number, name, true);
	RangeVar   *table = makeRangeVarFromNameList(textToQualifiedNameList(cstring_to_text(text)));
	TrainingSet *set = palloc0(sizeof(TrainingSet));
	MemoryContext context = CurrentMemoryContext;
	AclResult	rights;
	QuerySession session;
	QueryArgs	args = {0};

	set->relation = RangeVarGetRelid(table, AccessShareLock, false);
	rights = pg_class_aclcheck(set->relation, GetUserId(), ACL_SELECT);
	if (rights != ACLCHECK_OK)
		aclcheck_error(rights, OBJECT_TABLE, get_rel_name(set->relation));
	QueryBeginRegistry(&session);
	QueryArgDatum(&args, REGCLASSOID, ObjectIdGetDatum(set->relation), false);
	if (QueryRun("SELECT spine_columns, feature_columns FROM venice.training_set WHERE relation = $1",
				 &args) == 0)
		refuse_table(set->relation);
	set->spine_columns = QueryTexts(0, 1, context);
	set->feature_columns = QueryTexts(0, 2, context);
	QueryEnd(&session);
	return set;
}

/*
 * venice_compare_training_sets
 *		compare_training_sets(name, other) → a row for each feature that both have.
 */
Datum
venice_compare_training_sets(PG_FUNCTION_ARGS)
{
	TrainingSet *set = argument_set(fcinfo, 0, "name");
	TrainingSet *other = argument_set(fcinfo, 1, "other");
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context = CurrentMemoryContext;
	List	   *features = NIL;
	List	   *counts[3];
	int64		totals[3];
	ListCell   *cell;

	if (lists_differ(set->spine_columns, other->spine_columns))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the training sets have different spines"),
				 errdetail("Their columns are (%s) and (%s).", ItemListJoin(set->spine_columns),
						   ItemListJoin(other->spine_columns))));
	foreach(cell, set->feature_columns)
	{
		const ListCell *its;

		foreach(its, other->feature_columns)
			if (strcmp(lfirst(cell), lfirst(its)) == 0)
				features = lappend(features, lfirst(cell));
	}
	InitMaterializedSRF(fcinfo, 0);
	SPI_connect();
	(void) QueryRun(comparison_query(set, other, features), NULL);
	for (int i = 0; i < 3; i++)
	{
		totals[i] = QueryInt8(0, 1 + i, 0);
		counts[i] = QueryTexts(0, 4 + i, context);
	}
	SPI_finish();
	foreach(cell, features)
	{
		Datum		values[7];
		bool		nulls[7] = {false};

		values[0] = CStringGetTextDatum(lfirst(cell));
		values[1] = Int64GetDatum(totals[0]);
		for (int i = 0; i < 3; i++)
		{
			const char *count = list_nth(counts[i], foreach_current_index(cell));

			values[2 + i] = Int64GetDatum(pg_strtoint64(count));
		}
		values[5] = Int64GetDatum(totals[1]);
		values[6] = Int64GetDatum(totals[2]);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/*
 * venice_forget_training_sets
 *		Event trigger: their rows go with tables that are dropped.
 */
Datum
venice_forget_training_sets(PG_FUNCTION_ARGS)
{
	List	   *names = NIL;
	List	   *owners = NIL;
	List	   *definitions = NIL;
	MemoryContext context = CurrentMemoryContext;
	QuerySession session;
	uint64		count;
	ListCell   *name;
	ListCell   *owner;
	ListCell   *definition;

	if (!CALLED_AS_EVENT_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" was not called by event trigger manager",
						"forget_training_sets")));
	QueryBeginRegistry(&session);
	count = QueryRun("DELETE FROM venice.training_set t "
					 "USING pg_catalog.pg_event_trigger_dropped_objects() d "
					 "WHERE d.objid = t.relation AND d.classid = 'pg_catalog.pg_class'::regclass "
					 "AND d.objsubid = 0 "
					 "RETURNING d.object_identity, "
					 /* The table's owner is gone with it: who was told of it last. */
					 "(SELECT a.owner_name::text FROM venice.audit_entry a "
					 "WHERE a.kind = 'training_set' AND a.name = d.object_identity "
					 "ORDER BY a.audit_id DESC LIMIT 1), " DEFINITION_COLUMN, NULL);
	for (uint64 row = 0; row < count; row++)
	{
		MemoryContext spi = MemoryContextSwitchTo(context);

		names = lappend(names, QueryText(row, 1, context));
		owners = lappend(owners, QueryText(row, 2, context));
		definitions = lappend(definitions, QueryJsonb(row, 3, context));
		MemoryContextSwitchTo(spi);
	}
	QueryEnd(&session);
	forthree(name, names, owner, owners, definition, definitions)
		AuditWrite("drop", "training_set", NULL, lfirst(name),
				   lfirst(owner) != NULL ? lfirst(owner) : GetUserNameFromId(GetUserId(), false),
				   lfirst(definition), NULL);
	PG_RETURN_VOID();
}
