/*-------------------------------------------------------------------------
 *
 * source.c
 *		Sources: where feature values come from.
 *
 * A source is a relation, a store or a topic, with the roles of its columns.  What
 * it names is the source's owner's to read, and is looked at when the source is made
 * or altered; what a view reads of it must be there afterwards.  Columns that were
 * written down are read again as the owner: a default can call code of his.
 *
 * Locks: RegistryLock; AccessShareLock on a relation while it is looked at.
 * Must not know: what a view makes of the columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/source.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "parser/parse_type.h"
#include "pgtime.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "catalog/store.h"
#include "common/query.h"
#include "common/server_options.h"
#include "common/user_context.h"
#include "registry/entry.h"
#include "registry/reference.h"
#include "store/arguments.h"
#include "store/create.h"
#include "store/definition.h"
#include "version/functions.h"

PG_FUNCTION_INFO_V1(venice_create_source);
PG_FUNCTION_INFO_V1(venice_alter_source);
PG_FUNCTION_INFO_V1(venice_drop_source);

static const char *const create_options[] = {
	"columns", "fields", "key_format", "max_record_bytes", "max_rejected", "time_zone",
	"value_format", NULL
};
static const char *const alter_options[] = {
	"columns", "created_time", "event_time", "fields", "key_format", "max_record_bytes",
	"max_rejected", "relation", "time_zone", "topic", "value_format", NULL
};

/* Those that a topic's store is made with. */
static const char *const of_topics[] = {
	"columns", "fields", "key_format", "max_record_bytes", "max_rejected", "value_format", NULL
};

/* Those of the options above that have columns of their own. */
static const char *const kept_elsewhere[] = {
	"created_time", "event_time", "owner", "relation", "topic", NULL
};
static const char *const not_of_stores[] = {"columns", "description", "tags", "time_zone", NULL};

Source *
SourceLookup(const char *text, bool missing_ok)
{
	QuerySession session;
	QueryArgs	args = {0};
	Reference	reference;
	char	   *project;
	Source	   *source;
	bool		is_null;

	ReferenceParse(text, &reference);
	project = reference.view_version == 0 && reference.feature == NULL ?
		RegistryFindProject("sources", &reference) : NULL;
	if (project == NULL)
	{
		if (missing_ok)
			return NULL;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("source \"%s\" does not exist", text),
				 errhint("SELECT project, name FROM venice.sources lists the sources that you may see.")));
	}

	source = palloc0(sizeof(Source));
	source->project = project;
	source->name = reference.name;
	QueryBeginRegistry(&session);
	QueryArgText(&args, project);
	QueryArgText(&args, source->name);
	if (QueryRun("SELECT owner_name::text, relation, relation::text, store_name::text, "
				 "server_name::text, topic, event_time, created_time_column, options "
				 "FROM venice.source WHERE project = $1::name AND source = $2::name", &args) != 1)
		elog(ERROR, "could not find source \"%s\"", text);
	source->owner = QueryText(0, 1, session.result_context);
	source->relation = DatumGetObjectId(QueryDatum(0, 2, &is_null));
	source->relation_text = QueryText(0, 3, session.result_context);
	source->store = QueryText(0, 4, session.result_context);
	source->server = QueryText(0, 5, session.result_context);
	source->topic = QueryText(0, 6, session.result_context);
	source->event_time = QueryText(0, 7, session.result_context);
	source->created_time = QueryText(0, 8, session.result_context);
	source->options = QueryJsonb(0, 9, session.result_context);
	QueryEnd(&session);
	if (OidIsValid(source->relation) && get_rel_name(source->relation) == NULL)
		source->relation = InvalidOid;
	source->columns = OptionText(source->options, "columns");
	source->store_options = RegistryWithout(source->options, not_of_stores);
	return source;
}

static void
write_source(const Source *source)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, source->project);
	QueryArgText(&args, source->name);
	QueryArgText(&args, source->owner);
	QueryArgDatum(&args, REGCLASSOID, ObjectIdGetDatum(source->relation),
				  source->relation_text == NULL);
	QueryArgText(&args, source->store);
	QueryArgText(&args, source->server);
	QueryArgText(&args, source->topic);
	QueryArgText(&args, source->event_time);
	QueryArgText(&args, source->created_time);
	QueryArgJsonb(&args, source->options);
	(void) QueryRun("INSERT INTO venice.source (project, source, owner_name, relation, store_name, "
					"server_name, topic, event_time, created_time_column, options) "
					"VALUES ($1::name, $2::name, $3::name, $4, $5::name, $6::name, $7, $8, $9, $10) "
					"ON CONFLICT (project, source) DO UPDATE SET owner_name = EXCLUDED.owner_name, "
					"relation = EXCLUDED.relation, topic = EXCLUDED.topic, "
					"event_time = EXCLUDED.event_time, "
					"created_time_column = EXCLUDED.created_time_column, "
					"options = EXCLUDED.options", &args);
	QueryEnd(&session);
}

