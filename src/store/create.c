/*-------------------------------------------------------------------------
 *
 * create.c
 *		Making, altering and dropping stores, for the SQL functions and for
 *		other rooms.
 *
 * A feature view has a store of its own or uses somebody's: what would take that
 * away from it is refused here.
 *
 * Locks: StoreLock, exclusively; those of the DDL.
 * Must not know: how versions are filled or swapped, what a feature view is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/create.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_tablespace.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "commands/schemacmds.h"
#include "commands/tablespace.h"
#include "commands/tablecmds.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "avro/reader.h"
#include "apply/expire.h"
#include "apply/log.h"
#include "apply/outbox.h"
#include "catalog/audit.h"
#include "catalog/node.h"
#include "catalog/pointer.h"
#include "catalog/store.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/server_options.h"
#include "common/shmem.h"
#include "read/cache.h"
#include "store/arguments.h"
#include "store/definition.h"
#include "version/columns.h"
#include "version/functions.h"
#include "version/gate.h"
#include "version/history.h"
#include "version/layout.h"
#include "version/retire.h"

PG_FUNCTION_INFO_V1(venice_create_store);
PG_FUNCTION_INFO_V1(venice_alter_store);
PG_FUNCTION_INFO_V1(venice_drop_store);
PG_FUNCTION_INFO_V1(venice_register_value_schema);
PG_FUNCTION_INFO_V1(venice_rebuild_functions);
PG_FUNCTION_INFO_V1(venice_effective_options);

bool
StoreNameIsReserved(const char *name)
{
	const char *history = "_history";
	size_t		length = strlen(name);
	size_t		digits = 0;

	if (length >= strlen(history) && strcmp(name + length - strlen(history), history) == 0)
		return true;
	while (digits < length && isdigit((unsigned char) name[length - 1 - digits]))
		digits++;
	return digits > 0 && length >= digits + 2 && strncmp(name + length - digits - 2, "_v", 2) == 0;
}

static void
check_store_name(const char *name)
{
	if (name[0] == '\0' || strlen(name) > STORE_NAME_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid store name: \"%s\"", name),
				 errdetail("A store's name has 1 to %d bytes.", STORE_NAME_MAX_BYTES)));
	if (StoreNameIsReserved(name))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid store name: \"%s\"", name),
				 errdetail("Endings like \"_v8\" and \"_history\" are for the schemas that belong to a store.")));
	if (StoreLookup(name, true) != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("store \"%s\" already exists", name)));
	if (OidIsValid(get_namespace_oid(name, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", name),
				 errhint("A store is a schema: choose another name.")));
}

/* The options' owner, of whom the caller must be a member; the caller without one. */
static Oid
owner_from_options(const Jsonb *options)
{
	char	   *name = OptionText(options, "owner");
	Oid			owner;

	if (name == NULL)
		return GetUserId();
	owner = get_role_oid(name, false);
	check_can_set_role(GetUserId(), owner);
	return owner;
}

/* The options but the owner, who is kept by the schema. */
static Jsonb *
without_owner(const Jsonb *options)
{
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_delete, PointerGetDatum(options),
											  CStringGetTextDatum("owner")));
}

/* As CREATE TABLE demands it of the owner, who could not be pushed to otherwise. */
static void
check_tablespace(const char *name, Oid owner)
{
	Oid			tablespace = get_tablespace_oid(name, false);
	AclResult	acl = ACLCHECK_OK;

	if (tablespace == GLOBALTABLESPACE_OID)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("only shared relations can be placed in pg_global tablespace")));
	if (tablespace != MyDatabaseTableSpace)
		acl = object_aclcheck(TableSpaceRelationId, tablespace, owner, ACL_CREATE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_TABLESPACE, name);
}

