/*-------------------------------------------------------------------------
 *
 * functions.c
 *		The functions that are generated for a store.
 *
 * A look-up's row type depends on the store, so that each store has functions
 * of its own: SQL wrappers, inlinable (STABLE, not strict, no settings), around
 * member functions in venice_internal that take the store as an argument.  They
 * have string bodies and name no version, so that a dump restores them and a
 * swap only moves them.  They are owned by the store's owner, who could not
 * make C functions himself.
 *
 * The functions that people use, and that views and prepared statements know by
 * OID, are those in the current schema.  Every other version's schema has the
 * same, which a swap exchanges for them: somebody who looked the schema up by its
 * name before the swap, and looks into it after, finds these, and they answer
 * from the current version just the same.  Without them he would be told that
 * there is no such function.
 *
 * Our own names give way: a user's column called like one of our arguments or
 * columns keeps its name, and ours gets a leading underscore.
 *
 * Locks: those of the DDL.  Callers hold StoreLock.
 * Must not know: how a look-up is done (read/).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/functions.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/namespace.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/alter.h"
#include "funcapi.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/subtransaction.h"

typedef struct Definition
{
	const char *name;			/* NULL: the store has none of this kind */
	char	   *arguments;		/* with names */
	char	   *argument_types; /* for DROP and COMMENT */
	const char *returns;		/* TABLE(...), or a type */
	char	   *body;
	const char *comment;
	int			rows;			/* estimate, for a table */
	bool		in_client_encoding; /* which parallel workers do not have */
	bool		writes;
	int			own_columns;	/* that its rows begin with */
	List	   *columns;		/* of records, by number, that they have then */
} Definition;

#define DEFINITION_COUNT 10
#define PUT_OWN_ARGUMENTS 3		/* what its body passes on beside the columns */
#define ROW_DEFINITION_COUNT 2	/* the first ones return the version's columns */

/* Behind those that follow from the version's columns: what follows from the store's past. */
#define FUNCTION_COUNT	12
#define AS_OF	10
#define SNAPSHOT	11

static const char *const function_names[FUNCTION_COUNT] =
{"get", "batch_get", "get_packed", "batch_get_packed", "compute", "compute_packed",
"top_k", "put", "update", "delete", "as_of", "snapshot"};

PastFunctions *(*StorePastHook) (const Store *store) = NULL;

static bool
is_key(const Store *store, const char *name)
{
	ListCell   *cell;

	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (column->is_key && strcmp(column->name, name) == 0)
			return true;
	}
	return false;
}

/* A name of ours, which gives way to a key column of the same. */
static const char *
our_name(const Store *store, const char *name)
{
	return is_key(store, name) ? psprintf("_%s", name) : name;
}

/* What a column is that is not given: SQL text. */
static const char *
column_default(const Store *store, const char *name)
{
	ListCell   *cell;

	foreach(cell, store->columns)
	{
		StoreColumn *column = lfirst(cell);

		if (strcmp(column->name, name) == 0 && column->default_expression != NULL)
			return column->default_expression;
	}
	return "NULL";
}

/* A literal of type text[]. */
static char *
name_array(const List *names)
{
	StringInfoData array;
	ListCell   *cell;

	initStringInfo(&array);
	foreach(cell, names)
		ItemListAppend(&array, "%s", quote_literal_cstr(lfirst(cell)));
	return psprintf("ARRAY[%s]", array.data);
}