/* The store whose version has this table, or NULL. */
static char *
store_of_records(Oid relation)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *store = NULL;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(relation), false);
	if (QueryRun("SELECT store_name::text FROM venice.version_table WHERE records = $1", &args) > 0)
		store = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return store;
}

/* As a SELECT by the owner would. */
static void
check_relation(const Source *source, Oid owner)
{
	Oid			relation = source->relation;
	char		kind = get_rel_relkind(relation);
	char	   *name = get_rel_name(relation);
	char	   *store;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation of source \"%s\" does not exist", source->name),
				 errhint("Name the one that the source is now, as relation.")));
	if (!RegistryCanRead(relation, owner))
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(kind), name);
	if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE && kind != RELKIND_VIEW &&
		kind != RELKIND_MATVIEW && kind != RELKIND_FOREIGN_TABLE)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is not a table or view", name)));
	if (isAnyTempNamespace(get_rel_namespace(relation)))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s\" is temporary", name),
				 errdetail("It is gone after this session.")));
	store = store_of_records(relation);
	if (store != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"%s.%s\" is a version of store \"%s\"",
						get_namespace_name(get_rel_namespace(relation)), name, store),
				 errdetail("Another version takes its place with each push."),
				 errhint("Make the source with store => %s.", quote_literal_cstr(store))));
}

/*
 * Columns as a list of StoreColumn: of a relation, none if it is gone, of a store, or
 * of a topic's records.
 */
static List *
source_columns(const Source *source)
{
	List	   *columns = NIL;

	if (OidIsValid(source->relation))
	{
		Relation	relation = relation_open(source->relation, AccessShareLock);

		for (int i = 0; i < RelationGetDescr(relation)->natts; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(RelationGetDescr(relation), i);
			StoreColumn *column;

			if (attribute->attisdropped)
				continue;
			column = palloc0(sizeof(StoreColumn));
			column->name = pstrdup(NameStr(attribute->attname));
			column->type_name = format_type_extended(attribute->atttypid, attribute->atttypmod,
													 FORMAT_TYPE_TYPEMOD_GIVEN |
													 FORMAT_TYPE_FORCE_QUALIFY);
			columns = lappend(columns, column);
		}
		relation_close(relation, AccessShareLock);
	}
	else if (source->store != NULL)
		columns = StoreLookup(source->store, false)->columns;
	else if (source->columns != NULL)
		columns = SourceColumns(source);
	return columns;
}

List *
SourceColumns(const Source *source)
{
	UserContext user;
	List	   *columns;

	UserContextEnter(&user, get_role_oid(source->owner, false));
	columns = DefinitionParse(source->columns, false, "columns");
	UserContextLeave(&user);
	return columns;
}

/*
 * The columns that the options give, written down again so that they mean the same to
 * everybody; they are the caller's, and looked up by his search_path.
 */
static void
qualify_columns(Source *source, const Jsonb *options)
{
	char	   *given = OptionString(options, "columns");
	Jsonb	   *columns;
	StringInfoData option;
	StringInfoData list;
	ListCell   *cell;

	if (given == NULL || DefinitionIsAvro(given))
		return;
	initStringInfo(&list);
	foreach(cell, DefinitionParse(given, false, "columns"))
	{
		const StoreColumn *column = lfirst(cell);

		appendStringInfo(&list, "%s%s %s%s", list.len > 0 ? ", " : "",
						 quote_identifier(column->name), column->type_name,
						 column->not_null ? " NOT NULL" : "");
		if (column->default_expression != NULL)
			appendStringInfo(&list, " DEFAULT %s", column->default_expression);
	}
	initStringInfo(&option);
	appendStringInfoString(&option, "{\"columns\": ");
	escape_json(&option, list.data);
	appendStringInfoChar(&option, '}');
	columns = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(option.data)));
	source->options = StoreOptionsMerge(source->options, columns);
}