/* What needs more than one option, or the columns, to be seen. */
static void
check_consistency(const StoreOptions *options, Oid owner, const List *columns,
				  const char *key_schema, const char *value_schema)
{
	static const char *const scalar_formats[] = {"text", "int4", "int8", "uuid"};
	int			keys = 0;
	ListCell   *cell;

	HistoryCheckOptions(options);
	foreach(cell, columns)
		if (((StoreColumn *) lfirst(cell))->is_key)
			keys++;
	for (int i = 0; i < lengthof(scalar_formats); i++)
		if (keys > 1 && strcmp(options->key_format, scalar_formats[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("key format \"%s\" needs exactly one key column, not %d",
							options->key_format, keys)));
	if (strcmp(options->value_format, "avro") == 0 && value_schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("value format \"avro\" needs the writer's schema"),
				 errhint("Give the Avro schema instead of a column list.")));
	if (strcmp(options->key_format, "avro") == 0 && key_schema == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("key format \"avro\" needs the writer's schema"),
				 errhint("Give the Avro schema instead of a column list.")));
	if (options->tablespace != NULL)
		check_tablespace(options->tablespace, owner);
	if (options->fields != NULL)
	{
		JsonbIterator *iterator = JsonbIteratorInit(&options->fields->root);
		JsonbValue	token;
		JsonbIteratorToken kind;

		while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
		{
			bool		found = false;
			char	   *name;

			if (kind != WJB_KEY)
				continue;
			name = pnstrdup(token.val.string.val, token.val.string.len);
			foreach(cell, columns)
				found |= strcmp(((StoreColumn *) lfirst(cell))->name, name) == 0;
			if (!found)
				ereport(ERROR,
						(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						 errmsg("option \"fields\" names column \"%s\", which the store does not have",
								name)));
		}
	}
}

static void
write_columns(const char *store, const List *columns)
{
	int			position = 0;
	ListCell   *cell;

	foreach(cell, columns)
	{
		StoreColumn *column = lfirst(cell);
		QueryArgs	args = {0};

		QueryArgText(&args, store);
		QueryArgInt4(&args, ++position);
		QueryArgText(&args, column->name);
		QueryArgBool(&args, column->is_key);
		QueryArgText(&args, column->type_name);
		QueryArgBool(&args, column->not_null);
		QueryArgText(&args, column->default_expression);
		QueryArgText(&args, column->source_type);
		(void) QueryRun("INSERT INTO venice.store_column "
						"VALUES ($1::name, $2, $3::name, $4, $5, $6, $7, $8)", &args);
	}
}

/*
 * The first store that Kafka fills makes this the node that ingests.  Where there
 * are such stores already, restored ones, that is for resume_ingestion to say.
 */
static void
enable_node(void)
{
	QuerySession session;
	bool		first;

	QueryBeginRegistry(&session);
	first = QueryRun("SELECT FROM venice.store WHERE server_name IS NOT NULL "
					 "OR options ? 'real_time_topics' LIMIT 1", NULL) == 0;
	QueryEnd(&session);
	if (first)
		NodeEnable();
}

/* Version 0, so that readers never meet a missing relation. */
static void
create_first_version(Store *store)
{
	QuerySession session;
	QueryArgs	args = {0};
	const char *schema = quote_identifier(store->name);

	(void) VersionCreate(store, 0, VERSION_CURRENT, "empty");
	store->schema_oid = get_namespace_oid(store->name, false);
	QueryBegin(&session, store->owner);
	QueryRunf("ALTER TABLE %s.records ADD CONSTRAINT records_pkey PRIMARY KEY (%s)", schema,
			  KeyColumnList(store, ""));
	GateCreate(store->name);
	VersionSeal(store, store->options, store->name);
	QueryEnd(&session);
	GeneratedFunctionsCreate(store, store->schema_oid);

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgJsonb(&args, StoreOptionsEffective(store->set_options));
	(void) QueryRun("INSERT INTO venice.store_version (store_name, version, state, origin, push_id, "
					"options, rows, ended_time) "
					"VALUES ($1::name, 0, 'current', 'empty', '', $2, 0, pg_catalog.now())", &args);
	QueryEnd(&session);
	VersionPointerWrite(store->name, 0, get_relname_relid("records", store->schema_oid));
	VersionDescribe(store, VersionLookup(store->name, 0, false));
}

/* Subscribers of such a publication meet each version as a table that they do not know. */
static void
warn_of_publications(void)
{
	QuerySession session;
	char	   *names = NULL;

	QueryBeginRegistry(&session);
	(void) QueryRun("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(pubname), ', ') "
					"FROM pg_catalog.pg_publication WHERE puballtables", NULL);
	names = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	if (names != NULL)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("publication of all tables includes every version of a store"),
				 errdetail("Publication: %s.", names),
				 errhint("Subscribers do not know the tables of new versions: publish the tables or schemas that you mean.")));
}