static void
make_definitions(const Store *store, Oid records, Definition *definitions)
{
	Relation	relation = table_open(records, AccessShareLock);
	TupleDesc	descriptor = RelationGetDescr(relation);
	StringInfoData keys;		/* user_id bigint */
	StringInfoData key_types;	/* bigint */
	StringInfoData parameters;	/* $1 */
	StringInfoData arrays;		/* user_id bigint[] */
	StringInfoData array_types; /* bigint[] */
	StringInfoData values;		/* clicks bigint */
	StringInfoData all;			/* user_id bigint, clicks bigint */
	StringInfoData typed_keys;	/* user_id bigint */
	StringInfoData after_query; /* $4, where the keys of compute begin */
	StringInfoData after_k;		/* $5, where those of top_k do */
	StringInfoData optional_arrays; /* user_id bigint[] DEFAULT NULL */
	StringInfoData optional_values; /* clicks bigint DEFAULT NULL */
	StringInfoData value_types; /* bigint */
	StringInfoData cast_keys;	/* $1::bigint */
	StringInfoData cast_values; /* $2::bigint */
	List	   *key_names = NIL;
	List	   *value_names = NIL;
	List	   *value_numbers = NIL;
	List	   *all_numbers = NIL;
	char	   *query;			/* the arguments that compute and top_k begin with */
	const char *ordinality = "ordinality";
	int			key_count = 0;
	char	   *literal = quote_literal_cstr(store->name);

	initStringInfo(&keys);
	initStringInfo(&key_types);
	initStringInfo(&parameters);
	initStringInfo(&arrays);
	initStringInfo(&array_types);
	initStringInfo(&values);
	initStringInfo(&all);
	initStringInfo(&typed_keys);
	initStringInfo(&after_query);
	initStringInfo(&after_k);
	initStringInfo(&optional_arrays);
	initStringInfo(&optional_values);
	initStringInfo(&value_types);
	initStringInfo(&cast_keys);
	initStringInfo(&cast_values);
	for (int i = 0; i < descriptor->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
		const char *name = NameStr(attribute->attname);
		const char *quoted = quote_identifier(name);
		char	   *type;

		if (attribute->attisdropped || name[0] == '_')
			continue;
		type = format_type_extended(attribute->atttypid, attribute->atttypmod,
									FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY);
		if (strcmp(name, "ordinality") == 0)
			ordinality = "_ordinality";
		if (is_key(store, name))
		{
			char	   *bare = format_type_extended(attribute->atttypid, -1,
													FORMAT_TYPE_FORCE_QUALIFY);

			ItemListAppend(&keys, "%s %s", quoted, bare);
			ItemListAppend(&key_types, "%s", bare);
			ItemListAppend(&parameters, "$%d", ++key_count);
			ItemListAppend(&arrays, "%s %s[]", quoted, bare);
			ItemListAppend(&array_types, "%s[]", bare);
			ItemListAppend(&typed_keys, "%s %s", quoted, type);
			ItemListAppend(&after_query, "$%d", key_count + 3);
			ItemListAppend(&after_k, "$%d", key_count + 4);
			ItemListAppend(&optional_arrays, "%s %s[] DEFAULT NULL", quoted, bare);
			ItemListAppend(&cast_keys, "$%d::%s", key_count, bare);
			key_names = lappend(key_names, pstrdup(name));
		}
		else
		{
			const char *bare = format_type_extended(attribute->atttypid, -1,
													FORMAT_TYPE_FORCE_QUALIFY);

			value_names = lappend(value_names, pstrdup(name));
			value_numbers = lappend_int(value_numbers, attribute->attnum);
			ItemListAppend(&values, "%s %s", quoted, type);
			ItemListAppend(&optional_values, "%s %s DEFAULT %s", quoted, bare,
						   column_default(store, name));
			ItemListAppend(&value_types, "%s", bare);
			ItemListAppend(&cast_values, "$%d::%s", key_count + list_length(value_names), bare);
		}
		ItemListAppend(&all, "%s %s", quoted, type);
		all_numbers = lappend_int(all_numbers, attribute->attnum);
	}
	table_close(relation, AccessShareLock);
	query = psprintf("%s text, %s text, %s real[]", our_name(store, "operation"),
					 our_name(store, "field"), our_name(store, "query"));

	definitions[0] = (Definition)
	{
		.name = function_names[0],
		.arguments = keys.data,
		.argument_types = key_types.data,
		.returns = psprintf("TABLE(%s)", values.data),
		.body = psprintf("SELECT * FROM venice_internal.get(%s, %s) AS record(%s)", literal,
						 parameters.data, values.data),
		.comment = "The row of one key in the current version; no row when the key is absent.",
		.rows = 1,
		.columns = value_numbers
	};
	definitions[1] = (Definition)
	{
		.name = function_names[1],
		.arguments = arrays.data,
		.argument_types = array_types.data,
		.returns = psprintf("TABLE(%s bigint, %s)", ordinality, all.data),
		.body = psprintf("SELECT * FROM venice_internal.batch_get(%s, %s) AS record(%s bigint, %s)",
						 literal, parameters.data, ordinality, all.data),
		.comment = "The rows of many keys in the current version, in input order; absent keys are left out.",
		.rows = 100,
		.own_columns = 1,
		.columns = all_numbers
	};
	definitions[2] = (Definition)
	{
		.name = function_names[2],
		.arguments = keys.data,
		.argument_types = key_types.data,
		.returns = "bytea",
		.body = psprintf("SELECT venice_internal.get_packed(%s, %s)", literal, parameters.data),
		.comment = "The value columns of one key in the current version, in binary COPY format; NULL when the key is absent.",
		.in_client_encoding = true
	};
	definitions[3] = (Definition)
	{
		.name = function_names[3],
		.arguments = arrays.data,
		.argument_types = array_types.data,
		.returns = "bytea",
		.body = psprintf("SELECT venice_internal.batch_get_packed(%s, %s)", literal,
						 parameters.data),
		.comment = "The value columns of many keys in the current version, in binary COPY format: a row for each, without fields for absent keys.",
		.in_client_encoding = true
	};
	definitions[4] = (Definition)
	{
		.name = function_names[4],
		.arguments = psprintf("%s, %s", query, arrays.data),
		.argument_types = psprintf("text, text, real[], %s", array_types.data),
		.returns = psprintf("TABLE(%s bigint, %s, %s real)", our_name(store, "ordinality"),
							typed_keys.data, our_name(store, "result")),
		.body = psprintf("SELECT * FROM venice_internal.compute(%s, $1, $2, $3, %s) "
						 "AS record(%s bigint, %s, %s real)", literal, after_query.data,
						 our_name(store, "ordinality"), typed_keys.data,
						 our_name(store, "result")),
		.comment = "A query vector against a column of many keys, in input order; absent keys are left out.",
		.rows = 100
	};
	definitions[5] = (Definition)
	{
		.name = function_names[5],
		.arguments = definitions[4].arguments,
		.argument_types = definitions[4].argument_types,
		.returns = "bytea",
		.body = psprintf("SELECT venice_internal.compute_packed(%s, $1, $2, $3, %s)", literal,
						 after_query.data),
		.comment = "The results of compute in binary COPY format: a row for each key, without fields for absent keys."
	};
	definitions[6] = (Definition)
	{
		.name = function_names[6],
		.arguments = psprintf("%s, %s integer, %s", query, our_name(store, "k"),
							  optional_arrays.data),
		.argument_types = psprintf("text, text, real[], integer, %s", array_types.data),
		.returns = psprintf("TABLE(%s, %s real)", typed_keys.data, our_name(store, "result")),
		.body = psprintf("SELECT * FROM venice_internal.top_k(%s, $1, $2, $3, $4, %s) "
						 "AS record(%s, %s real)", literal, after_k.data, typed_keys.data,
						 our_name(store, "result")),
		.comment = "The k of many keys, or of all, whose column is nearest to a query vector, nearest first.",
		.rows = 10
	};
	definitions[7] = (Definition)
	{
		.name = function_names[7],
		.arguments = psprintf("%s, %s, _logical_time timestamptz DEFAULT NULL", keys.data,
							  optional_values.data),
		.argument_types = psprintf("%s, %s, timestamptz", key_types.data, value_types.data),
		.returns = "void",
		.body = psprintf("SELECT venice_internal.put(%s, %s, $%d, %s, %s)", literal,
						 name_array(list_concat_copy(key_names, value_names)),
						 key_count + list_length(value_names) + 1, cast_keys.data,
						 cast_values.data),
		.comment = "Write a row to every complete version, in the place of the one that the key has.",
		.writes = true
	};
	/* So many columns that no function could take them are written with update. */
	if (key_count + list_length(value_names) + PUT_OWN_ARGUMENTS > FUNC_MAX_ARGS)
		definitions[7] = (Definition) {0};
	definitions[8] = (Definition)
	{
		.name = function_names[8],
		.arguments = psprintf("%s, %s jsonb, _logical_time timestamptz DEFAULT NULL", keys.data,
							  our_name(store, "patch")),
		.argument_types = psprintf("%s, jsonb, timestamptz", key_types.data),
		.returns = "void",
		.body = psprintf("SELECT venice_internal.update(%s, %s, $%d, $%d, %s)", literal,
						 name_array(key_names), key_count + 2, key_count + 1, cast_keys.data),
		.comment = "Change columns of a key's row in every complete version: {\"column\": value}, or an operation such as {\"$add\": 1}.",
		.writes = true
	};
	definitions[9] = (Definition)
	{
		.name = function_names[9],
		.arguments = psprintf("%s, _logical_time timestamptz DEFAULT NULL", keys.data),
		.argument_types = psprintf("%s, timestamptz", key_types.data),
		.returns = "void",
		.body = psprintf("SELECT venice_internal.delete(%s, %s, $%d, %s)", literal,
						 name_array(key_names), key_count + 1, cast_keys.data),
		.comment = "Delete a key's row from every complete version.",
		.writes = true
	};
}