static const StoreColumn *
find_column(const List *columns, const char *name)
{
	ListCell   *cell;

	foreach(cell, columns)
		if (strcmp(((StoreColumn *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

/* A column that says when; in a topic's records it may be a field that is no column. */
static void
check_time(const Source *source, const List *columns, const char *role, const char *name)
{
	const StoreColumn *column = find_column(columns, name);
	Oid			type;
	int32		typmod;

	if (column == NULL)
	{
		if (source->topic != NULL)
			return;
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("source \"%s\" has no column \"%s\" for its %s", source->name, name, role)));
	}
	parseTypeString(column->type_name, &type, &typmod, false);
	if (type != TIMESTAMPTZOID &&
		(type != TIMESTAMPOID || OptionText(source->options, "time_zone") == NULL))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" for the %s of source \"%s\" has type %s", name, role,
						source->name, format_type_be(type)),
				 errdetail("A point in time is a timestamptz."),
				 type == TIMESTAMPOID && OidIsValid(source->relation) ?
				 errhint("Say in which zone it is, with the option time_zone.") : 0));
}

static void
check_time_zone(const Jsonb *options)
{
	char	   *zone = OptionString(options, "time_zone");

	if (zone != NULL && pg_tzset(zone) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("time zone \"%s\" not recognized", zone)));
}

static void
refuse_for(const char *what, const char *option)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("option \"%s\" is not for a source that is a %s", option, what)));
}

/* That the source is one, and that its owner may read it. */
static void
check_source(Source *source)
{
	Oid			owner = get_role_oid(source->owner, false);
	List	   *columns;
	Store	   *store;

	source->columns = OptionString(source->options, "columns");
	source->store_options = RegistryWithout(source->options, not_of_stores);
	StoreOptionsCheck(source->store_options);
	check_time_zone(source->options);
	if (source->relation_text != NULL)
		check_relation(source, owner);
	else if (source->store != NULL)
	{
		store = StoreLookup(source->store, false);
		StoreCheckOwner(store);
		if (!StoreHasMember(store->name, owner))
			ereport(ERROR,
					(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
					 errmsg("role \"%s\" must be owner of store \"%s\"", source->owner, store->name)));
		if (source->event_time == NULL && find_column(store->columns, EVENT_TIME_COLUMN) != NULL)
			source->event_time = pstrdup(EVENT_TIME_COLUMN);
	}
	else
	{
		ServerOptionsCheckUsage(source->server, owner);
		if (source->columns == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("source \"%s\" needs the columns of its topic's records", source->name),
					 errhint("Give them as the option columns: a column list, or an Avro schema.")));
	}
	/* Only a relation is read by SQL of ours, which can convert. */
	if (source->relation_text == NULL && OptionText(source->options, "time_zone") != NULL)
		refuse_for(source->store != NULL ? "store" : "topic", "time_zone");
	if (source->topic == NULL)
		for (int i = 0; of_topics[i] != NULL; i++)
			if (OptionText(source->options, of_topics[i]) != NULL)
				refuse_for(source->store != NULL ? "store" : "relation", of_topics[i]);

	columns = source_columns(source);
	if (source->event_time != NULL)
		check_time(source, columns, "event time", source->event_time);
	if (source->created_time != NULL)
		check_time(source, columns, "created time", source->created_time);
}

/*
 * venice_create_source
 *		create_source(source, relation, store, server, topic, event_time, created_time,
 *		options).
 */
Datum
venice_create_source(PG_FUNCTION_ARGS)
{
	char	   *text = ArgumentText(fcinfo, 0, "source", true);
	Jsonb	   *options = ArgumentOptions(fcinfo, 7);
	Source		source = {0};
	Reference	reference;
	AuditChange change;

	RegistryLock(fcinfo);
	RegistryParseNew("source", text, &reference);
	RegistryCheckOptions(options, create_options,
						 "created_time, event_time, relation, server, store, topic");
	source.project = reference.project;
	source.name = reference.name;
	source.owner = RegistryOwner(options, NULL);
	source.relation = PG_ARGISNULL(1) ? InvalidOid : PG_GETARG_OID(1);
	source.relation_text = PG_ARGISNULL(1) ? NULL :
		DatumGetCString(DirectFunctionCall1(regclassout, PG_GETARG_DATUM(1)));
	source.store = ArgumentText(fcinfo, 2, "store", false);
	source.server = ArgumentText(fcinfo, 3, "server", false);
	source.topic = ArgumentText(fcinfo, 4, "topic", false);
	source.event_time = ArgumentText(fcinfo, 5, "event_time", false);
	source.created_time = ArgumentText(fcinfo, 6, "created_time", false);
	source.options = EntryOptionsMerge(NULL, options, kept_elsewhere);
	qualify_columns(&source, options);
	if ((source.relation_text != NULL) + (source.store != NULL) + (source.topic != NULL) != 1 ||
		(source.server != NULL) != (source.topic != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a source is exactly one of relation, store, and server with topic"),
				 errhint("For example venice.create_source(%s, relation => 'flights', event_time => 'dep_time').",
						 quote_literal_cstr(text))));

	AuditBegin(&change, "source", source.project, source.name, 0);
	if (change.before != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("source \"%s\" already exists", text)));
	check_source(&source);
	write_source(&source);
	AuditEnd(&change, "create");
	PG_RETURN_VOID();
}