/* Confluent-framed is the default, so that it may not be meant. */
static void
warn_of_missing_registry(const Store *store)
{
	const StoreOptions *options = store->options;

	if ((strcmp(options->key_format, "confluent-avro") == 0 ||
		 strcmp(options->value_format, "confluent-avro") == 0) &&
		ServerOptionsGet(store->server, store->owner, CurrentMemoryContext)->registry.url == NULL)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("server \"%s\" has no schema registry", store->server),
				 errdetail("The store's format \"confluent-avro\" refers to schemas by their ids."),
				 errhint("Set the server's option schema_registry_url, or the store's options key_format and value_format.")));
}

/* The owner may use what the store is filled from, and its topics can be. */
static void
check_servers(const Store *store, const StoreOptions *options, Oid owner)
{
	ListCell   *cell;

	if (store->server != NULL)
		ServerOptionsCheckUsage(store->server, owner);
	foreach(cell, options->real_time_topics)
	{
		const RealTimeTopic *topic = lfirst(cell);

		TopicCheckName(RealTimeTopicName(topic, store->name), "real_time_topics", store->name);
		ServerOptionsCheckUsage(topic->server, owner);
	}
}

/* The store's wish is kept, for when there is such memory. */
static void
notice_missing_cache(const char *store)
{
	if (!CacheIsConfigured())
		ereport(NOTICE,
				(errmsg("this server has no memory for the rows of store \"%s\"", store),
				 errhint("Set \"venice.cache_size\" and restart the server.")));
}

/* A store as the audit keeps it; NULL when there is none. */
static Jsonb *
describe_store(const char *name)
{
	QuerySession session;
	QueryArgs	args = {0};
	Jsonb	   *definition = NULL;

	QueryBeginRegistry(&session);
	QueryArgText(&args, name);
	if (QueryRun("SELECT pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('name', s.store_name, "
				 "'owner', pg_catalog.pg_get_userbyid(n.nspowner), 'server', s.server_name, "
				 "'key', (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || "
				 "c.column_type, ', ' ORDER BY c.position) FROM venice.store_column c "
				 "WHERE c.store_name = s.store_name AND c.is_key), "
				 "'value', (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(c.column_name) || ' ' || "
				 "c.column_type, ', ' ORDER BY c.position) FROM venice.store_column c "
				 "WHERE c.store_name = s.store_name AND NOT c.is_key))) || s.options "
				 "FROM venice.store s LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = s.store_name "
				 "WHERE s.store_name = $1::name", &args) == 1)
		definition = QueryJsonb(0, 1, session.result_context);
	QueryEnd(&session);
	return definition;
}

/* owner is a member's who may read of it: the one that the store has now, or had. */
static void
audit_store(const char *action, const Store *store, Oid owner, const Jsonb *before)
{
	Jsonb	   *after = describe_store(store->name);

	if (before == NULL || after == NULL || VARSIZE(before) != VARSIZE(after) ||
		memcmp(before, after, VARSIZE(after)) != 0)
		AuditWrite(action, "store", NULL, store->name,
				   OidIsValid(owner) ? GetUserNameFromId(owner, true) : NULL, before, after);
}

Store *
StoreCreate(const StoreSpec *spec)
{
	Store	   *store;
	Jsonb	   *none;
	QuerySession session;
	QueryArgs	args = {0};
	AclResult	acl;

	acl = object_aclcheck(DatabaseRelationId, MyDatabaseId, GetUserId(), ACL_CREATE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_DATABASE, get_database_name(MyDatabaseId));
	StoreLock(spec->name, ExclusiveLock);
	check_store_name(spec->name);

	store = palloc0(sizeof(Store));
	store->name = spec->name;
	store->owner = spec->owner;
	store->server = spec->server;
	none = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	store->set_options = StoreOptionsMerge(none, without_owner(spec->options));
	store->options = StoreOptionsParse(store->set_options);
	store->key_schema = spec->key_schema;
	store->value_schema = spec->value_schema;
	store->columns = spec->columns;
	DefinitionCheck(store->columns);
	check_consistency(store->options, store->owner, store->columns, store->key_schema,
					  store->value_schema);
	check_servers(store, store->options, store->owner);
	if (store->server != NULL)
		warn_of_missing_registry(store);
	warn_of_publications();
	if (store->options->cache)
		notice_missing_cache(store->name);

	if (store->server != NULL || store->options->real_time_topics != NIL)
		enable_node();
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, store->server);
	QueryArgText(&args, store->key_schema);
	QueryArgText(&args, store->value_schema);
	QueryArgJsonb(&args, store->set_options);
	(void) QueryRun("INSERT INTO venice.store (store_name, server_name, key_schema, value_schema, options) "
					"VALUES ($1::name, $2::name, $3, $4, $5)", &args);
	write_columns(store->name, store->columns);
	args.count = 1;
	(void) QueryRun("INSERT INTO venice.store_stat (store_name) VALUES ($1::name)", &args);
	QueryEnd(&session);

	create_first_version(store);
	if (store->options->history)
	{
		HistoryCreate(store);
		PastFunctionsRenew(store);
	}
	audit_store("create", store, store->owner, NULL);
	SupervisorWakeAtCommit();
	return store;
}