static void
create_functions(const Store *store, Oid schema_oid, const Definition *definitions)
{
	const char *schema = quote_identifier(get_namespace_name(schema_oid));
	QuerySession session;

	QueryBegin(&session, SchemaOwner(schema_oid));
	for (int i = 0; i < DEFINITION_COUNT; i++)
	{
		const Definition *definition = &definitions[i];
		const char *rows = definition->rows > 0 ? psprintf("ROWS %d ", definition->rows) : "";

		if (definition->name == NULL)
			continue;
		QueryRunf("CREATE FUNCTION %s.%s(%s) RETURNS %s LANGUAGE sql %s PARALLEL %s %sAS %s",
				  schema, definition->name, definition->arguments, definition->returns,
				  definition->writes ? "VOLATILE" : "STABLE",
				  definition->writes ? "UNSAFE" :
				  definition->in_client_encoding ? "RESTRICTED" : "SAFE", rows,
				  quote_literal_cstr(definition->body));
		QueryRunf("COMMENT ON FUNCTION %s.%s(%s) IS %s", schema, definition->name,
				  definition->argument_types, quote_literal_cstr(definition->comment));
	}
	QueryEnd(&session);
}

/* In a session of the owner.  The comment in the body says whose it is; see layout.c. */
static void
create_past_function(Oid schema, const char *name, const char *arguments, const char *result,
					 const char *body)
{
	bool		is_snapshot = strcmp(name, function_names[SNAPSHOT]) == 0;

	QueryRunf("CREATE FUNCTION %s(%s) RETURNS %s LANGUAGE sql STABLE PARALLEL SAFE ROWS %d AS %s",
			  quote_qualified_identifier(get_namespace_name(schema), name), arguments, result,
			  is_snapshot ? 1000 : 1, quote_literal_cstr(body));
	QueryRunf("COMMENT ON FUNCTION %s IS %s",
			  quote_qualified_identifier(get_namespace_name(schema), name),
			  is_snapshot ? "'Every key''s values as they were at a time.'" :
			  "'The values of one key as they were at a time; no row when there were none.'");
}