/* The source of argument 0, whose owner the current user is. */
static Source *
owned_source(FunctionCallInfo fcinfo)
{
	char	   *text = ArgumentText(fcinfo, 0, "source", true);
	Source	   *source;

	RegistryLock(fcinfo);
	source = SourceLookup(text, false);
	RegistryCheckOwner("source", text, source->owner);
	return source;
}

static bool
has_key(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;

	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root), key,
										strlen(key), &buffer) != NULL;
}

/* A column of a source, and the view versions that read it. */
typedef struct ReadColumn
{
	char	   *name;
	List	   *users;			/* of RegistryUser */
} ReadColumn;

/* The columns that views read, as list of ReadColumn. */
static List *
columns_read(const Source *source)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *columns = NIL;
	ReadColumn *column = NULL;
	MemoryContext spi;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgText(&args, psprintf("%s.%s", source->project, source->name));
	rows = QueryRun("SELECT c.name, v.project::text, v.view_name::text, v.view_version "
					"FROM venice.feature_view v, LATERAL ("
					"SELECT pg_catalog.unnest(f.source_columns) FROM venice.feature f "
					"WHERE f.project = v.project AND f.view_name = v.view_name "
					"AND f.view_version = v.view_version "
					"UNION SELECT COALESCE(v.options -> 'keys' ->> k.name::text, k.name::text) "
					"FROM venice.entity e, LATERAL pg_catalog.unnest(e.key_names) AS k (name) "
					"WHERE (e.project || '.' || e.entity) = ANY (v.entities)) AS c (name) "
					"WHERE v.source = $1 ORDER BY c.name, v.project, v.view_name, v.view_version",
					&args);
	spi = MemoryContextSwitchTo(session.result_context);
	for (uint64 i = 0; i < rows; i++)
	{
		char	   *name = QueryText(i, 1, CurrentMemoryContext);
		RegistryUser *user = palloc0(sizeof(RegistryUser));

		user->reference.project = QueryText(i, 2, CurrentMemoryContext);
		user->reference.name = QueryText(i, 3, CurrentMemoryContext);
		user->reference.view_version = QueryInt4(i, 4, 0);
		if (column == NULL || strcmp(column->name, name) != 0)
		{
			column = palloc0(sizeof(ReadColumn));
			column->name = name;
			columns = lappend(columns, column);
		}
		column->users = lappend(column->users, user);
	}
	MemoryContextSwitchTo(spi);
	QueryEnd(&session);
	return columns;
}

/*
 * Raise 2BP01 naming what views read of the source that is not there any more, or is
 * of another type.
 */
static void
check_still_read(const Source *source, const List *old_columns, const List *new_columns)
{
	StringInfoData changes;
	ListCell   *cell;

	initStringInfo(&changes);
	foreach(cell, columns_read(source))
	{
		const ReadColumn *column = lfirst(cell);
		const StoreColumn *old = find_column(old_columns, column->name);
		const StoreColumn *new = find_column(new_columns, column->name);

		/* Keys of a topic's records are not among the columns. */
		if (new == NULL && (source->topic == NULL || old != NULL))
			appendStringInfo(&changes, "Column \"%s\" is not there, which is used by: %s. ",
							 column->name, RegistryUserList(column->users));
		else if (new != NULL && old != NULL && strcmp(old->type_name, new->type_name) != 0)
			appendStringInfo(&changes, "Column \"%s\" changes type from %s to %s, and is used by: %s. ",
							 column->name, old->type_name, new->type_name,
							 RegistryUserList(column->users));
	}
	if (changes.len == 0)
		return;
	changes.data[changes.len - 1] = '\0';
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("change to source \"%s\" is breaking", source->name),
			 errdetail_internal("%s", changes.data),
			 errhint("Make another source, and new view versions on it.")));
}

/* What stores have been made with does not change with the source. */
static void
check_not_used(const Source *source, const Jsonb *changes)
{
	static const char *const fixed[] = {
		"event_time", "fields", "key_format", "max_record_bytes", "max_rejected", "topic",
		"value_format", NULL
	};
	List	   *users = RegistryUsers("source", source->project, source->name);

	for (int i = 0; users != NIL && fixed[i] != NULL; i++)
		if (has_key(changes, fixed[i]))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("change to source \"%s\" is breaking", source->name),
					 errdetail("Option \"%s\" is that of stores which were made for it. Used by: %s.",
							   fixed[i], RegistryUserList(users)),
					 errhint("Change the stores with venice.alter_store, or make another source.")));
}

