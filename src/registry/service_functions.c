/*-------------------------------------------------------------------------
 *
 * service_functions.c
 *		The schema of a service, and the functions that are generated in it.
 *
 * Like those of a store they are inlinable SQL wrappers with string bodies, owned
 * by the service's owner.  What they return is a name and a type for each
 * feature, pinned; their bodies spell it out, so that whether functions still fit
 * a service is whether the bodies are the same.
 *
 * Our own names give way, and so do arguments that batch_get returns: a feature
 * of the same name keeps it, and the other one gets a leading underscore.
 *
 * Locks: those of the DDL.  Callers hold RegistryLock.
 * Must not know: how a service is answered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/service_functions.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/catcache.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/regproc.h"
#include "utils/syscache.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/item_list.h"
#include "common/query.h"
#include "common/store_options.h"

typedef struct Definition
{
	const char *name;
	char	   *arguments;		/* with names */
	char	   *returns;
	char	   *body;
	const char *comment;
	int			rows;
} Definition;

#define DEFINITION_COUNT 3

static bool
has_feature(const Service *service, const char *name)
{
	ListCell   *cell;

	foreach(cell, service->features)
		if (strcmp(((ServiceFeature *) lfirst(cell))->output_name, name) == 0)
			return true;
	return false;
}

static bool
has_argument(const Service *service, const char *name, bool is_request)
{
	ListCell   *cell;

	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);

		if (argument->is_request == is_request && strcmp(argument->name, name) == 0)
			return true;
	}
	return false;
}

/* A type's array, of which there is but one for arrays of any number of dimensions. */
static char *
array_of(const char *type_name)
{
	size_t		length = strlen(type_name);

	return length > 2 && strcmp(type_name + length - 2, "[]") == 0 ? pstrdup(type_name) :
		psprintf("%s[]", type_name);
}

static void
make_definitions(const Service *service, Definition *definitions)
{
	char	   *literal = quote_literal_cstr(ServiceQualifiedName(service));
	const char *ordinality = has_feature(service, "ordinality") || has_argument(service, "ordinality", false) ?
		"_ordinality" : "ordinality";
	const char *at = has_feature(service, "at") || has_argument(service, "at", false) ||
		has_argument(service, "at", true) ? "_at" : "at";
	StringInfoData arguments;
	StringInfoData arrays;
	StringInfoData parameters;
	StringInfoData keys;
	StringInfoData features;
	ListCell   *cell;

	initStringInfo(&arguments);
	initStringInfo(&arrays);
	initStringInfo(&parameters);
	initStringInfo(&keys);
	initStringInfo(&features);
	foreach(cell, service->arguments)
	{
		const ServiceArgument *argument = lfirst(cell);
		const char *name = quote_identifier(argument->name);

		ItemListAppend(&arguments, "%s %s", name, argument->type_name);
		ItemListAppend(&arrays, "%s %s", name, array_of(argument->type_name));
		ItemListAppend(&parameters, "$%d", foreach_current_index(cell) + 1);
		if (!argument->is_request)
			ItemListAppend(&keys, "%s %s", has_feature(service, argument->name) ?
						quote_identifier(psprintf("_%s", argument->name)) : name,
						argument->type_name);
	}
	foreach(cell, service->features)
	{
		const ServiceFeature *feature = lfirst(cell);

		ItemListAppend(&features, "%s %s", quote_identifier(feature->output_name), feature->type_name);
	}
	definitions[0] = (Definition)
	{
		.name = "get",
		.arguments = arguments.data,
		.returns = psprintf("%s, _status pg_catalog.jsonb", features.data),
		.comment = "The service's features for one set of keys: always one row; _status says which are not present, and why.",
		.rows = 1
	};
	definitions[0].body = psprintf("SELECT * FROM venice_internal.service_get(%s, %s) AS record(%s)",
								   literal, parameters.data, definitions[0].returns);
	definitions[1] = (Definition)
	{
		.name = "batch_get",
		.arguments = arrays.data,
		.returns = psprintf("%s bigint, %s%s%s", ordinality, keys.data, keys.len > 0 ? ", " : "",
							definitions[0].returns),
		.comment = "The service's features for many sets of keys: a row for each, in input order.",
		.rows = 100
	};
	definitions[1].body =
		psprintf("SELECT * FROM venice_internal.service_batch_get(%s, %s) AS record(%s)",
				 literal, parameters.data, definitions[1].returns);
	definitions[2] = (Definition)
	{
		.name = "as_of",
		.arguments = psprintf("%s%s%s pg_catalog.timestamptz", arguments.data,
							  arguments.len > 0 ? ", " : "", at),
		.returns = definitions[0].returns,
		.comment = "The service's features as they were at a time, for one set of keys: always one row.",
		.rows = 1
	};
	ItemListAppend(&parameters, "$%d", list_length(service->arguments) + 1);
	definitions[2].body =
		psprintf("SELECT * FROM venice_internal.service_as_of(%s, %s) AS record(%s)",
				 literal, parameters.data, definitions[2].returns);
}