/* A function of a schema, and the row of pg_depend that says so. */
typedef struct Generated
{
	Oid			function;		/* InvalidOid: there is none */
	HeapTuple	dependency;
} Generated;

/*
 * A schema's functions, in the order of function_names.  Not looked for by name,
 * which those of every other store and version have as well.
 */
static void
find_functions(Oid schema, Generated *functions)
{
	Relation	catalog = table_open(DependRelationId, AccessShareLock);
	ScanKeyData keys[2];
	SysScanDesc scan;
	HeapTuple	tuple;

	memset(functions, 0, sizeof(Generated) * FUNCTION_COUNT);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(catalog, DependReferenceIndexId, true, NULL, 2, keys);
	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_depend form = (Form_pg_depend) GETSTRUCT(tuple);
		char	   *name;

		if (form->classid != ProcedureRelationId)
			continue;
		name = get_func_name(form->objid);
		for (int i = 0; name != NULL && i < FUNCTION_COUNT; i++)
			if (strcmp(name, function_names[i]) == 0)
				functions[i] = (Generated) {form->objid, heap_copytuple(tuple)};
	}
	systable_endscan(scan);
	table_close(catalog, AccessShareLock);
}

/* Make a function of the past as the current version has it, which no column changes. */
static void
copy_past_function(const Store *store, Oid function, Oid schema)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBegin(&session, store->owner);
	/* What it reads may be gone, which is no reason for a push to fail. */
	(void) set_config_option("check_function_bodies", "off", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(function), false);
	(void) QueryRun("SELECT proname::text, pg_catalog.pg_get_function_arguments(oid), "
					"pg_catalog.pg_get_function_result(oid), prosrc "
					"FROM pg_catalog.pg_proc WHERE oid = $1", &args);
	create_past_function(schema, QueryText(0, 1, session.result_context),
						 QueryText(0, 2, session.result_context),
						 QueryText(0, 3, session.result_context),
						 QueryText(0, 4, session.result_context));
	QueryEnd(&session);
}

void
GeneratedFunctionsCreate(const Store *store, Oid schema)
{
	Definition	definitions[DEFINITION_COUNT];
	Generated	functions[FUNCTION_COUNT];

	make_definitions(store, get_relname_relid("records", schema), definitions);
	create_functions(store, schema, definitions);
	if (schema == store->schema_oid)
		return;
	find_functions(store->schema_oid, functions);
	for (int i = AS_OF; i <= SNAPSHOT; i++)
		if (OidIsValid(functions[i].function))
			copy_past_function(store, functions[i].function, schema);
}