/*
 * venice_create_store
 *		create_store(store, key, value, server, options).
 */
Datum
venice_create_store(PG_FUNCTION_ARGS)
{
	char	   *key = ArgumentText(fcinfo, 1, "key", true);
	char	   *value = ArgumentText(fcinfo, 2, "value", true);
	StoreSpec	spec = {0};

	spec.name = ArgumentText(fcinfo, 0, "store", true);
	spec.server = ArgumentText(fcinfo, 3, "server", false);
	spec.options = ArgumentOptions(fcinfo, 4);
	FunctionRequireWritable(fcinfo);
	StoreOptionsCheck(spec.options);
	spec.owner = owner_from_options(spec.options);
	spec.key_schema = DefinitionIsAvro(key) ? key : NULL;
	spec.value_schema = DefinitionIsAvro(value) ? value : NULL;
	spec.columns = list_concat(DefinitionParse(key, true, "key"),
							   DefinitionParse(value, false, "value"));
	(void) StoreCreate(&spec);
	PG_RETURN_VOID();
}

/* The type of a column as it is now, which may have been renamed since. */
static void
column_type(const Store *store, const StoreColumn *column, Oid *type, int32 *modifier)
{
	Oid			records = get_relname_relid("records", store->schema_oid);
	AttrNumber	attribute = OidIsValid(records) ? get_attnum(records, column->name) :
		InvalidAttrNumber;

	if (attribute != InvalidAttrNumber)
	{
		Oid			collation;

		get_atttypetypmodcoll(records, attribute, type, modifier, &collation);
	}
	else
		parseTypeString(column->type_name, type, modifier, false);
}

bool
StoreTypeWidens(Oid from, int32 from_modifier, Oid to, int32 to_modifier)
{
	static const struct
	{
		Oid			from;
		Oid			to;
	}			widenings[] = {
		{INT2OID, INT4OID}, {INT2OID, INT8OID}, {INT2OID, NUMERICOID},
		{INT4OID, INT8OID}, {INT4OID, NUMERICOID}, {INT4OID, FLOAT8OID},
		{INT8OID, NUMERICOID}, {FLOAT4OID, FLOAT8OID}, {VARCHAROID, TEXTOID}
	};

	if (from == to)
		return from_modifier == to_modifier || to_modifier == -1 ||
			(from == VARCHAROID && from_modifier != -1 && from_modifier < to_modifier);
	for (int i = 0; i < lengthof(widenings); i++)
		if (widenings[i].from == from && widenings[i].to == to)
			return to_modifier == -1;
	return false;
}

/* Raise 2BP01 naming every change that a reader or a running producer would notice. */
static void
check_compatible(const Store *store, const List *new_columns)
{
	StringInfoData changes;
	ListCell   *cell;
	ListCell   *other;

	initStringInfo(&changes);
	foreach(cell, store->columns)
	{
		StoreColumn *old = lfirst(cell);
		StoreColumn *new = NULL;
		Oid			old_type;
		Oid			new_type;
		int32		old_modifier;
		int32		new_modifier;

		if (old->is_key || strcmp(old->name, EVENT_TIME_COLUMN) == 0)
			continue;
		foreach(other, new_columns)
			if (strcmp(((StoreColumn *) lfirst(other))->name, old->name) == 0)
				new = lfirst(other);
		if (new == NULL)
		{
			appendStringInfo(&changes, "Column \"%s\" is removed. ", old->name);
			continue;
		}
		column_type(store, old, &old_type, &old_modifier);
		parseTypeString(new->type_name, &new_type, &new_modifier, false);
		if (!StoreTypeWidens(old_type, old_modifier, new_type, new_modifier))
			appendStringInfo(&changes, "Column \"%s\" changes type from %s to %s. ", old->name,
							 old->type_name, new->type_name);
		if (new->not_null && !old->not_null)
			appendStringInfo(&changes, "Column \"%s\" becomes NOT NULL. ", old->name);
	}
	foreach(other, new_columns)
	{
		StoreColumn *new = lfirst(other);
		bool		known = false;

		foreach(cell, store->columns)
			known |= strcmp(((StoreColumn *) lfirst(cell))->name, new->name) == 0;
		if (!known && new->not_null && new->default_expression == NULL)
			appendStringInfo(&changes, "New column \"%s\" is NOT NULL and has no default. ",
							 new->name);
	}
	if (changes.len > 0)
	{
		changes.data[changes.len - 1] = '\0';
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("change to the columns of store \"%s\" is breaking", store->name),
				 errdetail_internal("%s", changes.data),
				 errhint("Make another store for the new shape, and move its readers.")));
	}
}