/* Stores of views have a column for the event time, or none, as long as they are there. */
static void
check_event_time_stays(const Source *source, bool had_event_time)
{
	List	   *users;

	if (had_event_time == (source->event_time != NULL))
		return;
	users = RegistryUsers("source", source->project, source->name);
	if (users != NIL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("change to source \"%s\" is breaking", source->name),
				 had_event_time ?
				 errdetail("Views on it have its event time. Used by: %s.", RegistryUserList(users)) :
				 errdetail("Views on it have no event time. Used by: %s.", RegistryUserList(users)),
				 errhint("Make another source, and new view versions on it.")));
}

/* An argument of create_source as the options have it: as it was unless it is among them. */
static char *
changed_text(const Jsonb *changes, const char *key, char *before)
{
	return has_key(changes, key) ? OptionString(changes, key) : before;
}

/* Of views' own stores, that read their past from the source. */
static void
renew_past_functions(const Source *source)
{
	List	   *stores = NIL;
	QuerySession session;
	QueryArgs	args = {0};
	ListCell   *cell;

	QueryBeginRegistry(&session);
	QueryArgText(&args, psprintf("%s.%s", source->project, source->name));
	(void) QueryRun("SELECT pg_catalog.array_agg(store_name::text ORDER BY store_name) "
					"FROM venice.feature_view WHERE source = $1 AND owns_store", &args);
	stores = QueryTexts(0, 1, session.result_context);
	QueryEnd(&session);
	foreach(cell, stores)
	{
		Store	   *store;

		StoreLock(lfirst(cell), ExclusiveLock);
		StoreLockRow(lfirst(cell));
		store = StoreLookup(lfirst(cell), true);
		if (store != NULL)
			PastFunctionsRenew(store);
	}
}

/*
 * venice_alter_source
 *		alter_source(source, options).
 */
Datum
venice_alter_source(PG_FUNCTION_ARGS)
{
	Source	   *source = owned_source(fcinfo);
	Jsonb	   *changes = ArgumentOptions(fcinfo, 1);
	List	   *columns;
	char	   *relation;
	bool		had_event_time = source->event_time != NULL;
	AuditChange change;

	RegistryCheckOptions(changes, alter_options, NULL);
	if (source->topic != NULL)
		check_not_used(source, changes);
	columns = source_columns(source);
	relation = OptionString(changes, "relation");
	if (relation != NULL && source->relation_text == NULL)
		refuse_for(source->store != NULL ? "store" : "topic", "relation");
	if (OptionString(changes, "topic") != NULL && source->topic == NULL)
		refuse_for(source->store != NULL ? "store" : "relation", "topic");

	AuditBegin(&change, "source", source->project, source->name, 0);
	if (relation != NULL)
		source->relation = DatumGetObjectId(DirectFunctionCall1(regclassin,
																CStringGetDatum(relation)));
	if (OptionString(changes, "topic") != NULL)
		source->topic = OptionString(changes, "topic");
	source->event_time = changed_text(changes, "event_time", source->event_time);
	source->created_time = changed_text(changes, "created_time", source->created_time);
	source->owner = RegistryOwner(changes, source->owner);
	source->options = EntryOptionsMerge(source->options, changes, kept_elsewhere);
	qualify_columns(source, changes);
	check_source(source);
	check_event_time_stays(source, had_event_time);
	check_still_read(source, columns, source_columns(source));
	write_source(source);
	renew_past_functions(source);
	AuditEnd(&change, "alter");
	PG_RETURN_VOID();
}

/*
 * venice_drop_source
 *		drop_source(source, force).
 */
Datum
venice_drop_source(PG_FUNCTION_ARGS)
{
	Source	   *source = owned_source(fcinfo);
	QuerySession session;
	QueryArgs	args = {0};
	AuditChange change;

	RegistryDropUsers("source", "source", source->project, source->name,
					  !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	AuditBegin(&change, "source", source->project, source->name, 0);
	QueryBeginRegistry(&session);
	QueryArgText(&args, source->project);
	QueryArgText(&args, source->name);
	(void) QueryRun("DELETE FROM venice.source WHERE project = $1::name AND source = $2::name", &args);
	QueryEnd(&session);
	AuditEnd(&change, "drop");
	PG_RETURN_VOID();
}