/* The schema's function of this name; InvalidOid if it has none. */
static Oid
find_function(Oid schema, const char *name)
{
	CatCList   *candidates = SearchSysCacheList1(PROCNAMEARGSNSP, CStringGetDatum(name));
	Oid			found = InvalidOid;

	for (int i = 0; i < candidates->n_members; i++)
	{
		Form_pg_proc form = (Form_pg_proc) GETSTRUCT(&candidates->members[i]->tuple);

		if (form->pronamespace == schema)
			found = form->oid;
	}
	ReleaseSysCacheList(candidates);
	return found;
}

/* Make one function.  The current user is the owner. */
static void
create_function(const Service *service, const Definition *definition)
{
	QueryRunf("CREATE FUNCTION %s.%s(%s) RETURNS TABLE(%s) LANGUAGE sql STABLE PARALLEL UNSAFE ROWS %d AS %s",
			  quote_identifier(service->schema), definition->name, definition->arguments,
			  definition->returns, definition->rows, quote_literal_cstr(definition->body));
}

void
ServiceSchemaCreate(const Service *service, Oid owner)
{
	Definition	definitions[DEFINITION_COUNT];
	QuerySession session;

	if (OidIsValid(get_namespace_oid(service->schema, true)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_SCHEMA),
				 errmsg("schema \"%s\" already exists", service->schema),
				 errhint("A service is a schema: choose another name.")));
	make_definitions(service, definitions);
	QueryBeginRegistry(&session);
	QueryRunf("CREATE SCHEMA %s AUTHORIZATION %s", quote_identifier(service->schema),
			  quote_identifier(GetUserNameFromId(owner, false)));
	QueryEnd(&session);
	QueryBegin(&session, owner);
	for (int i = 0; i < DEFINITION_COUNT; i++)
		create_function(service, &definitions[i]);
	QueryEnd(&session);
	ServiceSchemaDescribe(service);
}

void
ServiceSchemaDescribe(const Service *service)
{
	char	   *description = OptionText(service->options, "description");
	Oid			schema = get_namespace_oid(service->schema, false);
	char	   *name = ServiceQualifiedName(service);
	Definition	definitions[DEFINITION_COUNT];
	QuerySession session;

	make_definitions(service, definitions);
	QueryBegin(&session, SchemaOwner(schema));
	QueryRunf("COMMENT ON SCHEMA %s IS %s", quote_identifier(service->schema),
			  quote_literal_cstr(description != NULL ?
								 psprintf("venice service %s: %s", name, description) :
								 psprintf("venice service %s", name)));
	for (int i = 0; i < DEFINITION_COUNT; i++)
	{
		Oid			function = find_function(schema, definitions[i].name);

		if (OidIsValid(function))
			QueryRunf("COMMENT ON FUNCTION %s IS %s", format_procedure_qualified(function),
					  quote_literal_cstr(definitions[i].comment));
	}
	QueryEnd(&session);
}

/* The privileges of a function, as GRANT would have to say them: a list of commands' tails. */
static List *
function_grants(Oid function)
{
	QuerySession session;
	QueryArgs	args = {0};
	List	   *grants;
	uint64		rows;

	QueryBeginRegistry(&session);
	QueryArgDatum(&args, OIDOID, ObjectIdGetDatum(function), false);
	rows = QueryRunLatest("SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' "
						  "ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END || "
						  "CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END "
						  "FROM pg_catalog.pg_proc p, pg_catalog.aclexplode(p.proacl) a "
						  "WHERE p.oid = $1", &args);
	grants = QueryTextColumn(rows, 1, session.result_context);
	QueryEnd(&session);
	return grants;
}

static bool
function_has_acl(Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_null;

	(void) SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_proacl, &is_null);
	ReleaseSysCache(tuple);
	return !is_null;
}