/* Is a function what it is to be? */
static bool
is_as_defined(Oid function, const Definition *definition)
{
	HeapTuple	tuple;
	Datum		body;
	bool		is_null = true;
	bool		result;

	if (definition->name == NULL)
		return !OidIsValid(function);
	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	if (!HeapTupleIsValid(tuple))
		return false;
	/* The body spells out every column and type, so that it says it all. */
	body = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);
	result = !is_null && strcmp(TextDatumGetCString(body), definition->body) == 0;
	ReleaseSysCache(tuple);
	return result;
}

static bool
are_as_defined(Oid schema, const Definition *definitions)
{
	Generated	functions[FUNCTION_COUNT];

	find_functions(schema, functions);
	for (int i = 0; i < DEFINITION_COUNT; i++)
		if (!is_as_defined(functions[i].function, &definitions[i]))
			return false;
	return true;
}

bool
GeneratedFunctionsFit(const Store *store, Oid records)
{
	Definition	definitions[DEFINITION_COUNT];

	make_definitions(store, records, definitions);
	return are_as_defined(store->schema_oid, definitions);
}

/* A function's row as it is to be in another schema; it is taken out of its own. */
static HeapTuple
take_function(Relation catalog, Oid function, Oid schema)
{
	HeapTuple	tuple = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(function));

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	((Form_pg_proc) GETSTRUCT(tuple))->pronamespace = schema;
	CatalogTupleDelete(catalog, &tuple->t_self);
	return tuple;
}

/*
 * No SQL: see the header of swap.c.  Two of one name and signature cannot be in one
 * schema: so rows are taken out of pg_proc before they are put back, which needs no
 * third name and half the writing.  What is found by a scan of pg_depend is written
 * after its end: one that writes into the page of the index that it reads does not
 * mark there what is dead, and the next swaps would read on through all that the
 * earlier ones left.
 */
void
GeneratedFunctionsExchange(Oid one, Oid other)
{
	Oid			schemas[2] = {one, other};
	Generated	functions[2][FUNCTION_COUNT];
	HeapTuple	rows[2][FUNCTION_COUNT];
	Relation	procedures = table_open(ProcedureRelationId, RowExclusiveLock);
	Relation	dependencies = table_open(DependRelationId, RowExclusiveLock);
	CatalogIndexState procedure_indexes = CatalogOpenIndexes(procedures);
	CatalogIndexState dependency_indexes = CatalogOpenIndexes(dependencies);

	for (int side = 0; side < 2; side++)
	{
		find_functions(schemas[side], functions[side]);
		for (int i = 0; i < FUNCTION_COUNT; i++)
			if (OidIsValid(functions[side][i].function))
				rows[side][i] = take_function(procedures, functions[side][i].function,
											  schemas[1 - side]);
	}
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < FUNCTION_COUNT; i++)
		{
			HeapTuple	dependency = functions[side][i].dependency;

			if (!OidIsValid(functions[side][i].function))
				continue;
			CatalogTupleInsertWithInfo(procedures, rows[side][i], procedure_indexes);
			((Form_pg_depend) GETSTRUCT(dependency))->refobjid = schemas[1 - side];
			CatalogTupleUpdateWithInfo(dependencies, &dependency->t_self, dependency,
									   dependency_indexes);
		}
	CatalogCloseIndexes(dependency_indexes);
	CatalogCloseIndexes(procedure_indexes);
	table_close(dependencies, RowExclusiveLock);
	table_close(procedures, RowExclusiveLock);
	CommandCounterIncrement();
}

void
GeneratedFunctionsInvalidate(Oid schema)
{
	Relation	catalog = table_open(ProcedureRelationId, AccessShareLock);
	Generated	functions[FUNCTION_COUNT];

	find_functions(schema, functions);
	for (int i = 0; i < FUNCTION_COUNT; i++)
	{
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(functions[i].function));

		if (!HeapTupleIsValid(tuple))
			continue;
		CacheInvalidateHeapTuple(catalog, tuple, NULL);
		ReleaseSysCache(tuple);
	}
	table_close(catalog, AccessShareLock);
}