void
StoreChangeOwner(const Store *store, Oid owner)
{
	UserContext user;
	ListCell   *cell;

	check_servers(store, store->options, owner);
	UserContextEnter(&user, ExtensionOwner());
	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);
		const char *tables[] = {"records", "tombstones", GateName(version->number)};
		Oid			schema = VersionSchema(store, version);

		if (!OidIsValid(schema))
			continue;
		AlterSchemaOwner_oid(schema, owner);
		for (int i = 0; i < lengthof(tables); i++)
		{
			Oid			table = get_relname_relid(tables[i], schema);

			if (OidIsValid(table))
				ATExecChangeOwner(table, owner, false, AccessExclusiveLock);
		}
		GeneratedFunctionsChangeOwner(schema, owner);
	}
	UserContextLeave(&user);
	HistoryChangeOwner(store, owner);
	CommandCounterIncrement();
}

static StoreColumn *
find_column(const List *columns, const char *name)
{
	ListCell   *cell;

	foreach(cell, columns)
		if (strcmp(((StoreColumn *) lfirst(cell))->name, name) == 0)
			return lfirst(cell);
	return NULL;
}

static bool
is_not_null(Oid records, const char *column)
{
	HeapTuple	tuple = SearchSysCacheAttName(records, column);
	bool		result = HeapTupleIsValid(tuple) &&
		((Form_pg_attribute) GETSTRUCT(tuple))->attnotnull;

	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return result;
}

/* Is it another one than it was, which only a new table shows? */
static bool
has_changed(const Store *store, const StoreColumn *old, const StoreColumn *new)
{
	Oid			records = get_relname_relid("records", store->schema_oid);
	Oid			old_type;
	Oid			new_type;
	int32		old_modifier;
	int32		new_modifier;

	column_type(store, old, &old_type, &old_modifier);
	parseTypeString(new->type_name, &new_type, &new_modifier, false);
	return old_type != new_type || old_modifier != new_modifier ||
		is_not_null(records, new->name) != new->not_null ||
		(old->default_expression == NULL) != (new->default_expression == NULL) ||
		(old->default_expression != NULL &&
		 strcmp(old->default_expression, new->default_expression) != 0);
}

/* What of the store's columns the current version does not have: "a", "b", their order. */
static char *
left_for_next_version(const Store *store, const List *old_columns)
{
	Oid			records = get_relname_relid("records", store->schema_oid);
	AttrNumber	last = InvalidAttrNumber;
	bool		in_order = true;
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);
		const StoreColumn *old = find_column(old_columns, column->name);
		AttrNumber	attribute = get_attnum(records, column->name);

		if (column->is_key || strcmp(column->name, EVENT_TIME_COLUMN) == 0)
			continue;
		if (attribute == InvalidAttrNumber || (old != NULL && has_changed(store, old, column)))
			ItemListAppend(&list, "\"%s\"", column->name);
		in_order &= attribute == InvalidAttrNumber || attribute > last;
		last = Max(last, attribute);
	}
	if (!in_order)
		ItemListAppend(&list, "their order");
	return list.len > 0 ? list.data : NULL;
}