/* Run a DROP; what is in its way is named, with a hint of ours. */
static void
drop_or_say_how(const char *sql, const char *hint)
{
	MemoryContext context = CurrentMemoryContext;

	PG_TRY();
	{
		QueryRunf("%s", sql);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		if (error->sqlerrcode != ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST)
			PG_RE_THROW();
		FlushErrorState();
		ereport(ERROR,
				(errcode(error->sqlerrcode),
				 errmsg_internal("%s", error->message),
				 error->detail ? errdetail_internal("%s", error->detail) : 0,
				 errhint("%s", hint)));
	}
	PG_END_TRY();
}

/* Does a function have this body and this owner? */
static bool
function_fits(Oid function, const char *body, Oid owner)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		is_null = true;
	Datum		source;
	bool		fits;

	if (!HeapTupleIsValid(tuple))
		return false;
	source = SysCacheGetAttr(PROCOID, tuple, Anum_pg_proc_prosrc, &is_null);
	fits = !is_null && strcmp(TextDatumGetCString(source), body) == 0 &&
		((Form_pg_proc) GETSTRUCT(tuple))->proowner == owner;
	ReleaseSysCache(tuple);
	return fits;
}

bool
ServiceFunctionsFit(const Service *service)
{
	Oid			schema = get_namespace_oid(service->schema, false);
	Definition	definitions[DEFINITION_COUNT];
	bool		fit = true;

	make_definitions(service, definitions);
	for (int i = 0; i < DEFINITION_COUNT; i++)
		fit &= function_fits(find_function(schema, definitions[i].name), definitions[i].body,
							 SchemaOwner(schema));
	return fit;
}

void
ServiceFunctionsRenew(const Service *service)
{
	Oid			schema = get_namespace_oid(service->schema, false);
	Definition	definitions[DEFINITION_COUNT];
	QuerySession session;

	make_definitions(service, definitions);
	for (int i = 0; i < DEFINITION_COUNT; i++)
	{
		Oid			function = find_function(schema, definitions[i].name);
		bool		has_acl;
		List	   *grants;
		ListCell   *cell;

		if (function_fits(function, definitions[i].body, SchemaOwner(schema)))
			continue;
		has_acl = OidIsValid(function) && function_has_acl(function);
		grants = has_acl ? function_grants(function) : NIL;
		QueryBegin(&session, SchemaOwner(schema));
		if (OidIsValid(function))
			drop_or_say_how(psprintf("DROP FUNCTION %s", format_procedure_qualified(function)),
							"The function changes its arguments or columns: drop what depends on it, and make that again after.");
		create_function(service, &definitions[i]);
		if (has_acl)
			QueryRunf("REVOKE ALL ON FUNCTION %s.%s FROM PUBLIC", quote_identifier(service->schema),
					  definitions[i].name);
		foreach(cell, grants)
			QueryRunf("GRANT EXECUTE ON FUNCTION %s.%s TO %s", quote_identifier(service->schema),
					  definitions[i].name, (char *) lfirst(cell));
		QueryEnd(&session);
	}
	ServiceSchemaDescribe(service);
}

void
ServiceSchemaDrop(const Service *service, bool force)
{
	const char *quoted = quote_identifier(service->schema);
	char	   *hint = psprintf("Drop them first, or drop them too with venice.drop_service(%s, force => true).",
								quote_literal_cstr(service->name));
	Definition	definitions[DEFINITION_COUNT];
	QuerySession session;

	/* Somebody has dropped it by hand. */
	if (!OidIsValid(service->schema_oid))
		return;
	if (!ServiceFunctionsFit(service))
	{
		ereport(NOTICE,
				(errmsg("schema \"%s\" is not dropped", service->schema),
				 errdetail("It does not have the functions of service \"%s\", as its owner was given them.",
						   service->name)));
		return;
	}
	make_definitions(service, definitions);
	QueryBegin(&session, SchemaOwner(service->schema_oid));
	/* That it takes our own objects along is not news. */
	(void) set_config_option("client_min_messages", "warning", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	for (int i = 0; i < DEFINITION_COUNT && !force; i++)
	{
		Oid			function = find_function(service->schema_oid, definitions[i].name);

		if (OidIsValid(function))
			drop_or_say_how(psprintf("DROP FUNCTION %s", format_procedure_qualified(function)),
							hint);
	}
	drop_or_say_how(psprintf("DROP SCHEMA %s %s", quoted, force ? "CASCADE" : "RESTRICT"), hint);
	QueryEnd(&session);
}