void
GeneratedFunctionsDrop(Oid schema)
{
	Generated	functions[FUNCTION_COUNT];

	find_functions(schema, functions);
	for (int i = 0; i < FUNCTION_COUNT; i++)
	{
		ObjectAddress address;

		ObjectAddressSet(address, ProcedureRelationId, functions[i].function);
		if (OidIsValid(address.objectId))
			performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
	}
	CommandCounterIncrement();
}

static Oid
function_owner(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		return InvalidOid;
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	return owner;
}

void
GeneratedFunctionsChangeOwner(Oid schema, Oid owner)
{
	Generated	functions[FUNCTION_COUNT];

	find_functions(schema, functions);
	for (int i = 0; i < FUNCTION_COUNT; i++)
		if (OidIsValid(functions[i].function) && function_owner(functions[i].function) != owner)
			ObjectChangeOwner(ProcedureRelationId, functions[i].function, owner);
	CommandCounterIncrement();
}

/* The function's privileges, copied; is_null when they are the default. */
static Datum
function_acl(Oid function, bool *is_null)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Datum		acl = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, is_null);

	if (!*is_null)
		acl = PointerGetDatum(DatumGetAclPCopy(acl));
	ReleaseSysCache(tuple);
	return acl;
}

static void
set_function_acl(Oid function, Oid owner, Datum acl)
{
	Relation	catalog = table_open(ProcedureRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(function));
	Datum		values[Natts_pg_proc] = {0};
	bool		nulls[Natts_pg_proc] = {false};
	bool		replaces[Natts_pg_proc] = {false};
	Oid		   *members;
	int			count = aclmembers(DatumGetAclP(acl), &members);

	values[Anum_pg_proc_proacl - 1] = acl;
	replaces[Anum_pg_proc_proacl - 1] = true;
	tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), values, nulls, replaces);
	CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	updateAclDependencies(ProcedureRelationId, function, 0, owner, 0, NULL, count, members);
	table_close(catalog, RowExclusiveLock);
}

/* Does the version's table still have every column that the function returns, of its type? */
static bool
still_answers(Oid function, Oid records)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			count;
	bool		result = HeapTupleIsValid(tuple);

	if (!result)
		return false;
	count = get_func_arg_info(tuple, &types, &names, &modes);
	for (int i = 0; i < count && result; i++)
	{
		AttrNumber	attribute;

		if (modes == NULL || modes[i] != PROARGMODE_TABLE || strcmp(names[i], "ordinality") == 0 ||
			strcmp(names[i], "_ordinality") == 0)
			continue;
		attribute = get_attnum(records, names[i]);
		result = attribute != InvalidAttrNumber && get_atttype(records, attribute) == types[i];
	}
	ReleaseSysCache(tuple);
	return result;
}

/*
 * Of the columns that a function's rows are to have, those that are not there yet; false if
 * it is not only at the end that its rows differ from what they are to be.
 */
static bool
find_added(HeapTuple function, TupleDesc records, const Definition *definition, List **added)
{
	const List *columns = definition->columns;
	Oid		   *types;
	char	  **names;
	char	   *modes;
	int			count = get_func_arg_info(function, &types, &names, &modes);
	int			first = 0;
	int			has;

	/* The rows of a function that returns a single column are values of its type. */
	if (((Form_pg_proc) GETSTRUCT(function))->prorettype != RECORDOID)
		return false;
	while (first < count && modes[first] != PROARGMODE_TABLE)
		first++;
	first += definition->own_columns;
	has = count - first;
	if (has < 0 || has > list_length(columns))
		return false;
	for (int i = 0; i < has; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(records, list_nth_int(columns, i) - 1);

		if (strcmp(NameStr(attribute->attname), names[first + i]) != 0 ||
			attribute->atttypid != types[first + i])
			return false;
	}
	*added = list_copy_tail(columns, has);
	return true;
}

/* A function's row in pg_proc that gets more columns. */
typedef struct Extension
{
	HeapTuple	function;
	int			count;			/* of added columns */
	Datum		values[Natts_pg_proc];
	bool		nulls[Natts_pg_proc];
	bool		replaces[Natts_pg_proc];
} Extension;

/* Append an element for each of the added columns to one of its arrays. */
static void
extend_array(Extension *extension, AttrNumber number, Oid type, const Datum *added)
{
	bool		is_null;
	Datum		array = SysCacheGetAttr(PROCOID, extension->function, number, &is_null);
	int16		length;
	bool		by_value;
	char		align;
	Datum	   *elements;
	int			had;

	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(DatumGetArrayTypeP(array), type, length, by_value, align, &elements, NULL,
					  &had);
	elements = repalloc(elements, (had + extension->count) * sizeof(Datum));
	memcpy(elements + had, added, extension->count * sizeof(Datum));
	extension->replaces[number - 1] = true;
	extension->values[number - 1] =
		PointerGetDatum(construct_array(elements, had + extension->count, type, length, by_value,
										align));
}