char *
StoreChangeColumns(Store *store, List *value_columns, const char *value_schema)
{
	List	   *old_columns = store->columns;
	List	   *columns = NIL;
	QuerySession session;
	QueryArgs	args = {0};
	ListCell   *cell;

	check_compatible(store, value_columns);
	foreach(cell, store->columns)
		if (((StoreColumn *) lfirst(cell))->is_key)
			columns = lappend(columns, lfirst(cell));
	columns = list_concat(columns, value_columns);
	foreach(cell, store->columns)
		if (strcmp(((StoreColumn *) lfirst(cell))->name, EVENT_TIME_COLUMN) == 0)
			columns = lappend(columns, lfirst(cell));
	DefinitionCheck(columns);
	store->columns = columns;
	store->value_schema = value_schema ? pstrdup(value_schema) : NULL;

	/* Who has looked at the versions' columns is to look again. */
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgText(&args, value_schema);
	(void) QueryRun("UPDATE venice.store SET value_schema = $2, generation = generation + 1 "
					"WHERE store_name = $1::name", &args);
	args.count = 1;
	(void) QueryRun("DELETE FROM venice.store_column WHERE store_name = $1::name", &args);
	write_columns(store->name, columns);
	QueryEnd(&session);
	VersionsAddColumns(store, HistoryTablesToChange(store));
	HistoryFollowColumns(store);
	PastFunctionsRenew(store);
	return left_for_next_version(store, old_columns);
}

/*
 * "project.view@1, …" of those that use the store, or of those that it belongs to; NULL
 * for none.  Who makes a view on a store of others holds its StoreLock, too.
 */
static char *
feature_views(const char *store, bool owned_only)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *names;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgBool(&args, owned_only);
	(void) QueryRunLatest("SELECT pg_catalog.string_agg(CASE project WHEN 'default' THEN '' ELSE "
						  "project || '.' END || view_name || '@' || view_version, ', ' "
						  "ORDER BY project, view_name, view_version) FROM venice.feature_view "
						  "WHERE store_name = $1::name AND (owns_store OR NOT $2)", &args);
	names = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return names;
}

/* Whether rows are cached is remembered by readers together with the versions' tables. */
static void
forget_caching(const Store *store)
{
	ListCell   *cell;

	foreach(cell, VersionList(store->name))
	{
		Oid			records = VersionRecords(lfirst(cell));

		if (OidIsValid(records))
			CacheInvalidateRelcacheByRelid(records);
	}
}

/* Views that a history is kept for: "project.view@1, …". */
static char *
views_with_history(const char *store)
{
	QuerySession session;
	QueryArgs	args = {0};
	char	   *names;

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	(void) QueryRunLatest("SELECT pg_catalog.string_agg(CASE project WHEN 'default' THEN '' ELSE "
						  "project || '.' END || view_name || '@' || view_version, ', ' "
						  "ORDER BY project, view_name, view_version) FROM venice.feature_view v "
						  "WHERE store_name = $1::name AND offline AND (options ->> 'history' = 'copy' "
						  "OR NOT EXISTS (SELECT FROM venice.source s WHERE s.relation IS NOT NULL "
						  "AND v.source = s.project || '.' || s.source))", &args);
	names = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	return names;
}

/* One that there is goes only when nothing is lost by that. */
static void
change_history(Store *store, StoreOptions *options)
{
	char	   *views = views_with_history(store->name);

	store->options = options;
	if (options->history)
		HistoryCreate(store);
	else if (views != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("feature views need the history of store \"%s\"", store->name),
				 errdetail("Feature views: %s.", views),
				 errhint("Make them offline => false, or drop them.")));
	else if (HistoryHasRows(store))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("history of store \"%s\" has rows", store->name),
				 errhint("If they are not needed any more, TRUNCATE %s first.",
						 quote_qualified_identifier(psprintf("%s_history", store->name), "rows"))));
	else
		HistoryDrop(store, false);
	PastFunctionsRenew(store);
}

void
StoreKeepHistory(Store *store)
{
	QuerySession session;
	QueryArgs	args = {0};

	if (OidIsValid(HistoryRelation(store)))
		return;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	(void) QueryRun("UPDATE venice.store SET options = options || '{\"history\": true}' "
					"WHERE store_name = $1::name", &args);
	QueryEnd(&session);
	store->options->history = true;
	HistoryCreate(store);
	PastFunctionsRenew(store);
}

/* What was written before there was a ttl says when only where that decides who wins. */
static void
change_ttl(const Store *store, const StoreOptions *options)
{
	ExpireSoon(store->name);
	if (options->ttl_us > 0 &&
		get_attnum(get_relname_relid("records", store->schema_oid),
				   METADATA_COLUMN) == InvalidAttrNumber)
		ereport(NOTICE,
				(errmsg("rows of store \"%s\" expire from the next version on", store->name),
				 errdetail("Those of the current one do not say when they were written."),
				 errhint("Make one with venice.repush(%s).", quote_literal_cstr(store->name))));
}

/*
 * venice_alter_store
 *		alter_store(store, options, value).
 */