/*
 * Give a function's rows more columns at their end, and leave it the one that it is, as
 * ALTER TABLE does it with a table's row type: what depends on it or has a plan with it
 * goes on with the columns that it knows.  CREATE OR REPLACE would refuse to.
 */
static void
extend_rows(Oid function, TupleDesc records, const Definition *definition)
{
	Relation	catalog = table_open(ProcedureRelationId, RowExclusiveLock);
	HeapTuple	tuple = SearchSysCacheCopy1(PROCOID, ObjectIdGetDatum(function));
	Extension	extension = {.function = tuple};
	List	   *added = NIL;

	if (HeapTupleIsValid(tuple) && find_added(tuple, records, definition, &added) && added != NIL)
	{
		int			count = extension.count = list_length(added);
		Datum	   *types = palloc(count * sizeof(Datum));
		Datum	   *modes = palloc(count * sizeof(Datum));
		Datum	   *names = palloc(count * sizeof(Datum));
		ObjectAddress address;

		ObjectAddressSet(address, ProcedureRelationId, function);
		for (int i = 0; i < count; i++)
		{
			Form_pg_attribute attribute = TupleDescAttr(records, list_nth_int(added, i) - 1);
			ObjectAddress type;

			types[i] = ObjectIdGetDatum(attribute->atttypid);
			modes[i] = CharGetDatum(PROARGMODE_TABLE);
			names[i] = CStringGetTextDatum(NameStr(attribute->attname));
			ObjectAddressSet(type, TypeRelationId, attribute->atttypid);
			recordDependencyOn(&address, &type, DEPENDENCY_NORMAL);
		}
		extend_array(&extension, Anum_pg_proc_proallargtypes, OIDOID, types);
		extend_array(&extension, Anum_pg_proc_proargmodes, CHAROID, modes);
		extend_array(&extension, Anum_pg_proc_proargnames, TEXTOID, names);
		extension.replaces[Anum_pg_proc_prosrc - 1] = true;
		extension.values[Anum_pg_proc_prosrc - 1] = CStringGetTextDatum(definition->body);
		tuple = heap_modify_tuple(tuple, RelationGetDescr(catalog), extension.values,
								  extension.nulls, extension.replaces);
		CatalogTupleUpdate(catalog, &tuple->t_self, tuple);
	}
	table_close(catalog, RowExclusiveLock);
}

/* Do so for those that return rows. */
static void
extend(Oid schema, Oid records, const Definition *definitions)
{
	Relation	relation = table_open(records, AccessShareLock);
	Generated	functions[FUNCTION_COUNT];

	find_functions(schema, functions);
	for (int i = 0; i < ROW_DEFINITION_COUNT; i++)
		extend_rows(functions[i].function, RelationGetDescr(relation), &definitions[i]);
	table_close(relation, AccessShareLock);
	CommandCounterIncrement();
}

typedef struct Renewal
{
	const Store *store;
	Oid			schema;
	bool		all;			/* those, too, that are what they are to be */
	Definition	definitions[DEFINITION_COUNT];
} Renewal;

/* Drop functions of a schema and make them again, with the privileges they have. */
static void
renew(void *argument)
{
	Renewal    *renewal = argument;
	Definition	definitions[DEFINITION_COUNT];
	Generated	functions[FUNCTION_COUNT];
	Datum		acls[DEFINITION_COUNT];
	bool		acl_nulls[DEFINITION_COUNT];

	memcpy(definitions, renewal->definitions, sizeof(definitions));
	find_functions(renewal->schema, functions);
	for (int i = 0; i < DEFINITION_COUNT; i++)
	{
		ObjectAddress address;

		acl_nulls[i] = true;
		if (!renewal->all && is_as_defined(functions[i].function, &definitions[i]))
		{
			definitions[i].name = NULL;
			continue;
		}
		ObjectAddressSet(address, ProcedureRelationId, functions[i].function);
		if (!OidIsValid(address.objectId))
			continue;
		acls[i] = function_acl(address.objectId, &acl_nulls[i]);
		performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
		CommandCounterIncrement();
	}
	create_functions(renewal->store, renewal->schema, definitions);
	CommandCounterIncrement();
	find_functions(renewal->schema, functions);
	for (int i = 0; i < DEFINITION_COUNT; i++)
		if (!acl_nulls[i] && OidIsValid(functions[i].function))
			set_function_acl(functions[i].function, SchemaOwner(renewal->schema), acls[i]);
}