Datum
venice_alter_store(PG_FUNCTION_ARGS)
{
	Jsonb	   *changes;
	Store	   *store;
	char	   *value;
	char	   *later;
	char	   *later_columns = NULL;
	char	   *view;
	QuerySession session;
	QueryArgs	args = {0};
	StoreOptions *options;
	Jsonb	   *merged;
	Jsonb	   *before;
	Oid			owner;
	bool		had_cache;

	store = ArgumentOwnedStore(fcinfo);
	StoreCheckSchema(store);
	changes = ArgumentOptions(fcinfo, 1);
	value = ArgumentText(fcinfo, 2, "value", false);
	StoreOptionsCheck(changes);

	merged = StoreOptionsMerge(store->set_options, without_owner(changes));
	options = StoreOptionsParse(merged);
	view = feature_views(store->name, true);
	if (view != NULL && (value != NULL || OptionText(changes, "owner") != NULL))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("columns and owner of store \"%s\" are those of its feature view", store->name),
				 errdetail("Feature view: %s.", view),
				 errhint("Change them with venice.alter_feature_view(%s).", quote_literal_cstr(view))));
	before = describe_store(store->name);
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgJsonb(&args, merged);
	(void) QueryRun("UPDATE venice.store SET options = $2 WHERE store_name = $1::name", &args);
	QueryEnd(&session);
	if (value != NULL)
		later_columns = StoreChangeColumns(store, DefinitionParse(value, false, "value"),
										   DefinitionIsAvro(value) ? value : NULL);
	check_consistency(options, store->owner, store->columns, store->key_schema,
					  store->value_schema);
	check_servers(store, options, store->owner);
	if (options->real_time_topics != NIL && store->server == NULL &&
		store->options->real_time_topics == NIL)
		enable_node();
	had_cache = store->options->cache;
	if (options->ttl_us != store->options->ttl_us)
		change_ttl(store, options);
	if (options->history != OidIsValid(HistoryRelation(store)))
		change_history(store, options);
	owner = store->owner;
	if (OptionText(changes, "owner") != NULL)
	{
		owner = owner_from_options(changes);
		StoreChangeOwner(store, owner);
	}
	audit_store("alter", store, owner, before);

	forget_caching(store);
	if (options->cache && !had_cache)
		notice_missing_cache(store->name);
	later = StoreOptionsNextVersion(changes);
	if (later != NULL || later_columns != NULL)
		ereport(NOTICE,
				(errmsg("change to store \"%s\" applies from the next version", store->name),
				 errdetail("%s%s%s%s%s.", later != NULL ? "Options: " : "", later != NULL ? later : "",
						   later != NULL && later_columns != NULL ? ". " : "",
						   later_columns != NULL ? "Value columns: " : "",
						   later_columns != NULL ? later_columns : "")));
	SupervisorWakeAtCommit();
	PG_RETURN_VOID();
}

/* What depends on a version is named; here one can be rid of that too. */
static void
drop_version_or_say_how(const Store *store, const Version *version)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		VersionDropSchema(store, version, 0);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
			PG_RE_THROW();
		FlushErrorState();
		error->hint = pstrdup("Drop them first, or drop them too with force => true.");
		ReThrowError(error);
	}
	PG_END_TRY();
}

void
StoreDrop(const Store *store, bool force)
{
	static const char *const tables[] = {
		"compacted_partition", "expiry_look", "lagging_view", "left_version", "partition_state", "push",
		"rejected_record",
		"store_column", "store_schema", "store_stat", "store_version",
		"unlogged_partition_state", "unlogged_version", "version_table", "store"
	};
	Version    *future = VersionFuture(store->name);
	Jsonb	   *before = describe_store(store->name);
	QuerySession session;
	QueryArgs	args = {0};
	ListCell   *cell;
	int64		left;

	/* Of a store whose schema is gone there is nothing left to be careful about. */
	force |= !OidIsValid(store->schema_oid);
	if (future != NULL && !force)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("a push to store \"%s\" is running", store->name),
				 errdetail("Push \"%s\" fills version %d.", future->push_id, future->number),
				 errhint("Stop it with venice.abort_push(%s), or drop with force => true.",
						 quote_literal_cstr(store->name))));
	if (store->server != NULL || StoreIsProduced(store))
		IngestionStop(store->name, -1);

	foreach(cell, VersionList(store->name))
	{
		Version    *version = lfirst(cell);
		Oid			schema_oid = VersionSchema(store, version);
		char	   *schema;

		if (!OidIsValid(schema_oid))
			continue;
		schema = get_namespace_name(schema_oid);
		if (force)
		{
			QueryBegin(&session, SchemaOwner(schema_oid));
			/* That it takes our own objects along is not news. */
			(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
									 GUC_ACTION_SAVE, true, 0, false);
			QueryRunf("DROP SCHEMA %s CASCADE", quote_identifier(schema));
			QueryEnd(&session);
			continue;
		}
		if (schema_oid == store->schema_oid)
		{
			QueryBegin(&session, store->owner);
			QueryRunf("DROP TABLE %s", quote_qualified_identifier(schema, GateName(version->number)));
			QueryEnd(&session);
		}
		drop_version_or_say_how(store, version);
	}

	LogDrop(store);
	left = OutboxDrop(store);
	if (left > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg_plural("%lld write to store \"%s\" had not been produced",
							   "%lld writes to store \"%s\" had not been produced", left,
							   (long long) left, store->name)));
	HistoryDrop(store, force);
	VersionPointerRemove(store->name);
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	for (int i = 0; i < lengthof(tables); i++)
		(void) QueryRun(psprintf("DELETE FROM venice.%s WHERE store_name = $1::name", tables[i]),
						&args);
	QueryEnd(&session);
	audit_store("drop", store, store->owner, before);
}