void
GeneratedFunctionsRenew(const Store *store, Oid schema, RenewReason reason)
{
	Renewal		renewal = {store, schema, reason == RENEW_ALL};
	Oid			records = get_relname_relid("records", schema);
	Generated	functions[FUNCTION_COUNT];
	ErrorData  *error;

	make_definitions(store, records, renewal.definitions);
	extend(schema, records, renewal.definitions);
	if (!renewal.all && are_as_defined(schema, renewal.definitions))
		return;
	error = SubtransactionTry(renew, &renewal, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST);
	if (error == NULL)
		return;

	find_functions(schema, functions);
	for (int i = 0; i < ROW_DEFINITION_COUNT; i++)
		if (reason == RENEW_ADDED ? !is_as_defined(functions[i].function, &renewal.definitions[i]) :
			!still_answers(functions[i].function, records))
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("functions of store \"%s\" cannot change their columns", store->name),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 errhint("Drop what depends on them, and make it again after %s.",
							 reason == RENEW_ADDED ? "that" : "the swap")));
	ereport(WARNING,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("functions of store \"%s\" keep their old columns", store->name),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 errhint("Drop what depends on them, then SELECT venice.rebuild_functions(%s).",
					 quote_literal_cstr(store->name))));
}

static void
drop_function(void *argument)
{
	ObjectAddress address;

	ObjectAddressSet(address, ProcedureRelationId, *(Oid *) argument);
	performDeletion(&address, DROP_RESTRICT, PERFORM_DELETION_INTERNAL);
}

/* Make one of the two what it is to be; body NULL: it is to be none. */
static void
renew_past_function(const Store *store, Oid function, const char *name, const char *arguments,
					const char *result, const char *body)
{
	ErrorData  *error;
	QuerySession session;
	bool		acl_is_null = true;
	Datum		acl = (Datum) 0;

	if (OidIsValid(function))
	{
		HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
		bool		is_null;
		char	   *old = TextDatumGetCString(SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc,
															  &is_null));

		ReleaseSysCache(tuple);
		if (body != NULL && strcmp(old, body) == 0)
			return;
		acl = function_acl(function, &acl_is_null);
		/* What it answered would be wrong from now on: it does not stay for somebody's sake. */
		error = SubtransactionTry(drop_function, &function, ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST);
		if (error != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
					 errmsg("function \"%s\" of store \"%s\" cannot change", name, store->name),
					 error->detail ? errdetail_internal("%s", error->detail) : 0,
					 errhint("Drop what depends on it, and make it again after.")));
		CommandCounterIncrement();
	}
	if (body == NULL)
		return;
	QueryBegin(&session, store->owner);
	create_past_function(store->schema_oid, name, arguments, result, body);
	QueryEnd(&session);
	CommandCounterIncrement();
	if (!acl_is_null)
	{
		Generated	functions[FUNCTION_COUNT];
		int			number = strcmp(name, function_names[AS_OF]) == 0 ? AS_OF : SNAPSHOT;

		find_functions(store->schema_oid, functions);
		set_function_acl(functions[number].function, store->owner, acl);
	}
}

void
PastFunctionsRenew(const Store *store)
{
	PastFunctions *past = StorePastHook != NULL ? StorePastHook(store) : NULL;
	char	   *mark = psprintf("/* venice_internal.past(%s) */ ", quote_literal_cstr(store->name));
	Generated	functions[FUNCTION_COUNT];

	if (!OidIsValid(store->schema_oid))
		return;
	find_functions(store->schema_oid, functions);
	renew_past_function(store, functions[AS_OF].function, function_names[AS_OF],
						past == NULL ? NULL : psprintf("%s, %s pg_catalog.timestamptz", past->keys, past->time),
						past == NULL ? NULL : psprintf("TABLE(%s)", past->values),
						past == NULL ? NULL : psprintf("%s%s", mark, past->as_of));
	renew_past_function(store, functions[SNAPSHOT].function, function_names[SNAPSHOT],
						past == NULL ? NULL : psprintf("%s pg_catalog.timestamptz", past->time),
						past == NULL ? NULL : psprintf("TABLE(%s, %s)", past->keys, past->values),
						past == NULL ? NULL : psprintf("%s%s", mark, past->snapshot));
}