/*
 * venice_drop_store
 *		drop_store(store, force).
 */
Datum
venice_drop_store(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *views = feature_views(store->name, false);

	if (views != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop store \"%s\" because feature views use it", store->name),
				 errdetail("Feature views: %s.", views),
				 errhint("Drop them with venice.drop_feature_view: a store that was made with its view goes with it.")));
	StoreDrop(store, !PG_ARGISNULL(1) && PG_GETARG_BOOL(1));
	PG_RETURN_VOID();
}

/*
 * venice_register_value_schema
 *		register_value_schema(store, schema, schema_id).
 */
Datum
venice_register_value_schema(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);
	char	   *schema = ArgumentText(fcinfo, 1, "schema", true);
	QuerySession session;
	QueryArgs	args = {0};
	DecodeError error;
	const char *texts[1];
	Jsonb	   *registered = NULL;
	bool		conflict;

	if (strcmp(store->options->value_format, "confluent-avro") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("records of store \"%s\" carry no schema ids", store->name),
				 errdetail("Its value format is \"%s\".", store->options->value_format),
				 errhint("Change the schema itself with venice.alter_store(%s, value => ...).",
						 quote_literal_cstr(store->name))));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("schema_id must not be null"),
				 errhint("Give the id that producers put into the records.")));
	if (PG_GETARG_INT32(2) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("schema_id must not be negative")));
	texts[0] = schema;
	if (AvroReaderCreate(texts, 1, NULL, NULL, 0, CurrentMemoryContext, &error) == NULL)
		ereport(ERROR,
				(errcode(error.sqlstate),
				 errmsg("invalid Avro schema"),
				 errdetail_internal("%s", error.message)));

	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, PG_GETARG_INT32(2));
	QueryArgText(&args, schema);
	if (QueryRun("INSERT INTO venice.store_schema VALUES ($1::name, $2, $3) ON CONFLICT DO NOTHING "
				 "RETURNING pg_catalog.jsonb_build_object('schema_id', schema_id, 'schema', schema)",
				 &args) > 0)
		registered = QueryJsonb(0, 1, session.result_context);
	conflict = QueryRun("SELECT FROM venice.store_schema WHERE store_name = $1::name "
						"AND schema_id = $2 AND schema <> $3", &args) > 0;
	QueryEnd(&session);
	if (conflict)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("schema id %d of store \"%s\" already stands for another schema",
						PG_GETARG_INT32(2), store->name)));
	if (registered != NULL)
		AuditWrite("register_schema", "store", NULL, store->name,
				   GetUserNameFromId(store->owner, false), NULL, registered);
	PG_RETURN_INT32(PG_GETARG_INT32(2));
}

Datum
venice_rebuild_functions(PG_FUNCTION_ARGS)
{
	Store	   *store = ArgumentOwnedStore(fcinfo);

	StoreCheckSchema(store);
	GeneratedFunctionsRenew(store, store->schema_oid, RENEW_ALL);
	PastFunctionsRenew(store);
	PG_RETURN_VOID();
}

Datum
venice_effective_options(PG_FUNCTION_ARGS)
{
	PG_RETURN_JSONB_P(StoreOptionsEffective(PG_GETARG_JSONB_P(0)));
}
